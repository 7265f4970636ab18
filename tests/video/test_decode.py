"""Frames at given times: every codec, odd rates, uneven times, turned pictures, torn files."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from navsim_agents.errors import VideoError
from navsim_agents.video.clip import fit_picture
from navsim_agents.video.decode import open_video
from navsim_agents.video.probe_file import probe_file
from tests.video.videos import frames_at, number_of, write_video

NTSC = Fraction(30000, 1001)
FILM = Fraction(24000, 1001)


def numbers_at(path: Path, times: list[float]) -> list[int]:
    return [number_of(picture) for picture in frames_at(path, times)]


def nearest(times: list[float], rate: Fraction) -> list[int]:
    """Half up, in exact arithmetic."""
    return [int(Fraction(time).limit_denominator(10**6) * rate + Fraction(1, 2)) for time in times]


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.mp4", "libx264", Fraction(25)),
        ("b.mp4", "libx264", NTSC),
        ("c.mkv", "libx264", FILM),
        ("d.mp4", "mpeg4", Fraction(15)),
        ("e.avi", "mpeg4", Fraction(10)),
        ("f.webm", "libvpx-vp9", NTSC),
        ("g.mkv", "mjpeg", Fraction(7)),
        ("h.mp4", "libx265", Fraction(20)),
        ("i.ts", "libx264", Fraction(25)),
    ],
)
def test_frames_of_every_codec_are_the_nearest_in_time(tmp_path: Path, name: str, codec: str, rate: Fraction) -> None:
    path = write_video(tmp_path / name, 61, rate, codec, options={"x265-params": "log-level=none"})
    begin = [0.0, 7 / float(rate), 31 / float(rate)]
    for start in begin:
        times = [start + 0.5 * index for index in range(4) if (start + 0.5 * index) * rate < 60]
        assert numbers_at(path, times) == nearest(times, rate)


def test_halfway_takes_the_later_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 40, Fraction(25))
    assert numbers_at(path, [0.0, 0.5, 1.0, 1.5]) == [0, 13, 25, 38]


def test_uneven_times_are_followed(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 0.7, 0.8, 1.4, 1.5, 2.0]
    path = write_video(tmp_path / "a.mkv", len(times), Fraction(10), times=times)
    assert numbers_at(path, [0.0, 0.5, 1.0, 1.5, 2.0]) == [0, 3, 4, 6, 7]


def test_last_frame_can_be_had_and_nothing_after_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 21, Fraction(10))
    assert numbers_at(path, [1.5, 2.0]) == [15, 20]
    with pytest.raises(VideoError, match=r"a.mp4 ends at 2.00 s, but a frame at 2.50 s is wanted"):
        numbers_at(path, [1.5, 2.0, 2.5])


def turn_display_matrix(path: Path, turns: int) -> None:
    """Write a rotation into an MP4's track header (ISO 14496-12): 16.16 fixed point, last column 2.30."""
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][turns]
    one, whole = 1 << 16, 1 << 30
    data = path.read_bytes()
    old = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, whole)
    at = data.index(old, data.index(b"tkhd"))
    new = struct.pack(">9i", cos * one, sin * one, 0, -sin * one, cos * one, 0, 0, 0, whole)
    path.write_bytes(data[:at] + new + data[at + len(old) :])


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_pictures_are_turned_back(tmp_path: Path, turns: int) -> None:
    """A matrix that turns by 90 degrees clockwise, as a phone held upright writes it."""
    path = write_video(tmp_path / "a.mp4", 6)
    (plain,) = frames_at(path, [0.5])
    turn_display_matrix(path, turns)
    (turned,) = frames_at(path, [0.5])
    assert np.abs(turned.astype(int) - np.rot90(plain, -turns)).max() <= 2
    facts = probe_file(path)
    assert (facts.height, facts.width) == turned.shape[:2]


def test_facts_are_counted_not_believed(tmp_path: Path) -> None:
    facts = probe_file(write_video(tmp_path / "a.mkv", 33, NTSC))
    assert (facts.num_frames, facts.width, facts.height, facts.codec) == (33, 64, 48, "h264")
    assert facts.clock.fps == pytest.approx(29.97, abs=0.05)


def test_cut_off_file_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 60, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: int(0.7 * path.stat().st_size)])
    with pytest.raises(VideoError, match=r"a.mp4 holds \d+ frames, but its header says 60: the file is cut off"):
        probe_file(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_titles_in_other_encodings_do_no_harm(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, 15, title="caf\u00e9")
    path.write_bytes(path.read_bytes().replace("caf\u00e9".encode(), b"caf\xe9\xe9"))
    assert probe_file(path).num_frames == 15
    assert numbers_at(path, [0.5]) == [5]


def test_a_torn_last_frame_is_found(tmp_path: Path) -> None:
    """Its packet is there, and so is the keyframe before it."""
    path = write_video(tmp_path / "a.mp4", 32)  # keyframes 0, 8, 16, 24
    with av.open(str(path)) as container:
        last = [packet for packet in container.demux(video=0) if packet.size][-1]
        place, size = last.pos, last.size
    data = path.read_bytes()
    path.write_bytes(data[:place] + b"\xff" * size + data[place + size :])
    with pytest.raises(VideoError, match=r"a.mp4 cannot be decoded .*; replace or remove the file"):
        probe_file(path)


def test_files_without_a_frame_that_can_be_decoded_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", 15)
    monkeypatch.setattr("navsim_agents.video.probe_file.decode_packets", lambda *_: iter(()))
    with pytest.raises(VideoError, match=r"no frame of .*a.mp4 can be decoded"):
        probe_file(path)


@pytest.mark.parametrize(
    "error", [UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), StopIteration(), ValueError("odd"), IndexError("odd")]
)
def test_surprises_while_a_file_is_open_name_the_file(tmp_path: Path, error: Exception) -> None:
    path = write_video(tmp_path / "a.mp4", 15)
    with pytest.raises(VideoError, match=r"a.mp4 cannot be decoded \(.+\); replace"), open_video(path):
        raise error


@pytest.mark.parametrize("content", [b"", b"no video at all" * 50])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"a.mp4 cannot be decoded .*; replace or remove the file"):
        probe_file(path)
    with pytest.raises(VideoError, match="cannot be decoded"):
        list(frames_at(tmp_path / "missing.mp4", [0.0]))


def test_pictures_and_their_resize_are_opencvs(tmp_path: Path) -> None:
    """Colours may differ by rounding: OpenCV brings its own FFmpeg."""
    path = write_video(tmp_path / "a.mp4", 15, size=(320, 200))
    capture = cv2.VideoCapture(str(path))
    theirs = [cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB) for _ in range(15)]
    ours = list(frames_at(path, [0.2, 0.7, 1.2]))
    for picture, number in zip(ours, (2, 7, 12)):
        assert np.abs(picture.astype(int) - theirs[number]).max() <= 3
        resized = cv2.resize(picture[10:-10], (96, 48))
        assert np.abs(fit_picture(picture, 10, 96, 48).astype(int) - resized).max() <= 1
