"""The table of a closed loop: Bench2Drive's figures of every agent, over all routes and by situation."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from navsim_agents.bench2drive.metrics import driving_score, efficiency, success
from navsim_agents.bench2drive.motion_files import Motions, read_motions
from navsim_agents.bench2drive.records import INFRACTIONS, MIN_SPEED, RouteRecord
from navsim_agents.closed_loop.config import DriveLoopConfig
from navsim_agents.closed_loop.routes import SITUATIONS, Route
from navsim_agents.common.files import write_json, write_text
from navsim_agents.evaluation.seeds import spreads
from navsim_agents.evaluation.table import aligned

ALL = "all"
FIGURES = ("driving_score", "success", "route", "efficiency", "smoothness_scripted", "smoothness_defined")
"""Columns, all in percent; smoothness as the official script computes it, and as its definition means it."""


def figures(records: Sequence[RouteRecord], motions: Motions) -> dict[str, float]:
    """Figures of some routes, as far as these have them; ``routes`` says how many they are."""
    count = len(records)
    values = {
        "driving_score": driving_score(records, count),
        "success": 100.0 * success(records, count),
        "route": sum(record.score_route for record in records) / count,
        "efficiency": efficiency(records),
        "smoothness_scripted": motions.mean(records, motions.WAYS[0]),
        "smoothness_defined": motions.mean(records, motions.WAYS[1]),
        "routes": float(count),
    }
    return {name: value for name, value in values.items() if value is not None}


def summarise(
    config: DriveLoopConfig, routes: Sequence[Route], driven: Mapping[str, Sequence[RouteRecord]]
) -> dict[str, Any]:
    """All figures, infractions and crashes of every agent."""
    by_index = {route.number: route for route in routes}
    agents: dict[str, Any] = {}
    situations: dict[str, Any] = {}
    crashed, infractions = [], {}
    for agent, records in driven.items():
        motions = read_motions(Path(config.output) / agent, records)
        agents[agent] = figures(records, motions)
        situations[agent] = {}
        for situation in SITUATIONS:
            its = [record for record in records if by_index[record.index].situation == situation]
            if its:
                situations[agent][situation] = figures(its, motions)
        infractions[agent] = {name: _count(records, name) for name in INFRACTIONS if name != MIN_SPEED}
        crashed += [
            {"agent": agent, "route": by_index[record.index].name, "status": record.status}
            for record in records
            if record.is_crashed
        ]
    return {
        "agents": agents,
        "seeds": spreads(agents),
        "situations": situations,
        "infractions": infractions,
        "crashed": crashed,
        "routes": {route.name: {"town": route.location, "situation": route.situation} for route in routes},
        "seconds": {
            agent: round(sum(its.duration_system_s for its in records), 1) for agent, records in driven.items()
        },
    }


def _count(records: Sequence[RouteRecord], name: str) -> int:
    return sum(len(record.infractions.get(name, ())) for record in records)


def main_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """Agents by figures; runs that differ in their seed alone once more, as mean ± standard deviation."""
    rows = [["agent", *FIGURES, "routes"]]
    for agent, values in summary["agents"].items():
        rows.append([agent, *(_text(values.get(name)) for name in FIGURES), f"{values['routes']:.0f}"])
    for group, values in summary["seeds"].items():
        cells = [_plus_minus(values[name]) if name in values else "–" for name in FIGURES]
        rows.append([f"{group} ({len(values['routes']['values'])} seeds)", *cells, f"{values['routes']['mean']:.0f}"])
    return rows


def situation_rows(summary: Mapping[str, Any], name: str = "driving_score") -> list[list[str]]:
    """One figure of every agent by situation."""
    found = summary["situations"]
    known = [situation for situation in SITUATIONS if any(situation in its for its in found.values())]
    rows = [["agent", *known]]
    for agent, its in found.items():
        rows.append([agent, *(_text(its[situation][name]) if situation in its else "–" for situation in known)])
    return rows


def write_results(config: DriveLoopConfig, summary: Mapping[str, Any]) -> str:
    """Write ``summary.json``, ``table.csv`` and ``table.md``; returns the table for a terminal."""
    output = Path(config.output)
    write_json(output / "summary.json", summary)
    write_text(output / "table.csv", _csv(summary))
    tables = {"All routes": main_rows(summary), "Driving score by situation": situation_rows(summary)}
    write_text(output / "table.md", "\n".join(f"## {title}\n\n{_markdown(rows)}" for title, rows in tables.items()))
    return "\n\n".join(f"{title}\n{aligned(rows)}" for title, rows in tables.items())


def _csv(summary: Mapping[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["agent", "situation", *FIGURES, "routes"])
    for agent, values in summary["agents"].items():
        for situation, its in {ALL: values, **summary["situations"][agent]}.items():
            cells = [its.get(name) for name in FIGURES]
            writer.writerow(
                [agent, situation, *("" if cell is None else f"{cell:.6g}" for cell in cells), its["routes"]]
            )
    return text.getvalue()


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:.2f}"


def _plus_minus(metric: Mapping[str, Any]) -> str:
    deviation = "" if metric["sd"] is None else f" ± {metric['sd']:.2f}"
    return f"{metric['mean']:.2f}{deviation}"
