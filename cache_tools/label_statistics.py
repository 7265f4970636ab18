"""Says what is in a label store: teachers a scene, scores, how much of the vocabulary teaches.

drive-jepa label-statistics labels=LABELS output=FOLDER
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import numpy as np

from navsim_agents.common.command import command
from navsim_agents.common.files import write_json
from navsim_agents.common.settings import READS, WRITES_FOLDER, at_least
from navsim_agents.distillation import LabelStore, load_vocabulary
from navsim_agents.distillation.label_statistics import LabelStatistics, count_labels
from navsim_agents.errors import LabelError


@dataclass(frozen=True)
class LabelStatisticsConfig:
    """Options of the command, explained in ``conf/label_statistics.yaml``."""

    labels: str = field(metadata=READS)
    output: str = field(metadata=WRITES_FOLDER)
    vocabulary: Optional[str] = field(default=None, metadata=READS)
    metric: Optional[str] = None
    threshold: Optional[float] = None
    bins: int = field(default=20, metadata=at_least(1))


def label_statistics(config: LabelStatisticsConfig) -> LabelStatistics:
    """Count, write ``statistics.json`` and ``statistics.png``, and return the counts.

    Raises:
        LabelError: there is no store, its labels are of another vocabulary or metric, or no scene is labelled.
    """
    vocabulary = None if config.vocabulary is None else load_vocabulary(config.vocabulary)
    store = LabelStore.open(config.labels, vocabulary, config.metric)
    statistics = count_labels(store, config.threshold, config.bins)
    folder = Path(config.output)
    write_json(folder / "statistics.json", {**statistics.to_json(), "failed": store.failed})
    _draw(statistics, folder / "statistics.png")
    return statistics


def _draw(statistics: LabelStatistics, path: Path) -> None:
    """Draw the charts; raises LabelError without matplotlib. The counts are already written by then."""
    try:
        from training.report.label_charts import draw_statistics
    except ImportError as error:
        raise LabelError(
            f"statistics.png needs matplotlib ({error}); pip install 'navsim-drive-jepa[report]' brings it"
        ) from error
    draw_statistics(statistics, path)


@command(LabelStatisticsConfig, "cache_tools.conf.label_statistics")
def main(config: LabelStatisticsConfig) -> None:
    """Count as configured and print the figures."""
    found = label_statistics(config)
    print(
        f"{len(found.teachers)} scenes: {found.teachers.mean():.1f} teachers each (median "
        f"{np.median(found.teachers):.0f}), {found.num_without} without; "
        f"{100.0 * found.coverage:.1f} % of {len(found.uses)} trajectories teach somewhere: {config.output}"
    )


if __name__ == "__main__":
    main()
