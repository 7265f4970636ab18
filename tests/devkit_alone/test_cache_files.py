"""Finding the files of a metric cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from navsim_agents.devkit.cache_files import FILE_NAME, list_metric_cache
from navsim_agents.errors import DevkitError


def add_scene(root: Path, log: str, token: str) -> Path:
    path = root / log / "unknown" / token / FILE_NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    return path


def add_list(root: Path, node: int, paths: list[Path]) -> None:
    (root / "metadata").mkdir(exist_ok=True)
    lines = ["file_name", *map(str, paths), ""]
    (root / "metadata" / f"cache_metadata_node_{node}.csv").write_text("\n".join(lines))


def test_lists_of_all_nodes_are_merged(tmp_path: Path) -> None:
    first, second, third = (add_scene(tmp_path, log, token) for log, token in (("b", "1"), ("a", "2"), ("b", "0")))
    add_list(tmp_path, 0, [first, second])
    add_list(tmp_path, 1, [third, first])
    listing = list_metric_cache(tmp_path)
    assert [(entry.log_name, entry.token) for entry in listing.entries] == [("a", "2"), ("b", "0"), ("b", "1")]
    assert (listing.missing, listing.num_moved, listing.num_lists) == ((), 0, 2)


def test_a_moved_cache_goes_before_the_place_it_came_from(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    stale = add_scene(old, "log", "t")
    only_old = add_scene(old, "log", "u")
    here = add_scene(new, "log", "t")
    add_list(new, 0, [stale, only_old, Path("/nowhere/log/unknown/v") / FILE_NAME])
    listing = list_metric_cache(new)
    assert {entry.token: entry.path for entry in listing.entries} == {"t": here, "u": only_old}
    assert [entry.token for entry in listing.missing] == ["v"]
    assert listing.num_moved == 3


def test_a_relative_path_is_not_a_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_list(tmp_path, 0, [add_scene(tmp_path, "log", "t")])
    monkeypatch.chdir(tmp_path.parent)
    assert list_metric_cache(tmp_path.name).num_moved == 0


def test_without_lists_the_folders_are_searched(tmp_path: Path) -> None:
    add_scene(tmp_path, "log", "t")
    listing = list_metric_cache(tmp_path)
    assert list(listing.by_token()) == ["t"]
    assert listing.num_lists == 0


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(DevkitError, match="is no folder, but a metric cache is one, as NAVSIM's run_metric_caching"):
        list_metric_cache(tmp_path / "none")
    with pytest.raises(DevkitError, match=r"has no metric caches: 0 lists in metadata/"):
        list_metric_cache(tmp_path)
