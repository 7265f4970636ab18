"""Frame k is frame k: every container and codec that PyAV writes, plain, cut, shifted, fragmented, uneven."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cache_tools.index_videos import IndexVideosConfig, index_videos
from navsim_agents.errors import VideoError
from navsim_agents.video.clip import read_pictures
from navsim_agents.video.clock import COUNT, DECODING, PRESENTATION, decode_packets
from navsim_agents.video.config import ClipDataConfig, DataSetConfig
from navsim_agents.video.layouts import VideoFiles
from navsim_agents.video.loader import build_clip_loader
from navsim_agents.video.manifest import Video
from tests.video.containers import (
    CENTRAL,
    COMBINATIONS,
    GOP,
    NUM_FRAMES,
    RATE,
    Combination,
    decode_slowly,
    keyframe_before,
    remux,
    write_combination,
)
from tests.video.videos import HEIGHT, WIDTH, number_of, numbers_in

UNWRITABLE = (ValueError, LookupError, av.FFmpegError)
CLIP = (0, 3, 6)
"""Frames of a clip, from its first."""


def indexed(path: Path) -> Video:
    (video,) = VideoFiles("a", path.parent).probe(path.name)
    return video


def numbers_at(path: Path, video: Video, frames: list[int]) -> list[int]:
    pictures = read_pictures(video, [frame / video.fps for frame in frames], path.parent)
    return [number_of(picture) for picture in pictures]


def check_every_frame(path: Path, expected: list[int]) -> Video:
    """All frames alone in random order, and clips from everywhere, are ``expected``, and nothing comes after them."""
    video = indexed(path)
    assert video.num_frames == len(expected)
    assert video.fps == pytest.approx(float(RATE), rel=2e-3)
    assert video.duration_s == pytest.approx(len(expected) / float(RATE), rel=2e-3)
    order = [int(frame) for frame in np.random.default_rng(0).permutation(len(expected))]
    assert [numbers_at(path, video, [frame])[0] for frame in order] == [expected[frame] for frame in order]
    for start in range(0, len(expected) - CLIP[-1], 5):
        frames = [start + offset for offset in CLIP]
        assert numbers_at(path, video, frames) == [expected[frame] for frame in frames]
    with pytest.raises(VideoError, match="is wanted; index the videos again"):
        numbers_at(path, video, [len(expected)])
    return video


def test_the_central_combinations_are_all_tried() -> None:
    assert set(CENTRAL) < set(COMBINATIONS)
    assert len(CENTRAL) == 20


@pytest.mark.parametrize("combination", COMBINATIONS, ids=str)
def test_frame_k_is_frame_k(tmp_path: Path, combination: Combination) -> None:
    path = tmp_path / f"a.{combination.container}"
    try:
        write_combination(path, combination.codec, combination.b_frames)
        shown = [number for _, number in decode_slowly(path)]
    except UNWRITABLE as error:
        if combination in CENTRAL:
            raise
        pytest.skip(f"PyAV {av.__version__} does not write {combination}: {error}")
    assert shown == list(range(NUM_FRAMES))
    check_every_frame(path, shown)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video", "mpeg4"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov", "a.mpg"])
def test_open_groups_of_pictures(tmp_path: Path, name: str, codec: str) -> None:
    """Frames that come after a keyframe and are shown before it need the group before."""
    path = write_combination(tmp_path / name, codec, 2, is_open=True)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keyframe = packets[[packet.is_keyframe for packet in packets[1:]].index(True) + 1]
    if name != "a.mpg":  # which does not store all times
        assert sum(packet.pts < keyframe.pts for packet in packets) > packets.index(keyframe)
    check_every_frame(path, list(range(NUM_FRAMES)))


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video", "mpeg4"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_frames_cut_off_by_an_edit_list_are_not_there(tmp_path: Path, name: str, codec: str, b_frames: int) -> None:
    """As ``-ss … -c copy`` writes it: from the keyframe before on, with an edit list that begins at frame 11."""
    whole = write_combination(tmp_path / f"whole.{name[2:]}", codec, b_frames)
    begin = keyframe_before(whole, 11)
    path = remux(whole, tmp_path / name, lambda number: number >= begin, -11 / RATE)
    with av.open(str(path)) as container:
        hidden = sum(packet.is_discard for packet in container.demux(video=0))
    assert begin > 0
    assert hidden > 0
    video = check_every_frame(path, list(range(11, NUM_FRAMES)))
    assert (video.clock, video.duration_s) == (PRESENTATION, 0.72)


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_whole_groups_cut_off_by_an_edit_list_are_not_missed(tmp_path: Path, name: str, b_frames: int) -> None:
    """As phones trim: all frames are still in the file, and its header counts them."""
    whole = write_combination(tmp_path / f"whole.{name[2:]}", "libx264", b_frames)
    path = remux(whole, tmp_path / name, shift_s=-19 / RATE)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames > sum(1 for packet in container.demux(video=0) if packet.size)
    check_every_frame(path, list(range(19, NUM_FRAMES)))


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video", "mpeg4"])
@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_recordings_that_begin_between_keyframes(tmp_path: Path, name: str, codec: str) -> None:
    """What comes before the first keyframe cannot be decoded, and is not shown as rubbish."""
    whole = write_combination(tmp_path / f"whole.{'ts' if name == 'a.ts' else 'mp4'}", codec, 0)
    path = remux(whole, tmp_path / name, lambda number: number >= 3, -3 / RATE)
    check_every_frame(path, list(range(GOP, NUM_FRAMES)))


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
def test_first_times_other_than_zero(tmp_path: Path, name: str, codec: str, b_frames: int) -> None:
    """Also where the clock of a transport stream, 33 bits of 1/90000 s, runs over within the file."""
    whole = write_combination(tmp_path / "whole.mp4", codec, b_frames)
    begin = Fraction(2**33, 90000) - Fraction(1, 2) if name == "a.ts" else Fraction(37, 4)
    path = remux(whole, tmp_path / name, shift_s=begin)
    check_every_frame(path, list(range(NUM_FRAMES)))


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_fragments(tmp_path: Path, name: str, codec: str, b_frames: int) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"}
    check_every_frame(write_combination(tmp_path / name, codec, b_frames, options=options), list(range(NUM_FRAMES)))


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
def test_uneven_times(tmp_path: Path, name: str, codec: str, b_frames: int) -> None:
    ticks = [int(tick) for tick in np.cumsum(np.random.default_rng(1).integers(1, 7, NUM_FRAMES))]
    path = write_combination(tmp_path / name, codec, b_frames, ticks=ticks)
    video = indexed(path)
    times = [float((tick - ticks[0]) / RATE) for tick in ticks]
    for frame in np.random.default_rng(0).permutation(NUM_FRAMES):
        assert [number_of(picture) for picture in read_pictures(video, [times[frame]], tmp_path)] == [frame]
    assert [number_of(picture) for picture in read_pictures(video, times, tmp_path)] == list(range(NUM_FRAMES))


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.parametrize("name", ["a.ts", "a.mp4", "a.mkv"])
def test_keyframes_far_apart(tmp_path: Path, name: str, codec: str, b_frames: int) -> None:
    """Seeks that land too late go back as far as it takes."""
    ticks = [25 * number for number in range(NUM_FRAMES)]
    path = write_combination(tmp_path / name, codec, b_frames, ticks=ticks)
    video = indexed(path)
    for frame in np.random.default_rng(0).permutation(NUM_FRAMES):
        assert [number_of(picture) for picture in read_pictures(video, [float(frame)], tmp_path)] == [frame]


@pytest.mark.parametrize(
    ("name", "codec", "b_frames"),
    [
        ("a.mp4", "libx264", 2),
        ("a.mkv", "libx265", 2),
        ("a.ts", "libx264", 2),
        ("a.ts", "mpeg2video", 2),
        ("a.webm", "libvpx", 0),
        ("a.avi", "mpeg4", 0),
        ("a.avi", "mjpeg", 0),
    ],
)
def test_no_more_than_a_group_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, codec: str, b_frames: int
) -> None:
    """In transport streams, where seeks go back by steps, two."""
    path = write_combination(tmp_path / name, codec, b_frames, ticks=[10 * number for number in range(NUM_FRAMES)])
    video = indexed(path)
    decoded: list[int] = []

    def counting(packets: Iterator[Any]) -> Iterator[Any]:
        for frame in decode_packets(packets):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr("navsim_agents.video.clock.decode_packets", counting)
    for frame in range(NUM_FRAMES):
        decoded.clear()
        assert numbers_at(path, video, [frame]) == [frame]
        assert 1 <= len(decoded) <= (2 if name == "a.ts" else 1) * GOP + 1


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_several_frames_in_one_packet_of_a_transport_stream(tmp_path: Path, codec: str, b_frames: int) -> None:
    """Then only the first one's time is stored."""
    whole = write_combination(tmp_path / "whole.ts", codec, b_frames)
    path = tmp_path / "a.ts"
    with av.open(str(whole)) as old, av.open(str(path), "w") as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        packets = [packet for packet in old.demux(stream) if packet.size]
        for first, *rest in (packets[start : start + 3] for start in range(0, NUM_FRAMES, 3)):
            joined = av.Packet(b"".join(map(bytes, [first, *rest])))
            joined.pts, joined.dts, joined.time_base, joined.stream = first.pts, first.dts, first.time_base, copy
            joined.is_keyframe = first.is_keyframe
            new.mux(joined)
    assert [number for _, number in decode_slowly(path)] == list(range(NUM_FRAMES))
    assert check_every_frame(path, list(range(NUM_FRAMES))).clock == COUNT


