"""Charts of a label store, in the style of the page's charts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from navsim_agents.distillation.label_statistics import LabelStatistics
from training.report.style import MUTED, OURS, figure_style, new_figure


def draw_statistics(statistics: LabelStatistics, path: Path) -> None:
    """Three charts in one PNG: scores, teachers of a scene, scenes of a trajectory."""
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
