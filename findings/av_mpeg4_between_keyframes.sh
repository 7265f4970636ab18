#!/usr/bin/env bash
# MPEG-4 Part 2 video that begins between keyframes is decoded to rubbish that no flag and no error tells from pictures.
# Software: PyAV (package av, with the FFmpeg libraries in its wheel)
# Version: av 18.1.0
# Input: 120 numbered pictures with a keyframe every 50, no B-frames, in Matroska, as MPEG-4 Part 2, H.264, HEVC and MPEG-2;
#   of each a stream copy that begins with packet 23, as a recorder that joins a running camera stream writes it.
# Behaviour: the H.264, HEVC and MPEG-2 decoders give nothing before they can give whole pictures. The MPEG-4 decoder gives
#   a picture for each packet from the first on, made from a reference that it never had: 27 wrong pictures up to the next
#   keyframe. is_corrupt is False for all, nothing is raised, err_detect=explode changes nothing. Only key_frame, False on
#   the first picture, gives it away.
# Seen: mpeg4: 97 pictures, 27 wrong, 0 flagged; libx264, libx265 and mpeg2video: 0 wrong
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env" || exit 2
python="$folder/env/bin/python"
"$python" -I -m pip install --quiet --disable-pip-version-check 'av==18.1.0' 'numpy==2.4.6' || exit 2
cd "$folder"
"$python" -I - <<'PYTHON'
import sys

import av
import numpy as np

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


def join_late(source, target, skipped=23):
    """A stream copy without the first packets."""
    with av.open(source) as old, av.open(target, "w") as new:
        stream = old.streams.video[0]
        copied = new.add_stream_from_template(stream)
        packets = [packet for packet in old.demux(stream) if packet.dts is not None][skipped:]
        begin = packets[0].dts
        for packet in packets:
            packet.pts, packet.dts, packet.stream = packet.pts - begin, packet.dts - begin, copied
            new.mux(packet)


def count(path, **options):
    """Pictures decoded, wrong ones, wrong ones flagged, and whether the first is a keyframe."""
    with av.open(path) as container:
        container.streams.video[0].codec_context.options = options
        frames = [(frame.to_ndarray(format="rgb24"), frame.is_corrupt, frame.key_frame) for frame in container.decode(video=0)]
    first = 120 - len(frames)
    difference = [np.abs(pixels.astype(int) - picture(first + k)).mean() for k, (pixels, _, _) in enumerate(frames)]
    wrong = [k for k, mean in enumerate(difference) if mean > 20]
    return len(frames), len(wrong), sum(frames[k][1] for k in wrong), frames[0][2]


seen = {}
for codec in ("mpeg4", "libx264", "libx265", "mpeg2video"):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    record(f"{codec}.mkv", "matroska", codec, b_frames=0, keyframe_every=50, options=options)
    join_late(f"{codec}.mkv", f"late_{codec}.mkv")
    seen[codec] = count(f"late_{codec}.mkv")
    print(codec, "pictures, wrong, flagged, first is a keyframe:", *seen[codec])
strict = count("late_mpeg4.mkv", err_detect="explode")
print("mpeg4 with err_detect=explode:", *strict)
others = [seen[codec] for codec in seen if codec != "mpeg4"]
holds = seen["mpeg4"] == strict == (97, 27, 0, False) and all(wrong == 0 for _, wrong, _, _ in others)
sys.exit(0 if holds else 1)
PYTHON
