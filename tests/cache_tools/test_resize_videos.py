"""Small copies: the same clips, less to decode."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cache_tools.resize_videos import ResizeVideosConfig, resize_videos
from navsim_agents.errors import VideoError
from navsim_agents.video.config import DataSetConfig
from navsim_agents.video.layouts import VideoFiles
from navsim_agents.video.loader import build_clip_loader
from navsim_agents.video.manifest import Video, read_rows, write_rows
from tests.video.videos import frames_at, number_of, picture_data, sequence_row, small_clips, with_clips, write_video

ROOT = Path(__file__).resolve().parents[2]


def copies(data: DataSetConfig, folder: Path) -> ResizeVideosConfig:
    return ResizeVideosConfig(data.manifest, data.root, str(folder), fps=2.0, height=24, width=32, workers=0)


def test_copies_hold_every_frame_at_their_rate(tmp_path: Path) -> None:
    data = picture_data(tmp_path / "dojo", {"videos/a": 11, "videos/b": 5})
    rows = resize_videos(copies(data, tmp_path / "small"))
    assert [(row.path, row.fps, row.num_frames) for row in rows if isinstance(row, Video)] == [
        ("videos/a/0000.mkv", 2.0, 6),
        ("videos/b/0000.mkv", 2.0, 3),
    ]
    pictures = list(frames_at(tmp_path / "small" / "videos" / "a" / "0000.mkv", [0.0, 0.5, 1.0, 2.5]))
    assert [picture.shape for picture in pictures] == [(24, 32, 3)] * 4
    assert [number_of(picture) for picture in pictures] == [0, 2, 4, 10]
    assert (tmp_path / "small" / "skipped.csv").read_text() == "path,reason\n"


def test_copies_of_video_files_give_nearly_the_same_clips(tmp_path: Path) -> None:
    write_video(tmp_path / "files" / "deep" / "a.mp4", 31)
    write_rows(tmp_path / "m.jsonl", VideoFiles("files", tmp_path / "files").probe("deep/a.mp4"))
    data = DataSetConfig(str(tmp_path / "m.jsonl"), str(tmp_path / "files"))
    small = tmp_path / "small"
    (row,) = resize_videos(copies(data, small))
    assert isinstance(row, Video)
    assert (row.path, row.num_frames, row.codec) == ("deep/a.mkv", 7, "mjpeg")
    whole = with_clips(replace(small_clips(files=data), height=24, width=32), 1)
    copied = replace(whole, data_sets={"files": DataSetConfig(str(small / "manifest.jsonl"), str(small))})
    for config in (whole, copied):
        manifest = Path(config.data_sets["files"].manifest)
        (video,) = (row for row in read_rows(manifest) if isinstance(row, Video))
        write_rows(manifest, [replace(video, num_frames=1 + round(video.fps))])  # one start: the first frame
    first, second = (next(iter(build_clip_loader(config, 1))) for config in (whole, copied))
    assert first.shape == second.shape == (1, 3, 3, 24, 32)
    assert (first.int() - second.int()).abs().float().mean() < 4.0
    assert not torch.equal(first, second), "JPEG loses something"


def test_copies_are_made_once_and_broken_videos_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = picture_data(tmp_path / "dojo", {"a": 5, "b": 5})
    (tmp_path / "dojo" / "b" / "0002.png").write_bytes(b"torn")
    small = tmp_path / "small"
    assert [row.source for row in resize_videos(copies(data, small))] == ["a/0000.mkv"]
    assert "skipped b: " in capsys.readouterr().out
    assert (small / "skipped.csv").read_text().splitlines()[1].startswith("b,")
    assert list((small / "b").iterdir()) == []
    before = (small / "a" / "0000.mkv").stat().st_mtime_ns
    picture_data(tmp_path / "dojo", {"a": 5, "b": 5})
    assert len(resize_videos(copies(data, small))) == 2
    assert (small / "a" / "0000.mkv").stat().st_mtime_ns == before
    with pytest.raises(VideoError, match=r"holds copies with .*'height': 24.*, not .*'height': 12"):
        resize_videos(replace(copies(data, small), height=12))


def test_what_a_killed_run_left_goes_with_the_next_run(tmp_path: Path) -> None:
    data, small = picture_data(tmp_path / "dojo", {"deep/a": 5}), tmp_path / "small"
    script = (
        "import os, signal, sys; from pathlib import Path; from navsim_agents.common.files import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as file:\n    file.touch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(small / "deep" / "a" / "0000.mkv")], cwd=ROOT, check=False)
    assert len(list(small.rglob(".*.mkv"))) == 1
    resize_videos(copies(data, small))
    assert [path.name for path in (small / "deep" / "a").iterdir()] == ["0000.mkv"]


def test_unfit_manifests_and_options_are_refused(tmp_path: Path) -> None:
    data = picture_data(tmp_path / "dojo", {"a": 5})
    with pytest.raises(VideoError, match="quality=0 must be 1 … 31"):
        replace(copies(data, tmp_path), quality=0)
    write_rows(Path(data.manifest), [sequence_row("dojo", "a", 5), sequence_row("covla", "a", 5)])
    with pytest.raises(VideoError, match=r"lists the data sets \['covla', 'dojo'\]"):
        resize_videos(copies(data, tmp_path / "small"))
    write_rows(Path(data.manifest), [sequence_row("dojo", "sensor_blobs/test/log", 5)])
    with pytest.raises(VideoError, match="must not be learnt from"):
        resize_videos(copies(data, tmp_path / "small"))


def test_colours_survive(tmp_path: Path) -> None:
    """Full-range JPEG colours must not be taken for video's limited range: black stays black and white white."""
    data = picture_data(tmp_path / "dojo", {"a": 3})
    resize_videos(copies(data, tmp_path / "small"))
    picture = next(iter(frames_at(tmp_path / "small" / "a" / "0000.mkv", [0.5])))  # number 2
    assert picture[:, :3].max() < 12
    assert np.abs(picture[:, 5:7].astype(int) - 255).max() < 12
