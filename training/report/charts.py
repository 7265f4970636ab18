"""Charts of the report: training curve, errors by command, distribution of errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.report.gallery import COMMANDS
from training.report.style import INK, MUTED, OURS, agent_style, new_figure

CURVE_PX = (1680, 500)
ERRORS_PX = (1680, 540)


def training_curve(history: pd.DataFrame) -> Figure:
    """Losses and validation error by epoch."""
    figure = new_figure(*CURVE_PX)
    losses, error = figure.subplots(1, 2)
    epochs = history["epoch"] + 1
    losses.plot(epochs, history["train_loss"], color=MUTED, label="training")
    losses.plot(epochs, history["val_loss"], color=OURS, label="validation")
    for axes in (losses, error):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    losses.set(title="Loss", xlabel="epoch", ylim=(0, None))
    losses.legend()
    error.plot(epochs, history["val_ade_m"], color=OURS)
    error.set(title="ADE of the validation scenes [m]", xlabel="epoch", ylim=(0, None))
    figure.subplots_adjust(left=0.05, right=0.99, top=0.9, bottom=0.14, wspace=0.12)
    return figure


def error_charts(tables: dict[str, pd.DataFrame]) -> Figure:
    """Mean error by driving command, and how errors are distributed; ``human`` is left out, being zero."""
    shown = {name: table[table["valid"]] for name, table in tables.items() if name != "human"}
    figure = new_figure(*ERRORS_PX)
    bars, distribution = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1.0, 1.15)})
    _draw_bars(bars, shown)
    for index, (name, table) in enumerate(shown.items()):
        style = agent_style(name, index)
        errors = np.sort(table["ade_m"].to_numpy())
        share = 100.0 * np.arange(1, len(errors) + 1) / max(1, len(errors))
        distribution.plot(errors, share, color=style.color, linewidth=2.0, label=style.label, linestyle=style.linestyle)
    distribution.set(title="Share of scenes with a smaller error [%]", xlabel="ADE [m]", xlim=(0, None), ylim=(0, 101))
    distribution.legend(loc="lower right")
    figure.subplots_adjust(left=0.05, right=0.99, top=0.9, bottom=0.14, wspace=0.12)
    return figure


def _draw_bars(axes: Axes, tables: dict[str, pd.DataFrame]) -> None:
    first = next(iter(tables.values()))
    counts = first["command"].value_counts()
    commands = [command for command in COMMANDS if command in counts]
    width = 0.8 / len(tables)
    for index, (name, table) in enumerate(tables.items()):
        style = agent_style(name, index)
        means = table.groupby("command")["ade_m"].mean().reindex(commands)
        places = np.arange(len(commands)) + (index - (len(tables) - 1) / 2.0) * width
        drawn = axes.bar(places, means, width * 0.92, color=style.color, label=style.label)
        axes.bar_label(drawn, fmt="%.2f", padding=2, fontsize=8, color=INK)
    axes.set_xticks(range(len(commands)), [f"{command}\n{counts[command]} scenes" for command in commands])
    axes.set(title="ADE by driving command [m]")
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.12)
