#!/usr/bin/env bash
# Padded rows of ROS messages are read as if they were pixels and points.
# Software: rosbags-image (with rosbags), pypcd4
# Version: rosbags-image 0.10.4, rosbags 0.11.9, pypcd4 1.5.1
# Input: a sensor_msgs/Image of 8 x 10 pixels with step 16 (many cameras align rows), showing one upright line in column 3;
#   a sensor_msgs/PointCloud2 of 2 x 4 points of 12 bytes with row_step 60. Both are valid: step and row_step are the bytes
#   of a whole row, and both pass through a serialisation to CDR and back.
# Behaviour: step and row_step are ignored without a word. The image comes back in its right size but sheared: row r is
#   displaced by 6 r bytes, and the last rows are lost. The cloud of 8 points has 10, two of them at the sensor's origin
#   (the padding), while its width x height still says 8; padding that is no multiple of a point is refused.
# Seen: line in columns [3], [9], none, [5], none, [1], [7], none instead of [3] in all eight rows; 10 points, 2 at the
#   origin
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env" || exit 2
python="$folder/env/bin/python"
"$python" -I -m pip install --quiet --disable-pip-version-check 'rosbags-image==0.10.4' 'rosbags==0.11.9' 'opencv-python-headless==5.0.0.93' 'pypcd4==1.5.1' 'numpy==2.4.6' || exit 2
cd "$folder"
"$python" -I - <<'PYTHON'
import sys

import numpy as np
from pypcd4 import PointCloud
from rosbags.image import message_to_cvimage
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_HUMBLE)
Image, Cloud, Field = (STORE.types[f"sensor_msgs/msg/{name}"] for name in ("Image", "PointCloud2", "PointField"))
STAMP = STORE.types["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
HEADER = STORE.types["std_msgs/msg/Header"](stamp=STAMP, frame_id="sensor")


def sent(message):
    """The message after a journey."""
    return STORE.deserialize_cdr(STORE.serialize_cdr(message, message.__msgtype__), message.__msgtype__)


def padded(rows, step):
    """The rows' bytes, each row filled up with zeros to `step`."""
    data = np.zeros((len(rows), step), np.uint8)
    data[:, : rows.shape[1]] = rows
    return data.ravel()


line = np.zeros((8, 10), np.uint8)
line[:, 3] = 255
image = Image(header=HEADER, height=8, width=10, encoding="mono8", is_bigendian=0, step=16, data=padded(line, 16))
sheared = message_to_cvimage(sent(image))
columns = [np.flatnonzero(row).tolist() for row in sheared]
print("shape", sheared.shape, "line in columns", columns)

points = np.arange(1, 25, dtype=np.float32).reshape(2, 12)
fields = [Field(name=name, offset=4 * k, datatype=7, count=1) for k, name in enumerate("xyz")]
layout = {"height": 2, "width": 4, "fields": fields, "point_step": 12, "row_step": 60, "is_bigendian": False}
cloud = Cloud(header=HEADER, data=padded(points.view(np.uint8), 60), is_dense=True, **layout)
read = PointCloud.from_msg(sent(cloud))
at_origin = int((read.numpy() == 0).all(axis=1).sum())
print("points", len(read.numpy()), "at the origin", at_origin, "width x height", read.metadata.width * read.metadata.height)

holds = columns == [[3], [9], [], [5], [], [1], [7], []] and (len(read.numpy()), at_origin) == (10, 2)
sys.exit(0 if holds else 1)
PYTHON
