"""Scene filters: read as the devkit means them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from navsim_agents.data.scene_filter import SceneFilter, read_scene_filter
from navsim_agents.errors import InputError


def frames(count: int) -> list[dict[str, Any]]:
    return [{"token": f"t{index}", "roadblock_ids": [] if index == 4 else ["1"]} for index in range(count)]


def starts(chosen: SceneFilter, count: int = 12) -> list[str]:
    return [window[0]["token"] for window in chosen.scenes_of(frames(count))]


def test_windows_are_the_devkits() -> None:
    """3 + 2 frames; frame 4, which is the current one of the window from 2, has no route."""
    sizes = {"num_history_frames": 3, "num_future_frames": 2}
    assert starts(SceneFilter(**sizes)) == ["t0", "t5"]
    assert starts(SceneFilter(**sizes, frame_interval=2)) == ["t0", "t4", "t6"]
    assert starts(SceneFilter(**sizes, frame_interval=2, has_route=False)) == ["t0", "t2", "t4", "t6"]
    assert starts(SceneFilter(**sizes, frame_interval=1, tokens=frozenset({"t3", "t9", "t4"}))) == ["t1", "t7"]
    assert starts(SceneFilter(**sizes), count=4) == []


def test_a_filter_is_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(
        "_target_: navsim.common.dataclasses.SceneFilter\n_convert_: 'all'\nnum_history_frames: 4\n"
        "num_future_frames: 8\nframe_interval: 1\nhas_route: false\nmax_scenes: null\n"
        "include_synthetic_scenes: true\nlog_names:\n  - 'a'\ntokens: ['x', 'y']\n"
    )
    expected = SceneFilter(4, 8, 1, False, None, frozenset({"a"}), frozenset({"x", "y"}))
    assert read_scene_filter(path) == expected
    assert read_scene_filter(path).note == ""
    changed = read_scene_filter(path, {"tokens": ["z"], "max_scenes": 3})
    assert (changed.tokens, changed.max_scenes, changed.log_names) == (frozenset({"z"}), 3, frozenset({"a"}))


def test_null_is_the_devkits_default(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("frame_interval: null\ntokens: null\nlog_names:\n")
    assert read_scene_filter(path) == SceneFilter()
    assert SceneFilter() == SceneFilter(4, 10, None, True, None, None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame_interval: 0", r"frame_interval=0 in .*f\.yaml, but it must be a number of at least 1"),
        ("num_history_frames: many", "num_history_frames='many' in"),
        ("num_future_frames: true", "num_future_frames=True in"),
        ("tokens: one", "tokens='one' in .*must be a list of names or null"),
        ("- a\n- b", "holds a list, but must be a mapping"),
        ("tokens: [=]", r"f\.yaml cannot be read as NAVSIM does \(could not determine a constructor"),
        ("a: [", "neither YAML nor text"),
    ],
)
def test_broken_filters_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "f.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as failure:
        read_scene_filter(tmp_path / "f.yaml")
    assert "\n" not in str(failure.value)