@pytest.mark.parametrize("codec", ["mpeg1video", "mpeg2video", "libx265"])
def test_times_of_program_streams_are_guesses_after_a_seek(tmp_path: Path, codec: str) -> None:
    """A packet holds many small frames and one time; in a longer file, seeks do not lead back to its beginning."""
    path = write_combination(tmp_path / "a.mpg", codec, 2, ticks=range(200))
    video = indexed(path)
    assert video.num_frames == 200
    frames = list(range(0, 200, 7))
    assert [numbers_at(path, video, [frame])[0] for frame in frames] == frames


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.parametrize("second_s", [0, 5, 50])
def test_streams_joined_end_to_end(tmp_path: Path, codec: str, second_s: int) -> None:
    """As recorders join their files: the times of the second, from 0, 5 or 50 s on, follow those from 5 s on."""
    whole = write_combination(tmp_path / "whole.ts", codec, 2)
    parts = [remux(whole, tmp_path / f"{begin}.ts", shift_s=Fraction(begin)).read_bytes() for begin in (5, second_s)]
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(parts))
    shown = [number for _, number in decode_slowly(path)]
    video = indexed(path)
    assert shown == [*range(NUM_FRAMES)] * 2
    assert video.num_frames == 2 * NUM_FRAMES
    if second_s == 50:
        pictures = read_pictures(video, [0.0, 0.6, 45.0, 46.0], tmp_path)
        assert [number_of(picture) for picture in pictures] == [0, 15, 0, 25]
        return
    assert (video.clock, video.fps) == (COUNT, 25.0)
    assert [numbers_at(path, video, [frame])[0] for frame in range(2 * NUM_FRAMES)] == shown


