"""Bench2Drive's result files: a record a route, and what the car did at every tick of one.

``CHECKPOINT_ENDPOINT`` holds ``{"_checkpoint": {"records": […]}, …}``; ``SAVE_PATH/<save_name>/metric_info.json``,
which the agent writes, holds ``{tick: {"acceleration": [x, y, z], …}}``. Both are read and written as the benchmark's
own tools do, so these read what we write. Places are in CARLA's left-handed world: x ahead, y right, z up, metres.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

from navsim_agents.common.files import read_json, reading, write_json
from navsim_agents.errors import InputError

# Names and factors: Bench2Drive's leaderboard/utils/statistics_manager.py (release 0.0.4; the same in 0.0.3).
HIT_LAYOUT, HIT_PEDESTRIAN, HIT_VEHICLE = "collisions_layout", "collisions_pedestrian", "collisions_vehicle"
RED_LIGHT, STOP_SIGN = "red_light", "stop_infraction"
OUTSIDE_LANES, MIN_SPEED = "outside_route_lanes", "min_speed_infractions"
EMERGENCY_VEHICLE, SCENARIO_TIMEOUT = "yield_emergency_vehicle_infractions", "scenario_timeouts"
ROUTE_DEVIATION, BLOCKED, ROUTE_TIMEOUT = "route_dev", "vehicle_blocked", "route_timeout"
INFRACTIONS = (
    HIT_LAYOUT,
    HIT_PEDESTRIAN,
    HIT_VEHICLE,
    RED_LIGHT,
    STOP_SIGN,
    OUTSIDE_LANES,
    MIN_SPEED,
    EMERGENCY_VEHICLE,
    SCENARIO_TIMEOUT,
    ROUTE_DEVIATION,
    BLOCKED,
    ROUTE_TIMEOUT,
)
"""The lists of a record, in the order of the file."""
FACTORS: Mapping[str, float] = {
    HIT_PEDESTRIAN: 0.5,
    HIT_VEHICLE: 0.6,
    HIT_LAYOUT: 0.65,
    RED_LIGHT: 0.7,
    STOP_SIGN: 0.8,
    SCENARIO_TIMEOUT: 0.7,
    EMERGENCY_VEHICLE: 0.7,
}
"""What each entry of a list multiplies the score with."""
ENDS: Mapping[str, str] = {
    ROUTE_TIMEOUT: "Agent timed out",
    ROUTE_DEVIATION: "Agent deviated from the route",
    BLOCKED: "Agent got blocked",
}
"""Lists whose entry ends a route, and what the status then says; of several the last one counts."""
PERFECT, COMPLETED, FAILED = "Perfect", "Completed", "Failed"
CRASHES = ("Simulation crashed", "Agent crashed", "Agent couldn't be set up", "Agent's sensors were invalid")
"""Ends of a status that speak of programs and not of driving; the benchmark writes ``TickRuntime`` after 4000 ticks."""
SCORE_DIGITS, META_DIGITS = 6, 3
OUTSIDE_PERCENT = re.compile(r"\(([\d.]+)% of the completed route\)")
METRIC_INFO = "metric_info.json"


@dataclass(frozen=True)
class RouteRecord:
    """What the benchmark says of one route."""

    route_id: str  # RouteScenario_<id in the route file>_rep<repetition>
    scenario_name: str = ""  # the benchmark's type and a number: Accident_1
    town_name: Optional[str] = None
    weather_id: Optional[str] = None  # None where the route file has a weather that the benchmark does not number
    save_name: str = ""  # folder of the agent's files in SAVE_PATH
    status: str = "Started"
    infractions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # list → messages; a list may be absent
    score_route: float = 0.0  # percent
    score_penalty: float = 0.0  # factor
    score_composed: float = 0.0  # percent
    route_length_m: float = 0.0
    duration_game_s: float = 0.0
    duration_system_s: float = 0.0
    index: int = 0  # in its file

    @property
    def number(self) -> str:
        """The route's id in the route file."""
        parts = self.route_id.split("_")
        return parts[1] if len(parts) > 1 else self.route_id

    @property
    def is_success(self) -> bool:
        """Whether the route was completed without any infraction but slowness."""
        return self.status in (COMPLETED, PERFECT) and not self.has_infraction

    @property
    def has_infraction(self) -> bool:
        """Whether any list but that of slowness has an entry."""
        return any(messages for name, messages in self.infractions.items() if name != MIN_SPEED)

    @property
    def is_crashed(self) -> bool:
        """Whether a program's failure ended the route."""
        return self.status == "Started" or self.status.endswith(CRASHES)


@dataclass(frozen=True)
class TickInfo:
    """What the agent notes of its car at one tick; triples in CARLA's world frame."""

    acceleration: tuple[float, float, float]  # m/s²
    angular_velocity: tuple[float, float, float]  # deg/s, as CARLA gives it
    forward_vector: tuple[float, float, float]
    right_vector: tuple[float, float, float]
    location: tuple[float, float, float]  # m
    rotation: tuple[float, float, float]  # roll, pitch, yaw in degrees


