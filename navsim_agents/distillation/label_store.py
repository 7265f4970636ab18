"""Labels of many scenes on disk, memory-mapped: random access by token, checked at every reading.

A store is a folder: ``store.json`` says what the labels are (:class:`LabelStamp`), ``shards/<number>.labels`` hold the
scenes in sorted order of token, ``report.json`` lists the scenes that could not be labelled, once all shards are there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from navsim_agents.common.files import read_text
from navsim_agents.distillation.label_codec import Columns
from navsim_agents.distillation.label_shard import ShardHeader, check_record, map_records, read_header, verify_shard
from navsim_agents.distillation.label_stamp import LabelStamp
from navsim_agents.distillation.vocabulary import PathLike, Vocabulary
from navsim_agents.errors import LabelError

STAMP_FILE, REPORT_FILE, SHARD_FOLDER = "store.json", "report.json", "shards"
MAX_OPEN_SHARDS = 128  # each map holds a file descriptor


class LabelStore:
    """Reads a store; use :meth:`open`."""

    def __init__(self, path: Path, stamp: LabelStamp, shards: dict[int, ShardHeader]) -> None:
        self.path, self.stamp, self.layout = path, stamp, stamp.layout
        self._shards = shards
        self._place = {
            token: (shard, row) for shard in sorted(shards) for row, token in enumerate(shards[shard].tokens)
        }
        self._maps: OrderedDict[int, npt.NDArray[np.uint8]] = OrderedDict()

    @staticmethod
    def open(
        path: PathLike,
        vocabulary: Optional[Vocabulary] = None,
        metric: Optional[str] = None,
        allow_incomplete: bool = False,
    ) -> LabelStore:
        """Open the labels of ``vocabulary`` and ``metric`` (None: whichever they are).

        Raises:
            LabelError: not a store, labels of another vocabulary or metric, a damaged header, or shards that are still
                missing (unless ``allow_incomplete``).
        """
        folder = Path(path)
        stamp = read_stamp(folder)
        stamp.check(vocabulary, metric, folder)
        files = {shard: shard_path(folder, shard) for shard in range(stamp.num_shards)}
        shards = {shard: read_header(file, stamp.layout.record_bytes) for shard, file in files.items() if file.exists()}
        if len(shards) < stamp.num_shards and not allow_incomplete:
            raise LabelError(
                f"{folder} has {len(shards)} of {stamp.num_shards} shards, but labels are read when all are there; "
                "run the same drive-jepa score-vocabulary again, which continues where it stopped"
            )
        return LabelStore(folder, stamp, shards)

    @property
    def tokens(self) -> list[str]:
        """Labelled scenes, sorted."""
        return list(self._place)

    @property
    def failed(self) -> dict[str, str]:
        """Scenes that could not be labelled, with the reason."""
        return {token: reason for shard in sorted(self._shards) for token, reason in self._shards[shard].failed.items()}

    @property
    def mismatches(self) -> list[dict[str, Any]]:
        """Where the devkit's own scorer disagreed (``verify``)."""
        return [dict(row) for shard in sorted(self._shards) for row in self._shards[shard].mismatches]

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, token: object) -> bool:
        return token in self._place

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def scores(self, token: str) -> npt.NDArray[np.float32]:
        """The score [V] of every trajectory: within 1e-5 of the exact one and on the same side of the threshold.

        Raises:
            KeyError: no such scene.
            LabelError: its checksum is wrong.
        """
        return self.layout.scores(self._record(token))

    def sub_scores(self, token: str) -> Columns:
        """Every sub-score [V], under the devkit's column names; raises as :meth:`scores` does."""
        return self.layout.sub_scores(self._record(token))

    def is_teacher(self, token: str) -> npt.NDArray[np.bool_]:
        """Which trajectories [V] reach the stamped threshold; cheaper than :meth:`scores`, raises as it does."""
        return self.layout.is_teacher(self._record(token))

    def verify(self) -> list[str]:
        """Read every byte; a sentence for each fault."""
        wrong = []
        for shard in sorted(self._shards):
            try:
                verify_shard(shard_path(self.path, shard), self.layout.record_bytes)
            except LabelError as error:
                wrong.append(str(error))
        return wrong

    def _record(self, token: str) -> npt.NDArray[np.uint8]:
        if token not in self._place:
            reason = self.failed.get(token)
            raise KeyError(
                f"{token} is not among the {len(self)} labelled scenes of {self.path}"
                + (f": it could not be scored ({reason})" if reason else "")
            )
        shard, row = self._place[token]
        record = self._mapped(shard)[row]
        check_record(shard_path(self.path, shard), token, record, self._shards[shard].crc32[row])
        return record

    def _mapped(self, shard: int) -> npt.NDArray[np.uint8]:
        """The shard's records; the least recently used maps are closed."""
        if shard not in self._maps:
            file = shard_path(self.path, shard)
            self._maps[shard] = map_records(file, self._shards[shard], self.layout.record_bytes)
            if len(self._maps) > MAX_OPEN_SHARDS:
                self._maps.popitem(last=False)
        self._maps.move_to_end(shard)
        return self._maps[shard]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_maps": OrderedDict()}  # a worker maps the files for itself


def shard_path(folder: Path, shard: int) -> Path:
    """The file of a shard."""
    return folder / SHARD_FOLDER / f"{shard:06d}.labels"


def read_stamp(folder: Path) -> LabelStamp:
    """Raises LabelError where the folder is not a label store."""
    way_out = f"{folder} is not a label store; make one with drive-jepa score-vocabulary"
    text = read_text(folder / STAMP_FILE, LabelError, way_out)
    try:
        return LabelStamp.from_json(text)
    except LabelError as error:
        raise LabelError(f"{folder / STAMP_FILE}: {error}") from error
