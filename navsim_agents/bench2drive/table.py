"""Bench2Drive's figures of a folder of results, as its own tools give them and as they ought to be given.

Three columns: *official* is what the benchmark's scripts make of the same files; *all routes* counts each route of the
route file once, missing ones as zero; *driven* leaves out the missing and the crashed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from navsim_agents.bench2drive.abilities import ABILITIES, MEAN, Ability, abilities, mean_ability
from navsim_agents.bench2drive.metrics import OFFICIAL_ROUTES, Selection, driving_score, efficiency, success
from navsim_agents.bench2drive.motion_files import Motions
from navsim_agents.bench2drive.records import RouteRecord
from navsim_agents.bench2drive.routes import Route

Value = Optional[float]
NONE = "–"
HEAD = ("figure", "official", "all routes", "driven")


@dataclass(frozen=True)
class Row:
    """One figure in three ways."""

    name: str
    official: Value
    all_routes: Value
    driven: Value

    def cells(self, none: str = NONE) -> list[str]:
        """Name and numbers as text."""
        values = (self.official, self.all_routes, self.driven)
        return [self.name, *(none if value is None else f"{value:.6g}" for value in values)]


@dataclass(frozen=True)
class Table:
    """All figures of a set of results, and what is to be said of it."""

    rows: list[Row]
    notes: list[str]
    details: dict[str, Any]

    def markdown(self) -> str:
        """A table and a list of notes."""
        lines = [HEAD, ["---"] * len(HEAD), *(row.cells() for row in self.rows)]
        table = ["| " + " | ".join(cells) + " |" for cells in lines]
        return "\n".join([*table, "", *(f"- {note}" for note in self.notes)]).rstrip() + "\n"

    def csv(self) -> str:
        """The same without notes."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([HEAD, *(row.cells("") for row in self.rows)])
        return text.getvalue()

    def to_json(self) -> dict[str, Any]:
        """Figures by name at full precision, notes, and every route."""
        figures = {
            row.name: {"official": row.official, "all_routes": row.all_routes, "driven": row.driven}
            for row in self.rows
        }
        return {"figures": figures, "notes": self.notes, **self.details}


def make_table(
    records: Sequence[RouteRecord],
    selection: Selection,
    routes: Optional[Sequence[Route]],
    motions: Optional[Motions],
    junctions: Mapping[str, float],
    release: str,
) -> Table:
    """Figures of results.

    Args:
        records: all that there are, in the order of the files.
        selection: one a route.
        routes: of the route file; without it nothing is missing, and there are no abilities.
        motions: what the agent noted of its ticks, where it did.
        junctions: as :func:`~navsim_agents.bench2drive.abilities.abilities` takes them.
        release: of the benchmark's ability script.
    """
    num_routes = len(selection.chosen) + len(selection.missing)
    driven, chosen = selection.driven, list(selection.chosen.values())
    rows = [
        _row("driving score", driving_score, records, chosen, driven, num_routes),
        _row("success %", lambda its, number: 100.0 * success(its, number), records, chosen, driven, num_routes),
        Row("efficiency %", efficiency(records), efficiency(chosen), efficiency(driven)),
    ]
    notes = _notes(selection, len(records), num_routes)
    if motions is not None:
        rows += [
            Row(f"smoothness % {way}", *(motions.mean(its, way) for its in (records, chosen, driven)))
            for way in motions.WAYS
        ]
        notes += motions.notes(selection)
    if routes is not None:
        ability_rows, ability_notes = _abilities(records, selection, routes, junctions, release)
        rows, notes = rows + ability_rows, notes + ability_notes
    return Table(rows, notes, _details(selection, routes, motions))


def _row(
    name: str,
    figure: Any,
    records: Sequence[RouteRecord],
    chosen: Sequence[RouteRecord],
    driven: Sequence[RouteRecord],
    num_routes: int,
) -> Row:
    official = figure(records, OFFICIAL_ROUTES)
    return Row(
        name,
        official,
        figure(chosen, num_routes) if num_routes else None,
        figure(driven, len(driven)) if driven else None,
    )


def _notes(selection: Selection, num_records: int, num_routes: int) -> list[str]:
    """What is to be said of the set, none of it where it is whole."""
    notes = []
    if num_records != OFFICIAL_ROUTES or selection.doubled:
        notes.append(
            f"{num_records} results of {num_routes} routes; the benchmark's merging divides by {OFFICIAL_ROUTES} all "
            "the same, and counts every result: its figures are wrong unless there is one for each of its 220 routes"
        )
    doubled = [f"{number} ({count} times)" for number, count in selection.doubled.items()]
    for words, numbers in (
        ("missing, 0 in 'all routes'", selection.missing),
        ("crashed (programs, not driving), as they stand in 'all routes'", selection.crashed),
        ("there several times, the first without a crash counts", doubled),
        ("not in the route file, left out but in 'official'", selection.strangers),
    ):
        if numbers:
            notes.append(f"{len(numbers)} routes {words}: {', '.join(numbers)}")
    return notes


def _abilities(
    records: Sequence[RouteRecord],
    selection: Selection,
    routes: Sequence[Route],
    junctions: Mapping[str, float],
    release: str,
) -> tuple[list[Row], list[str]]:
    driven = {record.number: record for record in selection.driven}
    ways = (
        abilities(routes, as_merged(records), junctions, release),
        abilities(routes, selection.chosen, junctions, release, are_missing_counted=True),
        abilities(routes, driven, junctions, release),
    )
    rows = [Row(f"{name} % (of {ways[1][name].routes})", *(_percent(way[name]) for way in ways)) for name in ABILITIES]
    means = [mean_ability(way) for way in ways]
    rows.append(Row(f"ability {MEAN} %", *(None if value is None else 100.0 * value for value in means)))
    unknown = max(ability.unknown for ability in ways[0].values())
    notes = []
    if unknown:
        notes.append(
            f"Traffic_Signs is a lower bound: {unknown} routes that failed may have passed their first junction; set "
            "carla_root, or junctions=FILE.json"
        )
    return rows, notes


def as_merged(records: Sequence[RouteRecord]) -> dict[str, RouteRecord]:
    """The record that the benchmark's ability script finds of each route: the first in the merged file, which is sorted
    by name backwards."""
    found: dict[str, RouteRecord] = {}
    for record in sorted(records, key=lambda record: record.route_id, reverse=True):
        found.setdefault(record.number, record)
    return found


def _percent(ability: Ability) -> Value:
    return None if ability.share is None else 100.0 * ability.share


def _details(selection: Selection, routes: Optional[Sequence[Route]], motions: Optional[Motions]) -> dict[str, Any]:
    """Every route, and successes by scenario type."""
    types = {route.number: route.scenario_type for route in routes or ()}
    by_type: dict[str, list[int]] = {}
    each = {}
    for number, record in selection.chosen.items():
        scene = types.get(number) or record.scenario_name.rpartition("_")[0] or record.scenario_name
        count = by_type.setdefault(scene, [0, 0])
        count[0], count[1] = count[0] + record.is_success, count[1] + 1
        each[number] = {
            "scenario": scene,
            "status": record.status,
            "driving_score": record.score_composed,
            "is_success": record.is_success,
            **({} if motions is None else motions.of(record)),
        }
    return {
        "missing": selection.missing,
        "crashed": selection.crashed,
        "doubled": selection.doubled,
        "strangers": selection.strangers,
        "by_scenario": {
            scene: {"successes": successes, "routes": number} for scene, (successes, number) in sorted(by_type.items())
        },
        "routes": each,
    }
