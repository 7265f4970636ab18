"""From the simulator's record to the log's columns: ego states, driving commands, route and events."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from navsim_agents.common.conventions import DRIVING_COMMANDS, EGO_WHEEL_BASE_M
from navsim_agents.common.poses import XY
from navsim_agents.poses import wrap_angle
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.simulation import SPEED, Record
from navsim_agents.world.types import EgoStates, Turn

_COMMAND_AHEAD_S = 4.5
_COMMAND_AHEAD_M = (20.0, 28.0)  # the look-ahead's bounds


def ego_states(graph: LaneGraph, record: Record, route: list[str]) -> EgoStates:
    """The expert's columns over S steps."""
    x, y, heading, curvature, speed, accel = np.array(record.ego).T
    return EgoStates(
        poses=np.column_stack((x, y, wrap_angle(heading))),
        velocities=np.column_stack((speed, np.zeros_like(speed))),
        accelerations=np.column_stack((accel, speed**2 * curvature)),
        steering=np.arctan(EGO_WHEEL_BASE_M * curvature),
        commands=driving_commands(graph, record, route),
    )


def driving_commands(graph: LaneGraph, record: Record, route: list[str]) -> Int64[np.ndarray, " S"]:
    """Index into DRIVING_COMMANDS per step: the turn that the route takes now or within the look-ahead."""
    names = [
        _command(graph, route, where.route_index, where.lane_id, ego)
        for where, ego in zip(record.whereabouts, record.ego)
    ]
    return np.array([DRIVING_COMMANDS.index(name) for name in names], dtype=np.int64)


def _command(graph: LaneGraph, route: list[str], index: int, lane_id: str, ego: Float64[np.ndarray, "6"]) -> str:
    ahead = float(np.clip(_COMMAND_AHEAD_S * ego[SPEED], *_COMMAND_AHEAD_M))
    curve = graph.town.lanes[lane_id].centerline
    nearest = int(np.argmin(np.hypot(*(curve[:, XY] - ego[XY]).T)))
    reach = graph.lengths[lane_id] * (1.0 - nearest / (len(curve) - 1))
    while True:
        turn = graph.town.lanes[graph.town.roadblocks[route[index]].lane_ids[0]].turn
        if turn is not Turn.STRAIGHT:
            return turn.value
        if reach >= ahead:
            return Turn.STRAIGHT.value
        index += 1
        reach += graph.lengths[graph.town.roadblocks[route[index]].lane_ids[0]]


def route_per_step(record: Record, route: list[str]) -> tuple[tuple[str, ...], ...]:
    """Roadblocks from the current one on, up to where the route would meet itself."""
    cache: dict[int, tuple[str, ...]] = {}
    return tuple(
        cache.setdefault(where.route_index, _without_loop(route[where.route_index :])) for where in record.whereabouts
    )


_MAX_ROUTE_BLOCKS = 15


def _without_loop(route: list[str]) -> tuple[str, ...]:
    seen: list[str] = []
    for block in route[:_MAX_ROUTE_BLOCKS]:
        if block in seen:
            break
        seen.append(block)
    return tuple(seen)


def event_steps(graph: LaneGraph, record: Record) -> dict[str, tuple[int, ...]]:
    """Steps at which something happens to the expert, by name."""
    events = {name: tuple(steps) for name, steps in record.events.items()}
    turns = [graph.town.lanes[where.lane_id].turn for where in record.whereabouts]
    for name, turn in (("left_turn", Turn.LEFT), ("right_turn", Turn.RIGHT)):
        events[name] = tuple(step for step, now in enumerate(turns) if now is turn)
    events["lane_change"] = tuple(step for step, where in enumerate(record.whereabouts) if where.is_changing_lane)
    return {name: steps for name, steps in events.items() if steps}
