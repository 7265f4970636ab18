"""What a video file holds: found by reading all its packets, and decoding as much as is needed to trust them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Optional

from navsim_agents.errors import VideoError
from navsim_agents.video.clock import (
    COUNT,
    DECODING,
    PRESENTATION,
    FrameClock,
    decode_packets,
    from_keyframe,
    packets_of,
)
from navsim_agents.video.decode import QUARTER_TURN, open_before, open_video

FPS_DIGITS = 4
MOV, AVI, TRANSPORT = "mov", "avi", "mpegts"
STORES_TIMES = (MOV, "matroska", TRANSPORT, "flv")
"""Containers that store when each frame is shown; of the others' times, many are FFmpeg's guesses."""
HIDES_FRAMES = ("vp8",)
"""Codecs with packets that are never shown."""


@dataclass(frozen=True)
class VideoFacts:
    """Sizes of one video file, and what tells its frames apart."""

    clock: FrameClock
    num_frames: int  # that are shown
    width: int  # px, as shown
    height: int
    codec: str


@dataclass(frozen=True)
class PacketFacts:
    """A packet without its data."""

    pts: Optional[int]
    dts: Optional[int]
    position: Optional[int]
    is_keyframe: bool
    is_discard: bool  # decoded because others depend on it, but not shown


@dataclass(frozen=True)
class Listing:
    """All packets of a file's video from the first keyframe on, and what the file says of itself."""

    packets: Sequence[PacketFacts]
    container: str
    codec: str
    tick_s: float
    rate: float  # frames a second; 0 where the file does not tell


def probe_file(path: Path) -> VideoFacts:
    """Facts of ``path``; headers are not trusted, since a broken download keeps them.

    Where the container stores the times of all frames, the first frame and everything from the last keyframe on are
    decoded, and must come as the packets say; what is damaged between them shows when a clip is read. Otherwise all
    frames are decoded.

    Raises:
        VideoError: the file is missing or damaged, or has fewer frames than its header says.
    """
    listing = list_packets(path)
    clock, num_frames = _stored_times(path, listing) or _decoded_times(path, listing)
    with open_video(path) as (container, stream):
        frame = next(decode_packets(from_keyframe(packets_of(container, stream))))
        is_turned = round(frame.rotation / QUARTER_TURN) % 2 == 1
        width, height = (frame.height, frame.width) if is_turned else (frame.width, frame.height)
    return VideoFacts(clock, num_frames, width, height, listing.codec)


def list_packets(path: Path) -> Listing:
    """All packets of ``path``.

    Raises:
        VideoError: there is none that can be decoded by itself, or there are fewer than the file's header says.
    """
    with open_video(path) as (container, stream):
        packets = [
            PacketFacts(packet.pts, packet.dts, packet.pos, packet.is_keyframe, packet.is_discard)
            for packet in packets_of(container, stream)
            if packet.size
        ]
        promised = stream.frames
        listing = Listing(
            list(from_keyframe(packets)),
            container.format.name.split(",")[0],
            stream.codec_context.name,
            float(stream.time_base),
            float(stream.average_rate or stream.guessed_rate or 0),
        )
    if not listing.packets:
        raise VideoError(f"{path} holds no frame that can be decoded by itself; replace or remux the file")
    held = _held_frames(path, packets, listing.container) if promised > len(packets) else promised
    if promised > held:
        raise VideoError(f"{path} holds {held} frames, but its header says {promised}: the file is cut off; replace it")
    return listing


def _held_frames(path: Path, packets: Sequence[PacketFacts], container: str) -> int:
    """Frames in the file, with those that its container leaves out when it is read: dropped (AVI) or cut (MP4)."""
    if container == AVI and packets and packets[-1].dts is not None:
        return max(len(packets), packets[-1].dts + 1)
    if container != MOV:
        return len(packets)
    with open_video(path, {"ignore_editlist": "1"}) as (whole, stream):
        return max(len(packets), sum(1 for packet in whole.demux(stream) if packet.size))