def compose(
    route_percent: float, infractions: Mapping[str, Sequence[str]], failure: str = ""
) -> tuple[float, float, str]:
    """``score_penalty``, ``score_composed`` and ``status`` of a route.

    Args:
        route_percent: of the route that was driven; 100 or more is all of it.
        infractions: list → messages; one about the lanes says how many percent of the way were outside of them.
        failure: what ended the route early, unless a list says so.

    Raises:
        InputError: a list that is none, or a message about the lanes without its percentage.
    """
    unknown = sorted(infractions.keys() - set(INFRACTIONS))
    if unknown:
        raise InputError(f"{unknown[0]!r} is no list of infractions; there are {', '.join(INFRACTIONS)}")
    penalty = 1.0
    for name, factor in FACTORS.items():
        penalty *= factor ** len(infractions.get(name, ()))
    for message in infractions.get(OUTSIDE_LANES, ()):
        penalty *= 1.0 - outside_percent(message) / 100.0
    for name, words in ENDS.items():
        failure = words if infractions.get(name) else failure
    if route_percent >= 100.0:
        status = COMPLETED if any(infractions.values()) else PERFECT
    else:
        status = f"{FAILED} - {failure}" if failure else FAILED
    return round(penalty, SCORE_DIGITS), round(max(route_percent * penalty, 0.0), SCORE_DIGITS), status


def outside_percent(message: str) -> float:
    """Percent of the way that a message about the lanes speaks of."""
    found = OUTSIDE_PERCENT.search(message)
    if found is None:
        raise InputError(f"{message!r} must say the part outside the lanes as '(30.0% of the completed route)'; add it")
    return float(found.group(1))


def read_records(path: Path) -> list[RouteRecord]:
    """Records of a result file, or of what the benchmark's merging makes of several, in the file's order.

    Raises:
        InputError: there is no such file, it is cut off, or it holds no records.
    """
    content = read_json(path)
    with reading(path):
        return [_record(values, index) for index, values in enumerate(content["_checkpoint"]["records"])]


def _record(values: Mapping[str, Any], index: int) -> RouteRecord:
    scores, meta = values["scores"], values.get("meta") or {}
    return RouteRecord(
        route_id=str(values["route_id"]),
        scenario_name=str(values.get("scenario_name") or ""),
        town_name=_text(values.get("town_name")),
        weather_id=_text(values.get("weather_id")),
        save_name=str(values.get("save_name") or ""),
        status=str(values["status"]),
        infractions={str(name): tuple(map(str, messages)) for name, messages in values["infractions"].items()},
        score_route=_finite(scores["score_route"]),
        score_penalty=_finite(scores["score_penalty"]),
        score_composed=_finite(scores["score_composed"]),
        route_length_m=_finite(meta.get("route_length", 0.0)),
        duration_game_s=_finite(meta.get("duration_game", 0.0)),
        duration_system_s=_finite(meta.get("duration_system", 0.0)),
        index=int(values.get("index", index)),
    )


def _finite(value: Any) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} for a score, length or duration")
    return float(value)


def _text(value: Any) -> Optional[str]:
    return None if value is None else str(value)


def write_records(path: Path, records: Iterable[RouteRecord]) -> None:
    """A result file as the benchmark writes it at the end of a run; its own tools read it."""
    written = [_to_json(record) for record in records]
    checkpoint = {"global_record": {}, "progress": [len(written), len(written)], "records": written}
    rest = {"entry_status": "Finished", "eligible": True, "sensors": [], "values": [], "labels": []}
    write_json(path, {"_checkpoint": checkpoint, **rest})


def _to_json(record: RouteRecord) -> dict[str, Any]:
    infractions = {name: list(record.infractions.get(name, ())) for name in INFRACTIONS}
    return {
        "index": record.index,
        "route_id": record.route_id,
        "scenario_name": record.scenario_name,
        "weather_id": record.weather_id,
        "save_name": record.save_name,
        "status": record.status,
        "num_infractions": sum(map(len, infractions.values())),
        "infractions": infractions,
        "scores": {
            "score_route": round(record.score_route, SCORE_DIGITS),
            "score_penalty": round(record.score_penalty, SCORE_DIGITS),
            "score_composed": round(record.score_composed, SCORE_DIGITS),
        },
        "meta": {
            "route_length": round(record.route_length_m, META_DIGITS),
            "duration_game": round(record.duration_game_s, META_DIGITS),
            "duration_system": round(record.duration_system_s, META_DIGITS),
        },
        "town_name": record.town_name,
    }


def metric_info_path(save_path: Path, record: RouteRecord) -> Path:
    """Where the benchmark's smoothness script looks for what the agent noted of a route."""
    return save_path / record.save_name / METRIC_INFO


def read_metric_info(path: Path) -> dict[int, TickInfo]:
    """Tick → what the agent noted, in the file's order.

    Raises:
        InputError: there is no such file, it is cut off, or a tick lacks something or holds what is not finite.
    """
    content = read_json(path)
    names = TickInfo.__dataclass_fields__
    with reading(path):
        if not isinstance(content, dict):
            raise TypeError("no table of ticks")
        return {
            int(tick): TickInfo(**{name: _triple(values[name]) for name in names}) for tick, values in content.items()
        }


def _triple(values: Any) -> tuple[float, float, float]:
    x, y, z = map(float, values)
    if not all(map(math.isfinite, (x, y, z))):
        raise ValueError(f"{[x, y, z]} for three finite numbers")
    return x, y, z


def write_metric_info(path: Path, ticks: Mapping[int, TickInfo]) -> None:
    """The same file anew; raises InputError on values that are not finite, as JSON has none."""
    try:
        write_json(path, {str(tick): asdict(info) for tick, info in ticks.items()})
    except ValueError as error:
        raise InputError(f"{path}: what a tick notes must be finite numbers ({error}); leave that tick out") from error
