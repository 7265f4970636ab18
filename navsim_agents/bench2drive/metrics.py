"""Bench2Drive's figures of a set of results: driving score, success, efficiency; who is missing, crashed or doubled.

The benchmark's merging adds all records that it finds and divides by 220, whatever there is; the functions here take
the divisor, so that both that figure and the honest one come from one place. Sources: ``tools/merge_route_json.py`` and
``tools/efficiency_smoothness_benchmark.py``, the same in 0.0.3 and 0.0.4.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Optional

from navsim_agents.bench2drive.abilities import abilities
from navsim_agents.bench2drive.records import MIN_SPEED, RouteRecord
from navsim_agents.bench2drive.routes import Route
from navsim_agents.bench2drive.smoothness import smoothness_as_defined, smoothness_as_scripted
from navsim_agents.errors import InputError

__all__ = [
    "OFFICIAL_ROUTES",
    "Selection",
    "abilities",
    "driving_score",
    "efficiency",
    "route_efficiency",
    "select",
    "smoothness_as_defined",
    "smoothness_as_scripted",
    "success",
]

OFFICIAL_ROUTES = 220
"""What the benchmark's merging divides by."""
MOST_SPEED_PERCENT = 1000.0
"""Messages about a higher speed do not count."""
PERCENT = re.compile(r"\b\d+\.?\d*%")


def driving_score(records: Iterable[RouteRecord], num_routes: int = OFFICIAL_ROUTES) -> float:
    """Sum of the composed scores [percent] over ``num_routes``."""
    return sum(record.score_composed for record in records) / num_routes


def success(records: Iterable[RouteRecord], num_routes: int = OFFICIAL_ROUTES) -> float:
    """Share, 0 to 1, of routes completed without an infraction other than slowness."""
    return sum(record.is_success for record in records) / num_routes


def efficiency(records: Iterable[RouteRecord]) -> Optional[float]:
    """Speed in percent of the traffic around: mean over the routes that say something; None where none does."""
    values = [value for value in map(route_efficiency, records) if value is not None]
    return sum(values) / len(values) if values else None


def route_efficiency(record: RouteRecord) -> Optional[float]:
    """Mean over a route's messages; None without one of at most 1000 %.

    Where a route has messages, but all of more than 1000 %, the benchmark's script ends with an error.

    Raises:
        InputError: a message without a percentage.
    """
    values = [_percent(message) for message in record.infractions.get(MIN_SPEED, ())]
    counted = [value for value in values if value <= MOST_SPEED_PERCENT]
    return sum(counted) / len(counted) if counted else None


def _percent(message: str) -> float:
    found = PERCENT.search(message)
    if found is None:
        raise InputError(f"{message!r} must say a speed as '50.0%' of the traffic's; add it")
    return float(found.group()[:-1])


@dataclass(frozen=True)
class Selection:
    """One result for each route of a route file, and what is wrong with the set."""

    chosen: dict[str, RouteRecord]  # id of a route → its first result that is no crash, else its first
    missing: list[str] = field(default_factory=list)  # ids of routes without a result
    crashed: list[str] = field(default_factory=list)  # whose only results are crashes
    doubled: dict[str, int] = field(default_factory=dict)  # id → number of its results, where there are several
    strangers: list[str] = field(default_factory=list)  # ids in the results that the route file has not

    @property
    def driven(self) -> list[RouteRecord]:
        """Results that are no crashes."""
        return [record for record in self.chosen.values() if not record.is_crashed]


def select(records: Sequence[RouteRecord], routes: Optional[Sequence[Route]] = None) -> Selection:
    """One result a route, in the order of the route file, or of the results where there is none.

    A later result of a route does not replace an earlier one, so that driving a route again until it goes well does not
    help; only a crash, which says nothing of driving, gives way.
    """
    counts = Counter(record.number for record in records)
    numbers = list(counts) if routes is None else [route.number for route in routes]
    first: dict[str, RouteRecord] = {}
    for record in sorted(records, key=lambda record: record.is_crashed):
        first.setdefault(record.number, record)
    chosen = {number: first[number] for number in numbers if number in first}
    return Selection(
        chosen,
        missing=[number for number in numbers if number not in first],
        crashed=[number for number, record in chosen.items() if record.is_crashed],
        doubled={number: count for number, count in counts.items() if count > 1},
        strangers=[number for number in counts if number not in set(numbers)],
    )
