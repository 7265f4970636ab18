"""Labels of one scene as bytes: progress in 16 bits, three-valued sub-scores in two bits, the others in one.

A record is progress as little-endian uint16 [V], then planes of packed bits [planes, ceil(V / 8)]. The first plane says
which trajectories are teachers by the exact score; the score itself is computed again from the sub-scores, and then
moved across the threshold where the rounding of progress would change that answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from navsim_agents.errors import LabelError
from navsim_agents.scoring.aggregate import COLUMNS, SCORE, SUB_SCORES, weighted_score
from navsim_agents.scoring.config import METRICS

PROGRESS = "ego_progress"
THREE_VALUED = ("no_at_fault_collisions", "driving_direction_compliance")  # 0, 1/2, 1
PROGRESS_STEPS = 65535
ALIGNMENT = 64  # bytes
MAX_SCORE_ERROR = 1e-3
ROUNDING = 1e-6  # by which a progress in float32 may leave [0, 1]

Columns = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class LabelLayout:
    """How the labels of V trajectories are stored."""

    metric: str  # pdms, or epdms without extended comfort
    num_trajectories: int  # V
    threshold: float  # score from which on a trajectory is a teacher

    def __post_init__(self) -> None:
        """Raises LabelError at an unknown metric or a threshold outside (0, 1]."""
        if self.metric not in METRICS:
            raise LabelError(f"metric is {self.metric!r}, but labels are kept for {', '.join(METRICS)}; choose one")
        if not 0.0 < self.threshold <= 1.0:
            raise LabelError(f"threshold is {self.threshold}, but scores reach from 0 to 1; give one in (0, 1]")

    @property
    def columns(self) -> tuple[str, ...]:
        """The devkit's names of the columns that are encoded."""
        return COLUMNS[self.metric]

    @cached_property
    def discrete(self) -> tuple[str, ...]:
        """Columns kept in bits, in the order of their planes."""
        return tuple(name for name in SUB_SCORES[self.metric] if name != PROGRESS)

    @property
    def plane_bytes(self) -> int:
        """Bytes of one bit per trajectory."""
        return -(-self.num_trajectories // 8)

    @property
    def num_planes(self) -> int:
        """The teachers' plane, two for each three-valued column, one for each other."""
        return 1 + sum(2 if name in THREE_VALUED else 1 for name in self.discrete)

    @property
    def used_bytes(self) -> int:
        """Bytes that carry the labels of one scene."""
        return 2 * self.num_trajectories + self.num_planes * self.plane_bytes

    @property
    def record_bytes(self) -> int:
        """Bytes of one scene, rounded up to the alignment."""
        return -(-self.used_bytes // ALIGNMENT) * ALIGNMENT

    def encode(self, columns: Mapping[str, npt.NDArray[np.floating]]) -> bytes:
        """One record from the scorer's columns [V].

        Raises:
            LabelError: a column is missing or of another length, or holds a value that it cannot have, or the score
                does not follow from the sub-scores.
        """
        values = self._checked(columns)
        exact = values[SCORE[self.metric]]
        steps = np.rint(np.clip(values[PROGRESS], 0.0, 1.0) * PROGRESS_STEPS).astype("<u2")
        planes = [exact >= self.threshold]
        for name in self.discrete:
            doubled = np.rint(2.0 * values[name]).astype(np.uint8)
            planes += [doubled == 1, doubled == 2] if name in THREE_VALUED else [doubled == 2]
        record = steps.tobytes() + np.packbits(np.stack(planes), axis=1).tobytes()
        record += bytes(self.record_bytes - len(record))
        error = float(np.abs(self.scores(np.frombuffer(record, dtype=np.uint8)) - exact).max())
        if error > MAX_SCORE_ERROR:
            raise LabelError(
                f"{SCORE[self.metric]} differs by {error:.4f} from what the sub-scores give, but {self.metric} is "
                "their weighted product; score with an unmodified devkit or the batched scorer"
            )
        return record

    def sub_scores(self, record: npt.NDArray[np.uint8]) -> Columns:
        """Every sub-score [V] of a record."""
        size = 2 * self.num_trajectories
        planes = iter(self._planes(record)[1:])
        columns: Columns = {PROGRESS: (record[:size].view("<u2") / PROGRESS_STEPS).astype(np.float32)}
        for name in self.discrete:
            half = 0.5 * next(planes) if name in THREE_VALUED else 0.0
            columns[name] = (half + next(planes)).astype(np.float32)
        return {name: columns[name] for name in SUB_SCORES[self.metric]}

    def scores(self, record: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The score [V], on the same side of the threshold as the exact one."""
        columns = {name: torch.from_numpy(value).double() for name, value in self.sub_scores(record).items()}
        scores = weighted_score(columns, METRICS[self.metric]).numpy().astype(np.float32)
        below, above = _neighbours(self.threshold)
        return np.where(self.is_teacher(record), np.maximum(scores, above), np.minimum(scores, below))

    def is_teacher(self, record: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Which trajectories [V] reach the threshold, by the exact score."""
        return self._planes(record)[0].astype(bool)

    def _planes(self, record: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        start = 2 * self.num_trajectories
        packed = record[start : self.used_bytes].reshape(self.num_planes, self.plane_bytes)
        return np.unpackbits(packed, axis=1, count=self.num_trajectories)

    def _checked(self, columns: Mapping[str, npt.NDArray[np.floating]]) -> dict[str, npt.NDArray[np.float64]]:
        """The metric's columns in float64, if their values are possible ones."""
        missing = [name for name in self.columns if name not in columns]
        if missing:
            raise LabelError(f"labels lack {', '.join(missing)}; {self.metric} has {', '.join(self.columns)}")
        values = {name: np.asarray(columns[name], dtype=np.float64) for name in self.columns}
        for name, value in values.items():
            if value.shape != (self.num_trajectories,):
                raise LabelError(
                    f"{name} has shape {value.shape}, but the vocabulary has {self.num_trajectories} trajectories; "
                    "score each of them once"
                )
            self._refuse_impossible(name, value)
        return values

    def _refuse_impossible(self, name: str, value: npt.NDArray[np.float64]) -> None:
        if name in self.discrete:
            allowed = (0.0, 0.5, 1.0) if name in THREE_VALUED else (0.0, 1.0)
            bad, rule = ~np.isin(value, allowed), f"one of {allowed}"
        else:
            bad, rule = ~((value >= -ROUNDING) & (value <= 1.0 + ROUNDING)), "within [0, 1]"
        if bad.any():
            raise LabelError(
                f"{name} is {value[bad][0]} for trajectory {int(np.argmax(bad))}, but must be {rule}; "
                "look at this scene with drive-jepa score-trajectories"
            )


def _neighbours(threshold: float) -> tuple[np.float32, np.float32]:
    """Largest float32 below the threshold and smallest that reaches it, whether compared in float32 or in float64."""
    nearest = np.float32(threshold)
    reaches = nearest if float(nearest) >= threshold else np.nextafter(nearest, np.float32(2.0))
    misses = np.nextafter(nearest, np.float32(0.0))
    return misses, reaches