def test_clips_of_files_of_all_kinds_are_all_read(tmp_path: Path) -> None:
    """Through index and loader: every clip shows every fifth frame, and no file fails."""
    folder = tmp_path / "videos"
    folder.mkdir()
    whole = write_combination(tmp_path / "whole.mp4", "libx264", 2)
    begin = keyframe_before(whole, 11)
    remux(whole, folder / "cut.mp4", lambda number: number >= begin, -11 / RATE)
    for name, codec in (("a.ts", "mpeg2video"), ("b.mpg", "libx264"), ("c.avi", "libx264"), ("d.mkv", "libx265")):
        write_combination(folder / name, codec, 2)
    rows = index_videos(IndexVideosConfig("videos", str(folder), str(tmp_path / "m.jsonl"), "mine", workers=0))
    assert [row.num_frames for row in rows if isinstance(row, Video)] == [29, 29, 29, 18, 29]
    data_sets = {"mine": DataSetConfig(str(tmp_path / "m.jsonl"), str(folder))}
    loader = build_clip_loader(ClipDataConfig(data_sets, 3, 5.0, height=HEIGHT, width=WIDTH), 1)
    for _ in range(12):
        for batch in loader:
            ((first, *others),) = numbers_in(batch)
            assert others == [first + 5, first + 10]
    assert loader.report() == {}


