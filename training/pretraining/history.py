"""The curve of a run: a csv row a step, on disk as soon as it is known."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from navsim_agents.common.files import write_text

COLUMNS = (
    "step",
    "epoch",
    "loss",
    "grad_norm",
    "lr",
    "weight_decay",
    "ema",
    "context_tokens",
    "target_tokens",
    "feature_std",  # of layer-normed target features; measured every health.every steps
    "effective_rank",
    "clips_per_s",  # of all processes
    "tokens_per_s",  # of whole clips
    "tflop_per_s",  # of one process, matrix products without recomputation
    "utilisation",  # share of processes.peak_tflops; empty where that is not given
    "data_wait",  # share of the time spent waiting for clips
    "is_skipped",  # loss or gradient was not finite
)


class History:
    """Appends to ``path``; a resumed run first drops the rows of the steps that it will repeat.

    An existing file may have other columns: missing ones are left empty, obsolete ones are dropped.
    """

    def __init__(self, path: Path, families: Sequence[str], steps_done: int) -> None:
        self.path = path
        self.columns = [*COLUMNS, *(f"loss_{name}" for name in families)]
        rows = _rows(path) if steps_done and path.exists() else []
        kept = [self._cells(row) for row in rows if int(row["step"]) <= steps_done]
        write_text(path, self._text([self.columns, *kept]))

    def add(self, row: Mapping[str, object]) -> None:
        """Add one step; columns without a value stay empty, unknown columns are an error of the caller."""
        assert not set(row) - set(self.columns), set(row) - set(self.columns)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(self._text([self._cells(row)]))

    def _cells(self, row: Mapping[str, object]) -> list[object]:
        return [row.get(column, "") for column in self.columns]

    def _text(self, rows: Sequence[Sequence[object]]) -> str:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(rows)
        return buffer.getvalue()


def _rows(path: Path) -> list[dict[str, str]]:
    """Whole rows below the heading; one that was cut by a crash is left out."""
    with path.open(encoding="utf-8", newline="") as file:
        heading, *rows = csv.reader(file)
    return [dict(zip(heading, row)) for row in rows if len(row) == len(heading)]
