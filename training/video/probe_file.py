"""What a video file holds: found by reading all its packets, and decoding its first frame and its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from navsim_agents.errors import VideoError
from training.video.decode import QUARTER_TURN, open_video, timed_frames

FPS_DIGITS = 4


@dataclass(frozen=True)
class VideoFacts:
    """Sizes of one video file."""

    fps: float
    num_frames: int
    width: int  # px, as shown
    height: int
    codec: str


def probe_file(path: Path) -> VideoFacts:
    """Facts of ``path``; headers are not trusted, since a broken download keeps them.

    Decoded are its first frame and everything from the last keyframe on; what is damaged between them shows when a clip
    is read.

    Raises:
        VideoError: the file is missing or damaged, or has fewer frames than its header says.
    """
    with open_video(path) as (container, stream):
        promised = stream.frames
        packets = [packet for packet in container.demux(stream) if packet.size]
        # AVI knows the order of decoding alone.
        times = [packet.dts if packet.pts is None else packet.pts for packet in packets]
        if not times or None in times:
            raise VideoError(f"{path} holds no frame, or frames without a time; replace or remux the file")
        if promised > len(times):
            raise VideoError(
                f"{path} holds {len(times)} frames, but its header says {promised}: the file is cut off; replace it"
            )
        span_s = float((max(times) - min(times)) * stream.time_base)
        fps = (len(times) - 1) / span_s if span_s > 0 else float(stream.average_rate or 0)
        container.seek(stream.start_time or 0, stream=stream)
        _, first = next(timed_frames(container, stream), (0.0, None))
        container.seek(max(times), stream=stream)
        if first is None or not sum(1 for _ in timed_frames(container, stream)):
            raise VideoError(f"the first or last frame of {path} cannot be decoded; replace or remove the file")
        is_turned = round(first.rotation / QUARTER_TURN) % 2 == 1
        width, height = (first.height, first.width) if is_turned else (first.width, first.height)
        return VideoFacts(round(fps, FPS_DIGITS), len(times), width, height, stream.codec_context.name)
