#!/usr/bin/env bash
# In an MP4 with an edit list an index means one picture before a seek and another one after it.
# Software: decord
# Version: decord 0.6.0 (files made and read for comparison by av 18.1.0)
# Input: 120 numbered H.264 pictures, 25 a second, a keyframe every 24; an MP4 cut from it without re-encoding, to begin at
#   picture 60: packets from the keyframe 48 on, and an edit list that hides pictures 48 to 59. It shows 60 pictures.
# Behaviour: decord says 72. Read in order from 0 it gives pictures 60 to 119 and then the last one twelve times over.
#   Asked for index 40 directly it gives picture 88, that is 48 + 40, a picture 0.48 s before the one (100) that reading in
#   order gives for the same index. The uncut file is right both ways.
# Seen: PyAV: 60 pictures; decord: 72; in order: index 0 -> 60, index 40 -> 100; direct: index 40 -> 88, 55 -> 103
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env" || exit 2
python="$folder/env/bin/python"
"$python" -I -m pip install --quiet --disable-pip-version-check 'decord==0.6.0' 'av==18.1.0' 'numpy==2.4.6' || exit 2
cd "$folder"
"$python" -I - <<'PYTHON'
import sys

import av
import numpy as np
from decord import VideoReader

WIDTH, HEIGHT, BITS, RATE = 128, 64, 8, 25


def picture(number):
    """A picture that carries its number: a white bar for every bit."""
    pixels = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            pixels[8:56, 16 * bit : 16 * bit + 16] = 220
    return pixels


def number_of(pixels):
    """The number that the picture carries."""
    bars = (pixels[8:56, 16 * bit + 2 : 16 * bit + 14].mean() > 125 for bit in range(BITS))
    return sum(int(bar) << bit for bit, bar in enumerate(bars))


def record(path, container, codec, b_frames, keyframe_every, options=None):
    """A recording of 120 numbered pictures."""
    with av.open(path, "w", format=container) as out:
        stream = out.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.gop_size, stream.bit_rate = keyframe_every, 2_000_000
        stream.codec_context.max_b_frames, stream.options = b_frames, options or {}
        for number in range(120):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def cut(source, target, first):
    """A stream copy that shows the pictures from `first` on."""
    with av.open(source) as old, av.open(target, "w") as new:
        stream = old.streams.video[0]
        copied = new.add_stream_from_template(stream)
        shift = round(first / RATE / stream.time_base)
        old.seek(shift, stream=stream)
        for packet in old.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copied
                new.mux(packet)


def shown(path):
    with av.open(path) as container:
        return [number_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def in_order(path):
    reader = VideoReader(path)
    return [number_of(pixels) for pixels in reader.get_batch(list(range(len(reader)))).asnumpy()]


def direct(path, index):
    return number_of(VideoReader(path)[index].asnumpy())


record("whole.mp4", "mp4", "libx264", b_frames=0, keyframe_every=24)
cut("whole.mp4", "cut.mp4", 60)
assert shown("whole.mp4") == in_order("whole.mp4") == list(range(120))
assert [direct("whole.mp4", index) for index in (40, 55, 100)] == [40, 55, 100]

expected, read = shown("cut.mp4"), in_order("cut.mp4")
print("PyAV:", len(expected), "pictures; decord:", len(read), "of which the last repeats", read.count(read[-1]) - 1, "times")
pairs = {index: (read[index], direct("cut.mp4", index)) for index in (40, 55)}
print("index: (picture read in order, picture read directly):", pairs)
holds = expected == list(range(60, 120)) and len(read) == 72 and pairs == {40: (100, 88), 55: (115, 103)}
sys.exit(0 if holds else 1)
PYTHON
