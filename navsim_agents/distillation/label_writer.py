"""Makes a label store shard by shard; a run that resumes after an interruption ends with the same bytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from navsim_agents.common.files import write_json, write_text
from navsim_agents.distillation.label_shard import ShardContent, verify_shard, write_shard
from navsim_agents.distillation.label_stamp import LabelStamp, scenes_digest
from navsim_agents.distillation.label_store import REPORT_FILE, SHARD_FOLDER, STAMP_FILE, read_stamp, shard_path
from navsim_agents.distillation.vocabulary import PathLike
from navsim_agents.errors import LabelError

__all__ = ["LabelStoreWriter", "ShardContent", "ShardPlan"]

SCENES_HINT = (
    ". scenes_digest differs where scenes were added or exported anew, so that their labels may be others, and where "
    "the store was begun by a release that recorded the tokens alone; a complete store can still be used for training"
)


@dataclass(frozen=True)
class ShardPlan:
    """One shard to be written."""

    folder: Path
    stamp: LabelStamp
    shard: int
    tokens: tuple[str, ...]

    def write(self, content: ShardContent) -> None:
        """Put the shard in place.

        Raises:
            LabelError: its scenes are not the shard's, or a record has another length.
        """
        found = sorted([*content.records, *content.failed])
        if found != list(self.tokens):
            raise LabelError(
                f"shard {self.shard} is given {len(found)} scenes, but holds {len(self.tokens)} others; give each of "
                "its tokens once, labelled or failed"
            )
        wanted = self.stamp.layout.record_bytes
        sizes = {len(record) for record in content.records.values()} - {wanted}
        if sizes:
            raise LabelError(f"records of {sorted(sizes)} bytes are given, but the layout has {wanted}; encode with it")
        write_shard(shard_path(self.folder, self.shard), content, _crc32(self.stamp))


def _crc32(stamp: LabelStamp) -> int:
    return zlib.crc32(stamp.to_json().encode())


class LabelStoreWriter:
    """A store that is being filled: shard s holds the s-th ``shard_size`` of the sorted tokens.

    Several processes or machines may fill one store, as long as no two of them write the same shard.
    """

    def __init__(
        self,
        path: PathLike,
        stamp: LabelStamp,
        tokens: Iterable[str],
        checksums: Optional[Mapping[str, int]] = None,
    ) -> None:
        """Begin a store or resume one; tokens and checksums are those that the stamp was made of.

        Raises:
            LabelError: the folder holds labels with another stamp, or the scenes are not those of the stamp.
        """
        self.path, self.stamp = Path(path), stamp
        self.tokens = sorted(tokens)
        if len(set(self.tokens)) != stamp.num_scenes or scenes_digest(self.tokens, checksums) != stamp.scenes_digest:
            raise LabelError(
                f"{len(self.tokens)} tokens are given, but the stamp is of {stamp.num_scenes} other ones; make the "
                "stamp of the tokens, each once, and of the same checksums"
            )
        (self.path / SHARD_FOLDER).mkdir(parents=True, exist_ok=True)
        if not (self.path / STAMP_FILE).exists():
            write_text(self.path / STAMP_FILE, stamp.to_json())
            return
        found = read_stamp(self.path)
        differences = found.differences(stamp)
        if differences:
            hint = "" if found.scenes_digest == stamp.scenes_digest else SCENES_HINT
            raise LabelError(
                f"{self.path} holds labels of something else ({'; '.join(differences)}), but a store has one stamp; "
                f"give another output, or delete this one{hint}"
            )

    def tokens_of(self, shard: int) -> list[str]:
        """Scenes of a shard."""
        size = self.stamp.shard_size
        return self.tokens[shard * size : (shard + 1) * size]

    def missing(self, shards: Sequence[int], retry_failed: bool = False) -> list[int]:
        """Those of ``shards`` that are not there, damaged, or (``retry_failed``) without some of their scenes."""
        return [shard for shard in shards if not self._is_done(shard, retry_failed)]

    def _is_done(self, shard: int, retry_failed: bool) -> bool:
        path = shard_path(self.path, shard)
        if not path.exists():
            return False
        try:
            header = verify_shard(path, self.stamp.layout.record_bytes)
        except LabelError:
            return False
        is_ours = header.stamp_crc32 == _crc32(self.stamp) and header.all_tokens == self.tokens_of(shard)
        return is_ours and not (retry_failed and header.failed)

    def plan(self, shard: int) -> ShardPlan:
        """The shard as a job that another process can do."""
        return ShardPlan(self.path, self.stamp, shard, tuple(self.tokens_of(shard)))

    def write(self, shard: int, content: ShardContent) -> None:
        """Put a shard in place; raises as :meth:`ShardPlan.write` does."""
        self.plan(shard).write(content)

    def finish(self) -> dict[str, Any]:
        """What is in the store now; written to ``report.json`` once every shard is there."""
        paths = [shard_path(self.path, shard) for shard in range(self.stamp.num_shards)]
        headers = [verify_shard(path, self.stamp.layout.record_bytes) for path in paths if path.exists()]
        report = {
            "scenes": self.stamp.num_scenes,
            "labelled": sum(len(header.tokens) for header in headers),
            "failed": {token: reason for header in headers for token, reason in header.failed.items()},
            "mismatches": [dict(row) for header in headers for row in header.mismatches],
            "shards": len(headers),
            "shards_missing": self.stamp.num_shards - len(headers),
            "bytes_per_scene": self.stamp.layout.record_bytes,
        }
        if not report["shards_missing"]:
            write_json(self.path / REPORT_FILE, report)
        return report
