"""The front camera of Argoverse 2's logs: 2 Hz by the pictures' own times, gaps part videos, clips load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cache_tools.index_videos import IndexVideosConfig, index_videos
from navsim_agents.errors import VideoError
from navsim_agents.video.clip import read_pictures
from navsim_agents.video.manifest import Unreadable, Video

START_NS = 315_966_253_572_412_942
CAMERA = "sensors/cameras/ring_front_center"


def write_pictures(folder: Path, times: np.ndarray) -> None:
    """Each as grey as it is late."""
    folder.mkdir(parents=True)
    for time in times:
        Image.new("RGB", (31, 41), (int(20 * time),) * 3).save(folder / f"{START_NS + round(time * 1e9)}.jpg")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """20 Hz for 7 s, two of them missing; and a log without pictures."""
    times = np.arange(0.0, 7.0, 0.05) + 0.004 * (np.arange(140) % 2)
    write_pictures(tmp_path / "val" / "log_a" / CAMERA, times[(times < 2.0) | (times >= 4.0)])
    (tmp_path / "val" / "log_b" / CAMERA).mkdir(parents=True)
    return tmp_path


def indexed(root: Path, **changes: Any) -> list[Any]:
    settings = {"layout": "argoverse2", "root": str(root), "output": str(root / "m.jsonl"), "workers": 0, **changes}
    return index_videos(IndexVideosConfig(**settings))


def seconds(video: Video) -> list[float]:
    return [(int(name[:-4]) - START_NS) / 1e9 for name in video.frame_names.split("\n")]


def test_two_pictures_a_second_and_a_video_for_every_unbroken_run(root: Path) -> None:
    first, second, empty = indexed(root)
    assert (first.data_set, first.fps, first.width, first.height) == ("argoverse2", 2.0, 31, 41)
    np.testing.assert_allclose(seconds(first), [0.0, 0.5, 1.0, 1.5, 1.954], atol=0.005)
    np.testing.assert_allclose(seconds(second), [4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 6.954], atol=0.005)
    assert isinstance(empty, Unreadable)
    assert "log_b" in empty.source
    assert "holds no picture" in empty.error


def test_another_rate(root: Path) -> None:
    assert [video.num_frames for video in indexed(root / "val" / "log_a", fps=20.0)] == [40, 60]
    assert [video.num_frames for video in indexed(root / "val", fps=1.0)[:2]] == [3, 4]
    with pytest.raises(VideoError, match=r"fps=-1.0 must be positive"):
        indexed(root, fps=-1.0)


def test_clips_are_the_pictures(root: Path) -> None:
    video = indexed(root)[1]
    pictures = list(read_pictures(video, [0.0, 0.5, 1.5], root))
    for picture, time in zip(pictures, (4.0, 4.5, 5.5)):
        assert abs(float(np.mean(picture)) - 20 * time) < 2.0


def test_a_picture_that_no_time_names_is_told(root: Path) -> None:
    Image.new("RGB", (3, 3)).save(root / "val" / "log_a" / CAMERA / "front.jpg")
    assert "front.jpg is not named by its time" in indexed(root)[0].error


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="holds nothing that ArgoverseLogs reads"):
        indexed(tmp_path)
