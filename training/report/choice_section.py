"""The report on the choice among proposals: what is lost by it, to what, and how far foreseen scores are true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from navsim_agents.common.conventions import EPDMS_NAME
from training.labels import SUB_SCORE_LABELS
from training.report import html
from training.report.results import Results
from training.report.style import INK, MUTED, agent_style, as_data_url, new_figure

CHOICE = "choice"
CHART_PX = (1680, 620)
KINDS = {"proposals": "own proposals", "teachers": "pseudo-teachers", "vocabulary": "vocabulary"}
SELECTIONS = {
    "foreseen": "foreseen",
    "foreseen_momentum": "foreseen + momentum",
    "oracle": "true",
    "oracle_momentum": "true + momentum",
}


def choice(results: Results) -> Iterator[str]:
    """The section; nothing where ``drive-jepa evaluate`` was not asked for ``choice=true``."""
    found = results.summary.get(CHOICE)
    if not found:
        return
    yield html.heading("The choice among proposals")
    yield html.paragraph(
        "The planner drives the proposal whose score it foresees to be highest. Regret is what the best of its "
        "proposals would have scored more (scores of one frame, without the human's excuses). Always the same: one "
        "proposal in all scenes, that of the best mean, which a scorer has to beat. Rank correlations are means "
        "over scenes. Pseudo-teachers and the vocabulary are ranked by agents that score given trajectories."
    )
    rows, colors = _rankings(found)
    header = [
        "agent",
        "of",
        "scenes",
        "chosen",
        "always the same",
        "best",
        "regret",
        "Spearman",
        "Kendall",
        "mean error",
        "bias",
    ]
    yield html.table(header, rows, colors)
    yield html.captioned(
        html.image(as_data_url(choice_chart(found)), "calibration, what regret is lost to, and choices by an oracle"),
        "Left: mean true score of proposals by their foreseen score; on the diagonal foreseen scores are true, and "
        "larger dots are more proposals. Middle: by how much each sub-score of the best proposal is above the chosen "
        "one's. Right: EPDMS, the plan of the frame before included, if foreseen or true scores choose.",
    )


def _rankings(found: Mapping[str, Any]) -> tuple[list[list[str]], list[str]]:
    rows, colors = [], []
    for index, (name, kinds) in enumerate(found.items()):
        for kind, label in KINDS.items():
            if kind in kinds:
                values = kinds[kind]
                names = ("chosen", "best", "regret", "spearman", "kendall", "error", "bias")
                cells = [f"{values[key]:.3f}" if key in values else "–" for key in names]
                cells.insert(1, f"{kinds['best_fixed']:.3f}" if kind == "proposals" else "–")
                rows.append([agent_style(name, index).label, label, str(values["num_scenes"]), *cells])
                colors.append(agent_style(name, index).color)
    return rows, colors


def choice_chart(found: Mapping[str, Any]) -> Figure:
    """Calibration, losses by sub-score, and what an oracle's choice gives."""
    figure = new_figure(*CHART_PX)
    curve, lost, selected = figure.subplots(1, 3, gridspec_kw={"width_ratios": (1.0, 1.1, 1.2)})
    _draw_calibration(curve, found)
    _draw_bars(lost, {name: _short(kinds["lost"]) for name, kinds in found.items()})
    lost.set(title="Sub-scores: best less chosen")
    epdms = {
        name: {label: kinds["selection"][key][EPDMS_NAME] for key, label in SELECTIONS.items()}
        for name, kinds in found.items()
    }
    _draw_bars(selected, epdms)
    selected.set(title="EPDMS by whose scores choose", ylim=(0, 1.1))
    figure.subplots_adjust(left=0.05, right=0.99, top=0.9, bottom=0.2, wspace=0.16)
    return figure


def _short(lost: Mapping[str, float]) -> dict[str, float]:
    return {SUB_SCORE_LABELS.get(name, name): value for name, value in lost.items()}


def _draw_calibration(axes: Axes, found: Mapping[str, Any]) -> None:
    axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1.0)
    for index, (name, kinds) in enumerate(found.items()):
        style, table = agent_style(name, index), kinds["proposals"]["calibration"]
        axes.plot(table["foreseen"], table["true"], color=style.color, linestyle=style.linestyle, label=style.label)
        largest = max(table["number"])
        sizes = [8.0 + 120.0 * count / largest for count in table["number"]]
        axes.scatter(table["foreseen"], table["true"], s=sizes, color=style.color)
    axes.set(title="Calibration", xlabel="foreseen score", ylabel="true score", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="upper left")


def _draw_bars(axes: Axes, values: Mapping[str, Mapping[str, float]]) -> None:
    width = 0.8 / len(values)
    labels = list(next(iter(values.values())))
    for index, (name, by_label) in enumerate(values.items()):
        style = agent_style(name, index)
        places = [place + (index - (len(values) - 1) / 2.0) * width for place in range(len(labels))]
        bars = axes.bar(places, [by_label.get(label, 0.0) for label in labels], width * 0.92, color=style.color)
        axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=7, color=INK)
    axes.set_xticks(range(len(labels)), [label.replace(" + ", "\n+ ") for label in labels])
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.12)
