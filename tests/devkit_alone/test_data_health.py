"""Scenes whose pictures are missing or damaged, by split and by scene filter."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from navsim_agents.data.pictures import PictureCheck
from navsim_agents.data.scene_filter import SceneFilter
from navsim_agents.devkit import data_health, doctor
from navsim_agents.devkit.data_health import PictureQuery, check_splits
from navsim_agents.devkit.doctor import main
from navsim_agents.devkit.finding import Finding
from navsim_agents.devkit.splits import FILTER_FOLDER, SPLIT_FOLDER
from navsim_agents.devkit.variant import Host, Variant
from tests.devkit_alone.logs import write_log

NAMES, DECODE = PictureCheck.NAMES, PictureCheck.DECODE


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)).save(stream, format="JPEG")
    return stream.getvalue()


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Split test: log a of 16 frames, 3 scenes at every frame, with all pictures of the front camera."""
    return write_split(tmp_path, "test", "a", 16)


def write_split(root: Path, split: str, log: str, num_frames: int) -> list[Path]:
    logs, blobs = root / "navsim_logs" / split, root / "sensor_blobs" / split
    logs.mkdir(parents=True, exist_ok=True)
    paths = [blobs / name for name in write_log(logs, log, num_frames)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg())
    data_health._names.cache_clear()
    return paths


def lines(root: Path, *splits: str, **query: object) -> list[str]:
    data_health._names.cache_clear()
    return [str(finding) for finding in check_splits(root, splits, PictureQuery(**query))]  # type: ignore[arg-type]


def test_complete_splits(tmp_path: Path, pictures: list[Path]) -> None:
    for check in PictureCheck:
        (line,) = lines(tmp_path, check=check)
        assert line.startswith("ok")
        assert line.endswith("test: 3 of 3 scenes in 1 logs have all pictures of cam_f0")


def test_scenes_without_pictures_are_counted(tmp_path: Path, pictures: list[Path]) -> None:
    """Frame 4's picture is gone, which the last two scenes have in their history; not so with the newest frame only."""
    os.remove(pictures[4])
    (line,) = lines(tmp_path, "test")
    assert line.startswith("WRONG")
    assert "1 of 3 scenes in 1 logs" in line
    assert "2 do not (pictures: 1 missing), such as a4: a/CAM_F0/4.jpg: missing." in line
    (line,) = lines(tmp_path, num_frames=1)
    assert "2 of 3 scenes" in line
    assert "such as a4" in line
    (line,) = lines(tmp_path, cameras=["cam_f0", "cam_b0"])
    assert "0 of 3 scenes" in line
    assert "frame a0: cam_b0 not named" in line


def test_what_navsim_does_with_such_scenes_is_said(tmp_path: Path, pictures: list[Path]) -> None:
    os.remove(pictures[4])
    (line,) = lines(tmp_path)
    for part in (
        "caching stops at the first such scene, and training without a cache too",
        "scoring and submissions go on without it ('Agent failed'; v2.2's one-stage scoring then ends in a ValueError",
        "training from an unfinished cache leaves it out silently",
    ):
        assert part in line


def test_empty_and_cut_pictures_are_not_present(tmp_path: Path, pictures: list[Path]) -> None:
    pictures[0].write_bytes(b"")
    pictures[5].write_bytes(jpeg()[:-2])
    (line,) = lines(tmp_path)
    assert "1 of 3 scenes" in line
    assert "(pictures: 1 cut off, 1 empty)" in line
    assert lines(tmp_path, check=NAMES)[0].startswith("ok")
    pictures[0].write_bytes(jpeg())
    pictures[5].write_bytes(jpeg()[:2] + bytes(30) + jpeg()[32:])
    assert lines(tmp_path)[0].startswith("ok")
    (line,) = lines(tmp_path, check=DECODE)
    assert "2 of 3 scenes" in line
    assert "(pictures: 1 unreadable)" in line


def test_only_the_filters_scenes_count(tmp_path: Path, pictures: list[Path]) -> None:
    """As of navtrain, whose pictures are there for its own scenes alone."""
    os.remove(pictures[0])
    only = SceneFilter(frame_interval=1, log_names=frozenset({"a"}), tokens=frozenset({"a5"}))
    assert lines(tmp_path, scene_filter=only) == [
        "ok     data         split test: 1 of 1 scenes in 1 logs have all pictures of cam_f0"
    ]
    assert "2 of 3 scenes" in lines(tmp_path)[0]
    assert "1 of 2 scenes" in lines(tmp_path, scene_filter=SceneFilter(frame_interval=1, max_scenes=2))[0]