def _stored_times(path: Path, listing: Listing) -> Optional[tuple[FrameClock, int]]:
    """Clock and number of the shown frames by the packets' presentation times; None where those are not enough."""
    if listing.codec in HIDES_FRAMES or not _has_times(listing):
        return None
    ticks = sorted(packet.pts for packet in listing.packets if packet.pts is not None and not packet.is_discard)
    begin = FrameClock(PRESENTATION, ticks[0], 1.0)
    first = _decoded_ticks(path, begin, 0.0, at_most=1)
    last = _decoded_ticks(path, begin, (ticks[-1] - ticks[0]) * listing.tick_s)
    if not first or not last or first[0] not in ticks or last != ticks[bisect_left(ticks, last[0]) :]:
        return None
    shown = ticks[ticks.index(first[0]) :]
    return FrameClock(PRESENTATION, first[0], _rate(shown, listing)), len(shown)


def _has_times(listing: Listing) -> bool:
    """Whether every packet has a presentation time of its own, and keyframes are shown after all that precede them."""
    latest: Optional[int] = None
    for packet in listing.packets:
        if packet.pts is None or (packet.is_keyframe and latest is not None and packet.pts <= latest):
            return False
        latest = packet.pts if latest is None else max(latest, packet.pts)
    times = {packet.pts for packet in listing.packets}
    # Of several frames that begin in one place of a transport stream, only the first one's time is stored.
    places = {packet.position for packet in listing.packets} if listing.container == TRANSPORT else times
    return listing.container in STORES_TIMES and len(times) == len(places) == len(listing.packets)


def _decoded_ticks(path: Path, clock: FrameClock, time_s: float, at_most: Optional[int] = None) -> list[int]:
    """Times of the shown frames from a keyframe at or before ``time_s`` on; none where a frame has no time."""
    with open_before(path, clock, time_s) as (_, packets):
        ticks = [clock.tick(frame) for frame in islice(decode_packets(packets), at_most)]
    known = [tick for tick in ticks if tick is not None]
    return known if len(known) == len(ticks) else []


def _decoded_times(path: Path, listing: Listing) -> tuple[FrameClock, int]:
    """Clock and number of the shown frames by decoding them all.

    Raises:
        VideoError: none can be decoded.
    """
    with open_video(path) as (container, stream):
        frames = decode_packets(from_keyframe(packets_of(container, stream)))
        times = [(frame.pts, frame.dts) for frame in frames]
    if not times:
        raise VideoError(f"no frame of {path} can be decoded; replace or remove the file")
    shown, decoded = [pts for pts, _ in times], [dts for _, dts in times]
    if _has_times(listing) and _ascend(shown):
        return FrameClock(PRESENTATION, shown[0], _rate(shown, listing)), len(times)
    # Equal to the packets' times only where the decoder gives each frame at once, so that nothing is reordered.
    if listing.container == AVI and _ascend(decoded) and decoded == [packet.dts for packet in listing.packets]:
        return FrameClock(DECODING, decoded[0], _rate(decoded, listing)), len(times)
    frames_a_packet = len(times) / len(listing.packets)
    return FrameClock(COUNT, 0, round(frames_a_packet * _packet_rate(listing), FPS_DIGITS)), len(times)


def _ascend(ticks: Sequence[Optional[int]]) -> bool:
    return None not in ticks and all(one < other for one, other in zip(ticks, ticks[1:]))  # type: ignore[operator]


def _rate(ticks: Sequence[int], listing: Listing) -> float:
    """Mean frames a second between the first and the last of ``ticks``."""
    span_s = (ticks[-1] - ticks[0]) * listing.tick_s
    return round((len(ticks) - 1) / span_s if span_s > 0 else listing.rate, FPS_DIGITS)


def _packet_rate(listing: Listing) -> float:
    """Mean packets a second between the first and the last that have a time; the file's own claim without them."""
    numbers = [number for number, packet in enumerate(listing.packets) if packet.dts is not None]
    ticks = [packet.dts for packet in listing.packets if packet.dts is not None]
    if len(ticks) < 2 or not _ascend(ticks):
        return listing.rate
    return (numbers[-1] - numbers[0]) / ((ticks[-1] - ticks[0]) * listing.tick_s)
