"""How the frames of a video file are told apart, and from which places a file can be read reliably."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, dropwhile
from math import floor
from typing import Any, Optional

from navsim_agents.errors import VideoError

PRESENTATION, DECODING, COUNT = "pts", "dts", "count"
KINDS_OF_CLOCK = (PRESENTATION, DECODING, COUNT)
FIRST_STEP_S = 1
"""Seeks that land too late are repeated this much earlier, then twice as much, and so on."""


@dataclass(frozen=True)
class FrameClock:
    """What tells the frames of one file apart.

    ``pts``: the presentation times that it stores. ``dts``: the times of decoding, where frames are shown in the order
    of decoding. ``count``: nothing but the order in which they are shown, evenly spaced from the first one on.
    """

    kind: str
    first_tick: int  # time of the first shown frame in the stream's time base; 0 where frames are counted
    fps: float

    def tick(self, part: Any) -> Optional[int]:
        """Time of a packet or frame in the stream's time base."""
        tick: Optional[int] = part.pts if self.kind == PRESENTATION else part.dts
        return tick


def packets_of(container: Any, stream: Any) -> Iterator[Any]:
    """What the container gives next; the last one is empty and tells the decoder that this is all.

    Other empty packets, as for a dropped frame, would end the decoding and are left out.
    """
    return (packet for packet in container.demux(stream) if packet.size or packet.dts is None)


def from_keyframe(packets: Iterable[Any]) -> Iterator[Any]:
    """``packets`` from the first keyframe on: some decoders make pictures of what comes before."""
    return dropwhile(lambda packet: not packet.is_keyframe, packets)


def decode_packets(packets: Iterable[Any]) -> Iterator[Any]:
    """Shown frames of ``packets``, which begin with a keyframe."""
    return chain.from_iterable(packet.decode() for packet in packets)


def packets_before(container: Any, stream: Any, clock: FrameClock, time_s: float) -> Optional[Iterator[Any]]:
    """Packets from a keyframe on that is shown at or before ``time_s`` [s since the first frame].

    None: no seek leads there, and the container must be opened anew and read from its beginning.
    """
    if time_s <= 0 or clock.kind == COUNT:
        return from_keyframe(packets_of(container, stream))
    wanted = clock.first_tick + floor(Fraction(time_s) / stream.time_base)
    step = max(1, floor(FIRST_STEP_S / stream.time_base))
    back = 0
    while wanted - back > clock.first_tick:
        try:
            container.seek(wanted - back, stream=stream)
        except OSError:  # what PyAV raises where FFmpeg cannot seek
            return None
        packets = from_keyframe(packets_of(container, stream))
        keyframe = next(packets, None)
        tick = None if keyframe is None else clock.tick(keyframe)
        if tick is not None and tick <= wanted:
            return chain([keyframe], packets)
        back = 2 * back + step
    return None


def timed_frames(stream: Any, packets: Iterable[Any], clock: FrameClock) -> Iterator[tuple[float, Any]]:
    """(time [s] since the video's first frame, frame) of ``packets``, which begin with a keyframe.

    Where frames are counted, ``packets`` begin with the file's first keyframe.

    Raises:
        VideoError: a frame has no time, or one that is not after the frame's before it.
    """
    if clock.kind == COUNT:
        yield from ((number / clock.fps, frame) for number, frame in enumerate(decode_packets(packets)))
        return
    before: Optional[int] = None
    for frame in decode_packets(packets):
        tick = clock.tick(frame)
        if tick is None or (before is not None and tick <= before):
            raise VideoError(
                f"{stream.container.name} has a frame of time {tick} after one of {before}, but times must ascend; "
                "index the videos again, or convert the file"
            )
        before = tick
        yield float((tick - clock.first_tick) * stream.time_base), frame