def test_frames_dropped_by_avi_leave_their_time(tmp_path: Path) -> None:
    """AVI has an empty packet for each; its header counts them."""
    ticks = [0, 1, 2, 5, 6, 7, 9, 10, 15, 16, 17, 18]
    path = write_combination(tmp_path / "a.avi", "mpeg4", ticks=ticks)
    video = indexed(path)
    assert (video.num_frames, video.clock) == (len(ticks), DECODING)
    for number, tick in enumerate(ticks):
        assert [number_of(picture) for picture in read_pictures(video, [float(tick / RATE)], tmp_path)] == [number]


def test_a_clock_is_trusted_where_it_holds(tmp_path: Path) -> None:
    """Files are decoded from the beginning only where nothing else is certain."""
    for name, codec, b_frames, clock in (
        ("a.mp4", "libx264", 2, PRESENTATION),
        ("b.ts", "libx264", 2, PRESENTATION),
        ("c.mkv", "libvpx", 0, PRESENTATION),
        ("d.avi", "mjpeg", 0, DECODING),
        ("e.avi", "libx264", 0, DECODING),
        ("f.avi", "libx264", 2, COUNT),
        ("g.mpg", "mpeg2video", 0, COUNT),
    ):
        assert indexed(write_combination(tmp_path / name, codec, b_frames)).clock == clock


def test_packets_that_are_never_shown_are_no_frames(tmp_path: Path) -> None:
    """VP8 may keep a frame for others to refer to: bit 4 of its first byte says whether it is shown (RFC 6386, 9.1)."""
    path = write_combination(tmp_path / "a.webm", "libvpx")
    with av.open(str(path)) as container:
        data = bytes([packet for packet in container.demux(video=0) if packet.size][5])
    path.write_bytes(path.read_bytes().replace(data, bytes([data[0] & ~16]) + data[1:]))
    video = indexed(path)
    assert video.num_frames == NUM_FRAMES - 1
    for frame in [*range(5), *range(6, NUM_FRAMES)]:
        pictures = read_pictures(video, [float(frame / RATE)], tmp_path)
        assert [number_of(picture) for picture in pictures] == [frame]


@pytest.mark.parametrize("share", [0.5, 0.63, 0.71, 0.98])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video", "mpeg4"])
def test_a_stream_that_ends_within_a_frame_is_read_to_its_last_whole_one(
    tmp_path: Path, codec: str, share: float
) -> None:
    """Transport streams are recorded so; the decoder may give the torn frame, too."""
    path = write_combination(tmp_path / "a.ts", codec, 2)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    video, shown = indexed(path), decode_slowly(path)
    assert video.num_frames == len(shown) > 10
    for time_s, number in shown[:-1]:
        pictures = read_pictures(video, [time_s - shown[0][0]], tmp_path)
        assert [number_of(picture) for picture in pictures] == [number]


def test_times_that_do_not_ascend_are_refused(tmp_path: Path) -> None:
    """They are not guessed, should a manifest claim what does not hold."""
    path = write_combination(tmp_path / "a.avi", "libx264", 2)
    video = Video(**{**indexed(path).__dict__, "clock": PRESENTATION})
    with pytest.raises(VideoError, match=r"a.avi has a frame of time \d+ after one of \d+, but times must ascend"):
        numbers_at(path, video, [0, 20])


def test_video_that_ffmpeg_cannot_decode_is_named(tmp_path: Path) -> None:
    path = write_combination(tmp_path / "a.mpg", "mjpeg")
    with pytest.raises(VideoError, match=r"a.mpg has no video that FFmpeg can decode; convert or remove the file"):
        indexed(path)
