"""Manifests, the guard, and the command that fills one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cache_tools.index_videos import IndexVideosConfig, index_videos
from navsim_agents.errors import VideoError
from navsim_agents.video.guard import check_path, check_split, read_forbidden_logs
from navsim_agents.video.indexing import describe, probe_source
from navsim_agents.video.manifest import Unreadable, Video, read_rows, write_rows
from navsim_agents.world.writers.pickles import dump_portable
from tests.video.videos import lines_of, sequence_row, write_pictures, write_video


def settings(folder: Path, layout: str, **changes: Any) -> IndexVideosConfig:
    values = {"root": str(folder), "output": str(folder / "m.jsonl"), "workers": 0, **changes}
    return IndexVideosConfig(layout=layout, **values)


def write_log(root: Path, name: str, times_s: list[float], shown: list[int], split: str = "trainval") -> None:
    """A log of frames at ``times_s`` with the pictures of ``shown`` on disk."""
    frames = []
    for number, time_s in enumerate(times_s):
        frame = dict.fromkeys(
            ("scene_token", "map_location", "roadblock_ids", "ego2global_translation", "ego2global_rotation"), ""
        )
        frame.update(dict.fromkeys(("ego_dynamic_state", "traffic_lights", "driving_command"), ""))
        picture = f"{name}/CAM_F0/{number:04d}.png"
        frame.update(token=str(number), timestamp=round(1e6 * time_s), log_name=name)
        frames.append({**frame, "cams": {"CAM_F0": {"data_path": picture}}})
    path = root / "navsim_logs" / split / f"{name}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dump_portable(frames))
    folder = write_pictures(root / "sensor_blobs" / split / name / "CAM_F0", len(times_s))
    for number in set(range(len(times_s))) - set(shown):
        (folder / f"{number:04d}.png").unlink()


def test_round_trip(tmp_path: Path) -> None:
    rows = [sequence_row("dojo", "a", 3), Unreadable("covla", "b.mp4", "12-3", "torn")]
    write_rows(tmp_path / "m.jsonl", rows)
    assert read_rows(tmp_path / "m.jsonl") == rows
    assert lines_of(tmp_path / "m.jsonl")[0]["frames"] == ["0000.png", "0001.png", "0002.png"]


def test_lines_that_are_no_rows_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    write_rows(path, [sequence_row("dojo", "a", 3)])
    text = path.read_text()
    for bad, message in (
        (
            text.replace('"fps"', '"fsp"'),
            r"line 1 of .*: a line of the manifest has or lacks the keys \['fsp', 'fps'\]",
        ),
        (text.replace('"num_frames": 3', '"num_frames": 4'), "a names another number of pictures than num_frames"),
        (text.replace('"kind": "images"', '"kind": "radar"'), "kind='radar', but kinds are video, images"),
        (text.replace('"fps": 4.0', '"fps": 0.0'), "fps=0.0 and num_frames=3, but both must be positive"),
        (text[:-5], "line 1 of .* is no row of a manifest"),
    ):
        path.write_text(bad)
        with pytest.raises(VideoError, match=message):
            read_rows(path)
    with pytest.raises(VideoError, match=r"is no file; make the manifest with `drive-jepa index-videos"):
        read_rows(tmp_path / "none.jsonl")


def test_video_folder_is_indexed_with_what_is_unreadable(tmp_path: Path) -> None:
    write_video(tmp_path / "deep" / "b.mp4", 30)
    write_video(tmp_path / "a.mkv", 15, codec="mpeg4")
    (tmp_path / "c.mp4").write_bytes(b"torn")
    (tmp_path / "notes.txt").write_text("no video")
    rows = index_videos(settings(tmp_path, "videos", data_set="mine"))
    assert [row.source for row in rows] == ["a.mkv", "c.mp4", "deep/b.mp4"]
    _, torn, last = rows
    assert isinstance(last, Video)
    assert (last.data_set, last.fps, last.num_frames, last.duration_s, last.codec) == ("mine", 10.0, 30, 3.0, "h264")
    assert isinstance(torn, Unreadable)
    assert "cannot be decoded" in torn.error
    assert read_rows(tmp_path / "m.jsonl") == rows
    text = describe(rows)
    assert text.startswith("mine: 2 videos, 0.00 h, 1 unreadable")
    assert "fps: 10 (2)" in text
    assert "duration: 1.5 … 3.0 … 3.0 s" in text
    assert "unreadable: c.mp4: " in text


def test_manifests_of_earlier_versions_are_refused_and_indexed_anew(tmp_path: Path) -> None:
    """They do not say what tells the frames of a file apart; those of pictures lack nothing."""
    write_video(tmp_path / "a.mp4", 12)
    rows = index_videos(settings(tmp_path, "videos"))
    manifest = tmp_path / "m.jsonl"
    values = lines_of(manifest)[0]
    del values["clock"], values["first_tick"]
    manifest.write_text(json.dumps(values) + "\n")
    with pytest.raises(
        VideoError, match=r"m.jsonl does not say what tells the frames of a.mp4 apart, .* `drive-jepa index-videos"
    ):
        read_rows(manifest)
    manifest.with_name("m.jsonl.partial").write_text(manifest.read_text() * 2)
    assert index_videos(settings(tmp_path, "videos")) == rows == read_rows(manifest)
    write_rows(manifest, [sequence_row("dojo", "a", 3)])
    assert "clock" not in lines_of(manifest)[0]


def test_processes_find_the_same(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_pictures(tmp_path / "videos" / name, 3)
    alone = index_videos(settings(tmp_path, "drivingdojo"))
    (tmp_path / "m.jsonl").unlink()
    assert index_videos(settings(tmp_path, "drivingdojo", workers=2)) == alone
    assert [row.path for row in alone if isinstance(row, Video)] == ["videos/a", "videos/b", "videos/c"]


def test_only_new_and_changed_sources_are_probed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        write_pictures(tmp_path / name, 3)
    index_videos(settings(tmp_path, "folders", fps=4.0))
    write_pictures(tmp_path / "c", 2)
    write_pictures(tmp_path / "a", 5)
    probed = []
    monkeypatch.setattr("navsim_agents.video.indexing.probe_source", recording(probed))
    rows = index_videos(settings(tmp_path, "folders", fps=4.0))
    assert probed == ["a", "c"]
    assert [row.num_frames for row in rows if isinstance(row, Video)] == [5, 3, 2]
    index_videos(settings(tmp_path, "folders", fps=8.0))
    assert probed == ["a", "c", "a", "b", "c"]


def test_what_could_not_be_read_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        write_pictures(tmp_path / name, 3)

    def fail_at_b(layout: Any, source: str) -> Any:
        broken = [Unreadable("folders", "b", layout.stamp("b"), "disk busy")]
        return (source, broken) if source == "b" else probe_source(layout, source)

    with monkeypatch.context() as patch:
        patch.setattr("navsim_agents.video.indexing.probe_source", fail_at_b)
        assert isinstance(index_videos(settings(tmp_path, "folders", fps=4.0))[1], Unreadable)
    rows = index_videos(settings(tmp_path, "folders", fps=4.0))
    assert [type(row) for row in rows] == [Video, Video]


def test_missing_pyav_marks_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4", 12)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "av", None)
        with pytest.raises(VideoError, match="decoding video files needs PyAV"):
            index_videos(settings(tmp_path, "videos"))
    assert not list(tmp_path.glob("m.jsonl*"))
    index_videos(settings(tmp_path, "videos"))
    monkeypatch.setitem(sys.modules, "av", None)
    assert len(index_videos(settings(tmp_path, "videos"))) == 1  # nothing to probe


def recording(probed: list[str]) -> Any:
    def probe(layout: Any, source: str) -> Any:
        probed.append(source)
        return probe_source(layout, source)

    return probe


def test_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        write_pictures(tmp_path / name, 3)
    whole = index_videos(settings(tmp_path, "folders", fps=4.0))
    (tmp_path / "m.jsonl").rename(tmp_path / "whole.jsonl")
    probed: list[str] = []

    def stop_at_c(layout: Any, source: str) -> Any:
        if source == "c":
            raise KeyboardInterrupt
        return recording(probed)(layout, source)

    with monkeypatch.context() as patch:
        patch.setattr("navsim_agents.video.indexing.probe_source", stop_at_c)
        with pytest.raises(KeyboardInterrupt):
            index_videos(settings(tmp_path, "folders", fps=4.0))
    assert not (tmp_path / "m.jsonl").exists()
    with (tmp_path / "m.jsonl.partial").open("a") as file:
        file.write('{"data_set": "fol')  # torn while it was written
    probed.clear()
    monkeypatch.setattr("navsim_agents.video.indexing.probe_source", recording(probed))
    assert index_videos(settings(tmp_path, "folders", fps=4.0)) == whole
    assert probed == ["b", "c"]  # b's rows were the last ones: they might not have been all
    assert not (tmp_path / "m.jsonl.partial").exists()


def test_log_becomes_a_video_for_every_unbroken_run(tmp_path: Path) -> None:
    times = [0.0, 0.5, 1.0, 1.5, 4.0, 4.5, 5.0]
    write_log(tmp_path, "log", times, shown=[0, 1, 3, 4, 5, 6])
    write_log(tmp_path, "dark", times, shown=[])
    rows = index_videos(settings(tmp_path, "navsim"))
    dark, *videos = rows
    assert isinstance(dark, Unreadable)
    assert "none of the 7 frames of navsim_logs/trainval/dark.pkl has its CAM_F0" in dark.error
    assert [video.frame_names.split("\n") for video in videos if isinstance(video, Video)] == [
        ["0000.png", "0001.png"],
        ["0003.png"],
        ["0004.png", "0005.png", "0006.png"],
    ]
    assert {(row.path, row.fps) for row in videos} == {("sensor_blobs/trainval/log/CAM_F0", 2.0)}


def test_pictures_that_come_later_are_seen(tmp_path: Path) -> None:
    write_log(tmp_path, "log", [0.0, 0.5, 1.0], shown=[0])
    assert [row.num_frames for row in index_videos(settings(tmp_path, "navsim"))] == [1]
    write_pictures(tmp_path / "sensor_blobs" / "trainval" / "log" / "CAM_F0", 3)
    assert [row.num_frames for row in index_videos(settings(tmp_path, "navsim"))] == [3]


@pytest.mark.parametrize("split", ["test", "mini", "navtest", "private_test_hard"])
def test_test_data_is_refused(tmp_path: Path, split: str) -> None:
    write_log(tmp_path, "log", [0.0, 0.5], shown=[0, 1], split=split)
    message = f"split='{split}' must not be learnt from: only trainval and navtrain hold training logs"
    with pytest.raises(VideoError, match=message):
        index_videos(settings(tmp_path, "navsim", split=split))
    with pytest.raises(VideoError, match=message):
        check_path(f"sensor_blobs/{split}/log/CAM_F0")


def test_test_data_is_refused_by_any_name_of_a_folder() -> None:
    for path in ("navhard_two_stage/sensor_blobs/x", "data/navtest/a", "warmup_two_stage/x"):
        with pytest.raises(VideoError, match="must not be learnt from"):
            check_path(path)
    check_path("sensor_blobs/trainval/log/CAM_F0")
    check_path("videos/test_drive.mp4")
    check_split("navtrain")


@pytest.mark.parametrize("layout", ["folders", "videos"])
def test_test_data_is_refused_above_the_root_and_behind_links(tmp_path: Path, layout: str) -> None:
    message = "split='test' must not be learnt from"
    root = tmp_path / "sensor_blobs" / "test" / "log"
    write_pictures(root / "CAM_F0", 2)
    (root / "CAM_F0" / "a.mp4").touch()
    with pytest.raises(VideoError, match=message):
        index_videos(settings(root, layout, fps=4.0))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "link").symlink_to(root / "CAM_F0")
    (tmp_path / "linked").symlink_to(root)
    for place in (tmp_path / "mine", tmp_path / "linked"):
        with pytest.raises(VideoError, match=message):
            check_path("link" if place.name == "mine" else "CAM_F0", place)


def test_a_link_to_test_pictures_is_no_training_split(tmp_path: Path) -> None:
    write_log(tmp_path, "log", [0.0, 0.5], shown=[0, 1])
    (tmp_path / "sensor_blobs" / "trainval").rename(tmp_path / "sensor_blobs" / "test")
    (tmp_path / "sensor_blobs" / "trainval").symlink_to(tmp_path / "sensor_blobs" / "test")
    with pytest.raises(VideoError, match="split='test' must not be learnt from"):
        index_videos(settings(tmp_path, "navsim"))


def test_folders_above_the_root_may_be_called_anything(tmp_path: Path) -> None:
    root = tmp_path / "navtest_x" / "private_test_y" / "sensor_blobs" / "trainval"
    write_pictures(root / "log", 2)
    assert len(index_videos(settings(root, "folders", fps=4.0))) == 1
    with pytest.raises(VideoError, match="split='navtest_x' must not be learnt from"):
        check_path("navtest_x/log", root)


def test_listed_logs_are_refused_wherever_they_lie(tmp_path: Path) -> None:
    write_log(tmp_path, "log", [0.0, 0.5], shown=[0, 1])
    (tmp_path / "names.txt").write_text("other\nlog\n")
    with pytest.raises(VideoError, match="log log is one of the 2 logs that must not be learnt from"):
        index_videos(settings(tmp_path, "navsim", forbidden_logs=str(tmp_path / "names.txt")))
    (tmp_path / "filter.yaml").write_text(
        "_target_: SceneFilter\nnum_frames: 14\nlog_names:\n  - '2021.a'\n  # note\n  - 2021.b\ntokens:\n- log\n"
    )
    assert read_forbidden_logs(tmp_path / "filter.yaml") == {"2021.a", "2021.b"}
    assert len(index_videos(settings(tmp_path, "navsim", forbidden_logs=str(tmp_path / "filter.yaml")))) == 1
    (tmp_path / "empty.yaml").write_text("log_names: null\ntokens:\n  - a\n")
    with pytest.raises(VideoError, match=r"forbidden_logs=.* names no log"):
        read_forbidden_logs(tmp_path / "empty.yaml")


def test_wrong_roots_and_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="layout='waymo' is unknown; choose from videos, covla"):
        index_videos(settings(tmp_path, "waymo"))
    with pytest.raises(VideoError, match="videos is no folder, but CovlaVideos expects one"):
        index_videos(settings(tmp_path, "covla"))
    with pytest.raises(VideoError, match=r"fps=0\.0 must be positive: pictures do not tell their rate"):
        index_videos(settings(tmp_path, "folders"))
    with pytest.raises(VideoError, match="holds nothing that VideoFiles reads"):
        index_videos(settings(tmp_path, "videos"))
