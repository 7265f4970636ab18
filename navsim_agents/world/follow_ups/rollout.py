"""A plan driven by NAVSIM's tracker for 4 s, among traffic that does what it did in the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from jaxtyping import Float64

from navsim_agents.common.conventions import EGO_WHEEL_BASE_M, NUM_STATES, STEP_S
from navsim_agents.common.planar import corners
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.poses import poses_to_local, wrap_angle
from navsim_agents.scoring.axes import MOTION, State
from navsim_agents.world.follow_ups.plans import PlanLeftOut
from navsim_agents.world.scoring_scenes.town_map import TownMap
from navsim_agents.world.tracked import tracked_states
from navsim_agents.world.tracks import ego_boxes, ever_overlaps, track_boxes
from navsim_agents.world.types import Drive, EgoStates, Town

# NAVSIM's route_utils.py repairs the route of an ego for which this does not hold, by a detour through wherever it is.
ROUTE_REACH_M, LANE_REACH_M, MOST_TURNED_RAD = 1.0, 3.0, np.pi / 4
SAFETY_M = 0.05  # kept from these bounds
EDGE_SLACK_M = 0.05  # neighbouring polygons of the map may leave slits


def driven_states(ego: EgoStates, now: int, plan: Float64[np.ndarray, "P 3"]) -> Float64[np.ndarray, "S 11"]:
    """States 0.1 s apart from step ``now`` to the end of ``plan``, whose poses are 0.5 s apart; all on the map."""
    origin = ego.poses[now]
    start = np.zeros(len(State))
    start[MOTION] = np.concatenate((ego.velocities[now], ego.accelerations[now]))
    start[State.STEERING_ANGLE] = ego.steering[now]
    return tracked_states(poses_to_local(plan, origin), start, origin)


def drive_with(drive: Drive, now: int, states: Float64[np.ndarray, "S 11"], town: Town) -> Drive:
    """``drive`` with the ego in ``states`` from step ``now`` on, its route and commands those of where it is."""
    steps = slice(now, now + len(states))
    old, speed = drive.ego, states[:, State.VELOCITY_X]
    lateral = speed**2 * np.tan(states[:, State.STEERING_ANGLE]) / EGO_WHEEL_BASE_M
    poses = np.column_stack((states[:, XY], wrap_angle(states[:, State.HEADING])))
    ego = EgoStates(
        poses=_with(old.poses, steps, poses),
        velocities=_with(old.velocities, steps, states[:, [State.VELOCITY_X, State.VELOCITY_Y]]),
        accelerations=_with(old.accelerations, steps, np.column_stack((states[:, State.ACCELERATION_X], lateral))),
        steering=_with(old.steering, steps, states[:, State.STEERING_ANGLE]),
        commands=_with(old.commands, steps, old.commands[_nearest_steps(old, now, poses)]),
    )
    routes = list(drive.route_roadblock_ids)
    route = routes[now]
    routes[steps] = [route[first:] for first in _blocks_at(town, route, poses)]
    return replace(drive, ego=ego, route_roadblock_ids=tuple(routes))


def check_driven(drive: Drive, now: int, ends: Sequence[int], town_map: TownMap) -> None:
    """Refuse a drive whose ego leaves the road or meets somebody in the 4 s from step ``now`` on.

    At the steps ``ends`` it must also be in a lane of its route, as far as NAVSIM is concerned.

    Raises:
        PlanLeftOut: it does; the message says when and whom or where.
    """
    steps = slice(now, now + NUM_STATES)
    boxes = ego_boxes(drive.ego.poses[steps])
    rings = town_map.drivable_area(boxes[-1, XY]).rings
    ground = np.array([shapely.Polygon(ring) for ring in rings], dtype=object)
    points = shapely.points(corners(boxes).reshape(-1, 2))
    beyond = shapely.distance(ground[:, None], points[None]).min(axis=0).reshape(len(boxes), -1).max(axis=1)
    if (beyond > EDGE_SLACK_M).any():
        first = int(np.argmax(beyond > EDGE_SLACK_M))
        raise PlanLeftOut(f"it leaves the road {first * STEP_S:.1f} s after now, in the end by {beyond.max():.2f} m")
    for step in ends:
        if not is_on_route(town_map, drive.route_roadblock_ids[step], drive.ego.poses[step]):
            raise PlanLeftOut(f"{(step - now) * STEP_S:.1f} s after now it is beside its route, or turned away from it")
    everywhere = np.ones(len(boxes), dtype=bool)
    for track in drive.tracks:
        if ever_overlaps(boxes, everywhere, track_boxes(track)[steps], track.valid[steps]):
            raise PlanLeftOut(f"it meets the {track.agent_type.value} {track.track_token}")


def is_on_route(town_map: TownMap, route: Sequence[str], pose: Float64[np.ndarray, "3"]) -> bool:
    """Whether a rear axle at ``pose`` is at a roadblock of ``route``, and near and along one of its lanes."""
    point = shapely.Point(pose[XY])
    for block in route:
        outline = shapely.Polygon(town_map.town.roadblocks[block].polygon)
        if outline.distance(point) > ROUTE_REACH_M - SAFETY_M:
            continue
        for lane in town_map.lanes_of(block):
            centers = town_map.town.lanes[lane].centerline
            distance = np.hypot(*(centers[:, XY] - pose[XY]).T)
            nearest = int(distance.argmin())
            turned = abs(float(wrap_angle(centers[nearest, HEADING] - pose[HEADING])))
            if distance[nearest] < LANE_REACH_M - SAFETY_M and turned < MOST_TURNED_RAD - SAFETY_M:
                return True
    return False


def _with(values: np.ndarray, steps: slice, new: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed[steps] = new
    return changed


def _nearest_steps(ego: EgoStates, now: int, poses: Float64[np.ndarray, "S 3"]) -> np.ndarray:
    """The expert's steps from ``now`` on at which it was nearest to each of ``poses``."""
    apart = poses[:, None, XY] - ego.poses[None, now:, XY]
    return now + np.hypot(apart[..., 0], apart[..., 1]).argmin(axis=1)


def _blocks_at(town: Town, route: tuple[str, ...], poses: Float64[np.ndarray, "S 3"]) -> list[int]:
    """Index of the route's roadblock that holds each pose, or is nearest to it; of several the first."""
    blocks = np.array([shapely.Polygon(town.roadblocks[block].polygon) for block in route], dtype=object)
    distance = shapely.distance(blocks[:, None], shapely.points(poses[:, XY])[None])
    return [int(index) for index in distance.argmin(axis=0)]
