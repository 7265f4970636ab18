"""Says what is in a label store: teachers a scene, scores, how much of the vocabulary teaches.

drive-jepa label-statistics labels=LABELS output=FOLDER
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np
from jaxtyping import Int64
from tqdm import tqdm

from navsim_agents.common.command import command
from navsim_agents.common.files import write_json
from navsim_agents.common.settings import READS, WRITES_FOLDER, at_least
from navsim_agents.distillation import LabelStore, load_vocabulary
from navsim_agents.errors import LabelError

PERCENTILES = (0, 10, 25, 50, 75, 90, 100)


@dataclass(frozen=True)
class LabelStatisticsConfig:
    """Options of the command, explained in ``conf/label_statistics.yaml``."""

    labels: str = field(metadata=READS)
    output: str = field(metadata=WRITES_FOLDER)
    vocabulary: Optional[str] = field(default=None, metadata=READS)
    metric: Optional[str] = None
    threshold: Optional[float] = None
    bins: int = field(default=20, metadata=at_least(1))


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


def draw_statistics(statistics: LabelStatistics, path: Path) -> None:
    """Three charts: scores, teachers per scene, scenes per trajectory; needs matplotlib (extra ``report``)."""
    try:
        from training.report.style import MUTED, OURS, figure_style, new_figure
    except ImportError as error:
        raise LabelError(
            f"statistics.png needs matplotlib ({error}); pip install 'navsim-drive-jepa[report]' brings it"
        ) from error

    with figure_style():
        figure = new_figure(1680, 480)
        scores, teachers, uses = figure.subplots(1, 3)
        edges = np.linspace(0.0, 1.0, len(statistics.histogram) + 1)
        share = 100.0 * statistics.histogram / statistics.histogram.sum()
        scores.bar(edges[:-1], share, width=np.diff(edges), align="edge", color=MUTED)
        scores.axvline(statistics.threshold, color=OURS)
        scores.set(title=f"Score of a trajectory in a scene ({statistics.metric}) [%]", xlabel="score", xlim=(0, 1))
        for axes, counts, title, label in (
            (teachers, statistics.teachers, "Teachers of each scene", "scenes by rank"),
            (uses, statistics.uses, "Scenes that each trajectory teaches", "trajectories by rank"),
        ):
            axes.fill_between(np.arange(len(counts)), np.sort(counts)[::-1], color=OURS, step="mid")
            axes.set(title=title, xlabel=label, ylim=(0, None))
        figure.subplots_adjust(left=0.04, right=0.99, top=0.9, bottom=0.15, wspace=0.15)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def label_statistics(config: LabelStatisticsConfig) -> LabelStatistics:
    """Count, write ``statistics.json`` and ``statistics.png``, and return the counts.

    Raises:
        LabelError: no store, labels of another vocabulary or metric, or no labelled scene.
    """
    vocabulary = None if config.vocabulary is None else load_vocabulary(config.vocabulary)
    store = LabelStore.open(config.labels, vocabulary, config.metric)
    statistics = count_labels(store, config.threshold, config.bins)
    folder = Path(config.output)
    write_json(folder / "statistics.json", {**statistics.to_json(), "failed": store.failed})
    draw_statistics(statistics, folder / "statistics.png")
    return statistics


@command(LabelStatisticsConfig, "cache_tools.conf.label_statistics")
def main(config: LabelStatisticsConfig) -> None:
    """Count as configured and say the figures."""
    found = label_statistics(config)
    print(
        f"{len(found.teachers)} scenes: {found.teachers.mean():.1f} teachers each (median "
        f"{np.median(found.teachers):.0f}), {found.num_without} without; "
        f"{100.0 * found.coverage:.1f} % of {len(found.uses)} trajectories teach somewhere: {config.output}"
    )


if __name__ == "__main__":
    main()
