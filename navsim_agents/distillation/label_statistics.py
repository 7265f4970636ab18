"""What is in a label store: teachers a scene, scores, how much of the vocabulary teaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from jaxtyping import Int64
from tqdm import tqdm

from navsim_agents.distillation.label_store import LabelStore
from navsim_agents.errors import LabelError

PERCENTILES = (0, 10, 25, 50, 75, 90, 100)


@dataclass(frozen=True)
class LabelStatistics:
    """Counts over all labelled scenes."""

    teachers: Int64[np.ndarray, " scenes"]  # teachers of each
    uses: Int64[np.ndarray, " V"]  # scenes in which each trajectory is a teacher
    histogram: Int64[np.ndarray, " bins"]  # scores from 0 to 1
    means: dict[str, float]  # of each column over scenes and trajectories
    threshold: float
    metric: str

    @property
    def num_without(self) -> int:
        """Scenes without a teacher."""
        return int((self.teachers == 0).sum())

    @property
    def coverage(self) -> float:
        """Share of the vocabulary that teaches in some scene."""
        return float((self.uses > 0).mean())

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return {
            "metric": self.metric,
            "threshold": self.threshold,
            "scenes": len(self.teachers),
            "scenes_without_teachers": self.num_without,
            "teachers_per_scene": {
                "mean": float(self.teachers.mean()),
                **{f"p{p}": float(np.percentile(self.teachers, p)) for p in PERCENTILES},
            },
            "vocabulary": len(self.uses),
            "coverage": self.coverage,
            "uses_per_trajectory": {f"p{p}": float(np.percentile(self.uses, p)) for p in PERCENTILES},
            "score_histogram": self.histogram.tolist(),
            "mean_columns": self.means,
        }


def count_labels(store: LabelStore, threshold: Optional[float] = None, bins: int = 20) -> LabelStatistics:
    """Read every scene of a store.

    Args:
        store: complete or not; scenes that failed count nowhere.
        threshold: score from which on a trajectory is a teacher; None takes the store's, with the exact decision.
        bins: of the histogram.

    Raises:
        LabelError: the store has no labelled scene, or a size is out of range.
    """
    if not len(store) or bins < 1:
        raise LabelError(f"{store.path} has {len(store)} labelled scenes and bins={bins}, but both must be 1 or more")
    layout = store.layout
    limit = np.float32(layout.threshold if threshold is None else threshold)
    teachers: list[int] = []
    uses = np.zeros(layout.num_trajectories, dtype=np.int64)
    histogram = np.zeros(bins, dtype=np.int64)
    sums = dict.fromkeys(layout.columns, 0.0)
    for token in tqdm(store, desc="statistics", unit="scene", total=len(store)):
        scores = store.scores(token)
        is_teacher = scores >= limit
        teachers.append(int(is_teacher.sum()))
        uses += is_teacher
        histogram += np.histogram(scores, bins=bins, range=(0.0, 1.0))[0]
        for name, value in {**store.sub_scores(token), layout.columns[-1]: scores}.items():
            sums[name] += float(value.mean(dtype=np.float64))
    means = {name: total / len(store) for name, total in sums.items()}
    return LabelStatistics(np.array(teachers), uses, histogram, means, float(limit), layout.metric)
