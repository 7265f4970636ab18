"""Charts of the report: curves of trainings, errors by command, distribution of errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.report.gallery import COMMANDS
from training.report.style import INK, MUTED, OURS, AgentStyle, agent_style, new_figure

CURVE_PX = (1680, 500)
ERRORS_PX = (1680, 540)


def training_curve(history: pd.DataFrame, style: AgentStyle) -> Figure:
    """Losses and validation error by epoch, and the simulator's score where the agent learns from it."""
    is_scored = "val_score" in history
    figure = new_figure(*CURVE_PX)
    panels = figure.subplots(1, 3 if is_scored else 2)
    epochs = history["epoch"] + 1
    panels[0].plot(epochs, history["train_loss"], color=MUTED, label="training")
    panels[0].plot(epochs, history["val_loss"], color=style.color, label="validation")
    panels[0].set(title="Loss")
    panels[0].legend()
    panels[1].plot(epochs, history["val_ade_m"], color=style.color)
    panels[1].set(title="ADE of the validation scenes [m]")
    if is_scored:
        panels[2].plot(epochs, history["val_score"], color=style.color, label="of the driven proposal")
        panels[2].plot(epochs, history["val_best_score"], color=MUTED, label="of the best proposal")
        panels[2].set(title="Score of the validation scenes")
        panels[2].legend()
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylim=(0, None))
    figure.subplots_adjust(left=0.05, right=0.99, top=0.9, bottom=0.14, wspace=0.16)
    return figure


def pretraining_curve(history: pd.DataFrame) -> Figure:
    """Loss, and the health of the target features, by step."""
    figure = new_figure(*CURVE_PX)
    loss, rank, spread = figure.subplots(1, 3)
    measured = history.dropna(subset=["effective_rank"])
    loss.plot(history["step"], history["loss"], color=OURS)
    loss.set(title="Loss (L1 on hidden tokens)")
    rank.plot(measured["step"], measured["effective_rank"], color=INK)
    rank.set(title="Effective rank of the target features")
    spread.plot(measured["step"], measured["feature_std"], color=INK)
    spread.set(title="Standard deviation of the target features")
    for axes in (loss, rank, spread):
        axes.set(xlabel="step", ylim=(0, None))
    figure.subplots_adjust(left=0.05, right=0.99, top=0.9, bottom=0.14, wspace=0.16)
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
