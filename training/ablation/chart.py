"""The ablation as a picture: every seed a dot, mean and standard deviation beside it."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from navsim_agents.common.conventions import EPDMS_NAME, PDMS_NAME
from navsim_agents.common.files import whole_file
from training.ablation.results import AblationResults, RowResults
from training.ablation.tables import label
from training.report.style import INK, MUTED, OURS, figure_style, new_figure

ROW_PX, PANEL_PX, NAMES_PX, FRAME_PX = 48, 430, 560, 130
WANTED = (EPDMS_NAME, PDMS_NAME, "extended_comfort", "ade_m", "diversity", "best_of_n")


def write_chart(results: AblationResults, path: Path) -> None:
    """Draw one panel a metric, one line a row, the first row on top."""
    metrics = [name for name in WANTED if name in results.metrics] or results.metrics[:1]
    with figure_style():
        width, height = NAMES_PX + PANEL_PX * len(metrics), FRAME_PX + ROW_PX * len(results.rows)
        figure = new_figure(width, height)
        panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        for axes, metric in zip(panels, metrics):
            for place, row in enumerate(results.rows):
                _draw(axes, row, metric, place)
            axes.set_title(label(metric))
            axes.margins(x=0.12)
        panels[0].set_yticks(range(len(results.rows)), [row.name for row in results.rows])
        panels[0].set_ylim(len(results.rows) - 0.5, -0.5)
        figure.subplots_adjust(
            left=NAMES_PX / width, right=1 - 20 / width, top=1 - 60 / height, bottom=60 / height, wspace=0.12
        )
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png")


def _draw(axes: Axes, row: RowResults, metric: str, place: int) -> None:
    its = row.spread.get(metric)
    if its is None:
        return
    if not row.seeds:
        axes.plot(its["mean"], place, marker="|", markersize=12, color=MUTED, linestyle="none")
        return
    axes.plot(
        its["values"], [place] * len(its["values"]), marker="o", markersize=3, color=INK, alpha=0.5, linestyle="none"
    )
    axes.errorbar(its["mean"], place, xerr=its["sd"] or 0.0, marker="D", markersize=5, color=OURS, capsize=3)
