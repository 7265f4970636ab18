"""One shard: the labels of some scenes in one file that is complete or absent.

The file is a prefix (length and CRC-32 of the header), the header (JSON, padded with spaces), and one record a scene,
each with its CRC-32 in the header. Equal content gives equal bytes: no time, no name of the machine.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from navsim_agents.common.files import remove_leftovers, write_bytes
from navsim_agents.distillation.label_codec import ALIGNMENT
from navsim_agents.errors import LabelError

PREFIX = struct.Struct("<QII")  # length of the header, its CRC-32, zero
FORMER_LEFTOVERS = "{}.*.part"  # what earlier releases left unfinished
WAY_OUT = "run the same drive-jepa score-vocabulary again, which rebuilds damaged shards"


@dataclass(frozen=True)
class ShardContent:
    """What becomes of a shard's scenes."""

    records: Mapping[str, bytes]  # token -> encoded labels
    failed: Mapping[str, str] = field(default_factory=dict)  # token -> reason
    mismatches: Sequence[Mapping[str, Any]] = ()  # where the devkit's own scorer disagrees


@dataclass(frozen=True)
class ShardHeader:
    """The header of a shard, and where its records begin."""

    tokens: tuple[str, ...]  # of the records, in their order
    crc32: tuple[int, ...]
    failed: Mapping[str, str]
    mismatches: Sequence[Mapping[str, Any]]
    stamp_crc32: int  # of the stamp's JSON, so that no shard of another store is taken for one of this
    start: int  # byte of the first record

    @property
    def all_tokens(self) -> list[str]:
        """Every scene of the shard, labelled or not, sorted."""
        return sorted([*self.tokens, *self.failed])


def write_shard(path: Path, content: ShardContent, stamp_crc32: int) -> None:
    """Write the shard completely or not at all; what interrupted runs left of it is removed."""
    remove_leftovers(path.parent, path.name, FORMER_LEFTOVERS.format(path.name))  # a shard has one writer at a time
    tokens = sorted(content.records)
    header = {
        "tokens": tokens,
        "crc32": [zlib.crc32(content.records[token]) for token in tokens],
        "failed": dict(sorted(content.failed.items())),
        "mismatches": [dict(row) for row in content.mismatches],
        "stamp_crc32": stamp_crc32,
    }
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-(PREFIX.size + len(text)) % ALIGNMENT)
    write_bytes(path, PREFIX.pack(len(text), zlib.crc32(text), 0), text, *(content.records[token] for token in tokens))


def read_header(path: Path, record_bytes: int) -> ShardHeader:
    """Raises LabelError where the header is damaged or the file is not as long as it says."""
    try:
        with path.open("rb") as file:
            length, crc32, _ = PREFIX.unpack(file.read(PREFIX.size))
            text = file.read(min(length, path.stat().st_size))
    except (OSError, struct.error) as error:
        raise LabelError(f"shard {path} cannot be read ({error}); {WAY_OUT}") from error
    if zlib.crc32(text) != crc32:
        raise LabelError(f"the header of shard {path} has a wrong checksum; {WAY_OUT}")
    found = json.loads(text)
    start = PREFIX.size + length
    expected, size = start + record_bytes * len(found["tokens"]), path.stat().st_size
    if size != expected:
        raise LabelError(f"shard {path} has {size} bytes, but its header needs {expected}; {WAY_OUT}")
    return ShardHeader(
        tokens=tuple(found["tokens"]),
        crc32=tuple(found["crc32"]),
        failed=found["failed"],
        mismatches=found["mismatches"],
        stamp_crc32=found["stamp_crc32"],
        start=start,
    )


def map_records(path: Path, header: ShardHeader, record_bytes: int) -> npt.NDArray[np.uint8]:
    """The records [scenes, bytes], memory-mapped."""
    shape = (len(header.tokens), record_bytes)
    if not header.tokens:
        return np.zeros(shape, dtype=np.uint8)
    return np.memmap(path, dtype=np.uint8, mode="r", offset=header.start, shape=shape)


def check_record(path: Path, token: str, record: npt.NDArray[np.uint8], crc32: int) -> None:
    """Raises LabelError where the record's checksum is wrong."""
    if zlib.crc32(record.data) != crc32:
        raise LabelError(f"the labels of scene {token} in shard {path} have a wrong checksum; {WAY_OUT}")


def verify_shard(path: Path, record_bytes: int) -> ShardHeader:
    """The header of a shard, all of whose bytes are right; raises LabelError otherwise."""
    header = read_header(path, record_bytes)
    records = map_records(path, header, record_bytes)
    for token, record, crc32 in zip(header.tokens, records, header.crc32):
        check_record(path, token, record, crc32)
    return header
