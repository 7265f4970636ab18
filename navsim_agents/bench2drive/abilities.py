"""Bench2Drive's five abilities: the share of successes among the routes of each ability's scenario types.

Traffic signs have a rule of their own: a route that fails later counts too, where it got past its first junction
without running a red light or a stop sign. Where that junction lies only CARLA's maps tell
(:mod:`navsim_agents.bench2drive.junctions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from navsim_agents.bench2drive.records import RED_LIGHT, STOP_SIGN, RouteRecord
from navsim_agents.bench2drive.routes import Route

# Which types belong to which ability: tools/ability_benchmark.py, the same in 0.0.3 and 0.0.4.
_JUNCTIONS = """BlockedIntersection CrossingBicycleFlow EnterActorFlow NonSignalizedJunctionLeftTurn
    NonSignalizedJunctionLeftTurnEnterFlow NonSignalizedJunctionRightTurn OppositeVehicleRunningRedLight
    OppositeVehicleTakingPriority PedestrianCrossing SignalizedJunctionLeftTurn SignalizedJunctionLeftTurnEnterFlow
    SignalizedJunctionRightTurn T_Junction VanillaNonSignalizedTurn VanillaNonSignalizedTurnEncounterStopsign
    VanillaSignalizedTurnEncounterGreenLight VanillaSignalizedTurnEncounterRedLight VehicleTurningRoute
    VehicleTurningRoutePedestrian"""
_TYPES = {
    "Overtaking": """Accident AccidentTwoWays ConstructionObstacle ConstructionObstacleTwoWays HazardAtSideLane
        HazardAtSideLaneTwoWays ParkedObstacle ParkedObstacleTwoWays VehicleOpensDoorTwoWays""",
    "Merging": """CrossingBicycleFlow EnterActorFlow HighwayCutIn HighwayExit InterurbanActorFlow
        InterurbanAdvancedActorFlow MergerIntoSlowTraffic MergerIntoSlowTrafficV2 NonSignalizedJunctionLeftTurn
        NonSignalizedJunctionLeftTurnEnterFlow NonSignalizedJunctionRightTurn ParkingExit SequentialLaneChange
        SignalizedJunctionLeftTurn SignalizedJunctionLeftTurnEnterFlow SignalizedJunctionRightTurn""",
    "Emergency_Brake": """BlockedIntersection ControlLoss DynamicObjectCrossing HardBreakRoute
        OppositeVehicleRunningRedLight OppositeVehicleTakingPriority ParkingCrossingPedestrian ParkingCutIn
        PedestrianCrossing StaticCutIn VehicleTurningRoute VehicleTurningRoutePedestrian""",
    "Give_Way": "InvadingTurn YieldToEmergencyVehicle",
    "Traffic_Signs": _JUNCTIONS,
}
ABILITIES: Mapping[str, frozenset[str]] = {name: frozenset(types.split()) for name, types in _TYPES.items()}
"""Ability → scenario types."""
SIGNS = "Traffic_Signs"
MEAN = "mean"
RELEASES = ("0.0.4", "0.0.3")
"""Of the ability script: 0.0.3 counts each route of Traffic_Signs twice, once as a success and once as passed."""


@dataclass(frozen=True)
class Ability:
    """Successes among the routes of one ability."""

    successes: int
    routes: int
    unknown: int = 0  # failed routes that may have got past their junction; nobody said where it lies

    @property
    def share(self) -> Optional[float]:
        """0 to 1; None without routes."""
        return self.successes / self.routes if self.routes else None


def abilities(
    routes: Sequence[Route],
    records: Mapping[str, RouteRecord],
    junctions: Mapping[str, float],
    release: str = RELEASES[0],
    are_missing_counted: bool = False,
) -> dict[str, Ability]:
    """Ability → successes and routes.

    Args:
        routes: of the route file; they say which types there are, and how many routes of each.
        records: id of the route → its result.
        junctions: id of the route → part of it at which its first junction is passed (0 to 1).
        release: whose counting of traffic signs.
        are_missing_counted: routes without a result count as failed; the benchmark's script leaves them out.
    """
    found: dict[str, Ability] = {}
    for name, types in ABILITIES.items():
        its = [route for route in routes if route.scenario_type in types]
        driven = [records[route.number] for route in its if route.number in records]
        num_routes = len(its) if are_missing_counted else len(driven)
        successes = sum(record.is_success for record in driven)
        found[name] = Ability(successes, num_routes)
        if name == SIGNS:
            found[name] = _signs(driven, num_routes, junctions, is_twice=release == RELEASES[1])
    return found


def _signs(driven: Sequence[RouteRecord], num_routes: int, junctions: Mapping[str, float], is_twice: bool) -> Ability:
    passed = {record.number: has_passed(record, junctions.get(record.number)) for record in driven}
    if is_twice:
        twice = sum(record.is_success + bool(passed[record.number]) for record in driven)
        successes, num_routes = twice, 2 * num_routes
    else:
        successes = sum(record.is_success or bool(passed[record.number]) for record in driven)
    return Ability(successes, num_routes, sum(is_known is None for is_known in passed.values()))


def has_passed(record: RouteRecord, junction: Optional[float]) -> Optional[bool]:
    """Whether a route got past its first junction as the signs demand; None where nobody said where that lies."""
    if record.infractions.get(RED_LIGHT) or record.infractions.get(STOP_SIGN):
        return False
    if junction is None:
        return True if record.is_success else None if record.score_route > 0.0 else False
    return record.score_route / 100.0 > junction


def mean_ability(found: Mapping[str, Ability]) -> Optional[float]:
    """Mean of the five shares; None where an ability has no routes."""
    shares = [ability.share for ability in found.values()]
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if len(known) == len(shares) else None
