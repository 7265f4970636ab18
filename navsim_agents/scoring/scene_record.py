"""A scene's arrays as one run of bytes: length of a JSON header, the header (dtype, shape, offset), aligned arrays."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt

ALIGNMENT = 64
HEADER_LENGTH_BYTES = 8


def encode(arrays: dict[str, npt.NDArray]) -> bytes:
    """One record: length of the header, header, arrays, each aligned within the record."""
    entries, offsets, offset = {}, {}, 0
    for name, array in arrays.items():
        entries[name], offsets[name] = (array.dtype.str, list(array.shape), offset), offset
        offset += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    header = json.dumps(entries).encode()
    start = -(-(HEADER_LENGTH_BYTES + len(header)) // ALIGNMENT) * ALIGNMENT
    record = bytearray(start + offset)
    record[:HEADER_LENGTH_BYTES] = len(header).to_bytes(HEADER_LENGTH_BYTES, "little")
    record[HEADER_LENGTH_BYTES : HEADER_LENGTH_BYTES + len(header)] = header
    for name, array in arrays.items():
        at = start + offsets[name]
        record[at : at + array.nbytes] = np.ascontiguousarray(array).tobytes()
    return bytes(record)


def decode(record: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray]:
    """Arrays of a record, as views."""
    length = int.from_bytes(record[:HEADER_LENGTH_BYTES].tobytes(), "little")
    entries = json.loads(record[HEADER_LENGTH_BYTES : HEADER_LENGTH_BYTES + length].tobytes())
    start = -(-(HEADER_LENGTH_BYTES + length) // ALIGNMENT) * ALIGNMENT
    return {
        name: np.ndarray(tuple(shape), np.dtype(kind), buffer=record, offset=start + offset)
        for name, (kind, shape, offset) in entries.items()
    }