def test_what_the_filter_names_and_nobody_has(tmp_path: Path, pictures: list[Path]) -> None:
    write_split(tmp_path, "val", "v", 15)
    wanted = SceneFilter(
        frame_interval=1, log_names=frozenset({"a", "v", "gone"}), tokens=frozenset({"a3", "v4", "nowhere"})
    )
    first, second, absent = lines(tmp_path, scene_filter=wanted)
    assert "split test: 1 of 1 scenes" in first
    assert "split val: 1 of 1 scenes" in second
    assert absent.startswith("WRONG")
    assert "split test, val: the scene filter names 1 logs (gone) and 1 tokens (nowhere) that are not there" in absent
    assert "leaves them out silently" in absent
    alone = lines(tmp_path, "val", scene_filter=wanted)
    assert "2 logs (a, gone) and 2 tokens (a3, nowhere)" in alone[1]


def test_roots_and_splits_that_are_not_there(tmp_path: Path, pictures: list[Path]) -> None:
    assert "has no navsim_logs/<split>" in lines(tmp_path / "none")[0]
    assert "is not a folder; logs lie in" in lines(tmp_path, "val")[0]
    assert "0 of 0 scenes" in lines(tmp_path, scene_filter=SceneFilter(num_history_frames=20))[0]


@pytest.fixture
def devkit_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configs of a devkit, and of it no more than that."""
    root = tmp_path / "devkit"
    filters = root / "navsim" / FILTER_FOLDER
    filters.mkdir(parents=True)
    (filters / "navtrain.yaml").write_text("frame_interval: 1\nlog_names: ['a']\ntokens:\n  - a5\n  - a6\n")
    (filters / "lonely.yaml").write_text("frame_interval: 1\ntokens: [a5, 1e5]\n")
    split = "defaults:\n  - scene_filter: navtrain\ndata_split: test\nscene_filter:\n  tokens: [a5]\n"
    (root / "navsim" / SPLIT_FOLDER / "navtrain.yaml").write_text(split)
    monkeypatch.setenv("NAVSIM_DEVKIT_ROOT", str(root))
    monkeypatch.setattr(doctor, "check_configs", lambda _: Finding("configs", True, "not asked here"))
    return root


def test_the_command_takes_the_name_or_the_file_of_a_filter(
    tmp_path: Path, pictures: list[Path], devkit_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A split's name brings its folder of logs along, and its own changes of the filter."""
    write_split(tmp_path, "val", "v", 15)
    os.remove(pictures[0])

    def data(*options: str) -> list[str]:
        data_health._names.cache_clear()
        main(["--data-root", str(tmp_path), *options])
        return [line[20:] for line in capsys.readouterr().out.splitlines() if line[7:11] == "data"]

    whole = "split test: 1 of 1 scenes in 1 logs have all pictures of cam_f0"
    assert data("--scene-filter", "navtrain") == [whole]
    assert data("--scene-filter", str(devkit_root / "navsim" / FILTER_FOLDER / "navtrain.yaml"), "--split", "test") == [
        whole,
        "split test: the scene filter names 1 tokens (a6) that are not there as scenes; NAVSIM leaves them out "
        "silently: download these logs, or take the filter of this split",
    ]
    unquoted, lonely, absent = data("--scene-filter", "lonely")
    assert "lonely.yaml has 1 names without quotes that YAML reads as numbers or truth values (1e5)" in unquoted
    assert (lonely, "1 tokens (1e5)" in absent) == (whole, True)
    (none,) = data("--scene-filter", "navmini")
    assert "train_test_split is 'navmini', but the devkit has navtrain; choose one of them" in none
    (none,) = data("--scene-filter", "none.yaml")
    assert "none.yaml is not a file that can be read" in none
    assert data("--pictures", "decode", "--frames", "1", "--split", "val") == [
        "split val: 2 of 2 scenes in 1 logs have all pictures of cam_f0"
    ]


def test_a_name_needs_a_devkit(
    tmp_path: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "check_configs", lambda _: Finding("configs", True, "not asked here"))
    monkeypatch.setattr(doctor, "detect_host", lambda: Host(Variant.NONE))
    monkeypatch.delenv("NAVSIM_DEVKIT_ROOT", raising=False)
    main(["--data-root", str(tmp_path), "--scene-filter", "navtrain"])
    assert "--scene-filter navtrain is a name of the devkit's, but no devkit is on the path" in capsys.readouterr().out
