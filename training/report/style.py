"""Colours and type, the same in every figure and in the page around them."""

from __future__ import annotations

import base64
import io
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.figure import Figure

INK = "#1f2933"
MUTED = "#66727f"
RULE = "#d9dee3"
PAPER = "#ffffff"

OURS = "#e4572e"
HUMAN = "#128a7e"
CONSTANT_VELOCITY = "#6f58c9"
REFERENCE_DRIVER = "#3b7dd8"
OTHERS = ("#4f6d3a", "#5b8e9c", "#7a4b94")
PICTURE_DPI = 150
BETTER, WORSE = "the better of two", "the worse of two"
"""What plans are called where two are compared in one scene."""


@dataclass(frozen=True)
class AgentStyle:
    """How one agent looks and what it is called."""

    label: str
    color: str
    band_m: float  # width of its band on the road
    line_pt: float  # width of its line seen from above
    linestyle: Any = "-"  # of its line in charts and from above


KNOWN_AGENTS = {
    "human": AgentStyle("Human driver", HUMAN, 0.4, 1.6),
    "constant_velocity": AgentStyle("Constant velocity", CONSTANT_VELOCITY, 0.25, 1.8, (0, (4.0, 2.0))),
    "reference_driver": AgentStyle("Rule-based driver", REFERENCE_DRIVER, 0.25, 1.8, (0, (1.0, 1.5))),
    BETTER: AgentStyle("Better plan", REFERENCE_DRIVER, 0.8, 3.0),
    WORSE: AgentStyle("Worse plan", OURS, 1.3, 4.6),
    "drive_jepa_perception_free": AgentStyle("Drive-JEPA, perception-free", "#a23b72", 1.3, 4.6),
    "drive_jepa_without_distillation": AgentStyle("Drive-JEPA without distillation", "#d9a441", 1.3, 4.6),
    "drive_jepa_without_distillation_momentum": AgentStyle("Without distillation, momentum", "#b7c14a", 1.3, 4.6),
    "drive_jepa": AgentStyle("Drive-JEPA", "#8a5a2b", 1.3, 4.6),
    "drive_jepa_momentum": AgentStyle("Drive-JEPA with momentum", OURS, 1.3, 4.6),
}


def agent_style(name: str, index: int = 0) -> AgentStyle:
    """The style of a known agent, or the ``index``-th of the others."""
    return KNOWN_AGENTS.get(name) or AgentStyle(name.replace("_", " "), OTHERS[index % len(OTHERS)], 1.3, 4.6)


def figure_style() -> AbstractContextManager[None]:
    """Matplotlib's settings for all figures of the page, within this context."""
    settings: dict[Any, Any] = {
        "font.size": 9.0,
        "font.family": "DejaVu Sans",
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": RULE,
        "axes.titlesize": 10.0,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#edf0f2",
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "legend.frameon": False,
    }
    return matplotlib.rc_context(settings)


def new_figure(width_px: int, height_px: int, dpi: int = PICTURE_DPI) -> Figure:
    """An empty figure of the given size; pyplot does not keep it, so it need not be closed."""
    return Figure(figsize=(width_px / dpi, height_px / dpi), dpi=dpi, facecolor=PAPER)


def as_data_url(figure: Figure, kind: str = "png") -> str:
    """The figure as a ``data:`` address, at its own size in pixels."""
    stream = io.BytesIO()
    options: dict[str, Any] = {"pil_kwargs": {"quality": 88}} if kind == "jpeg" else {}
    figure.savefig(stream, format=kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
