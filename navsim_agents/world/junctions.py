"""Junctions: connectors between roads, the intersection's area, stop lines, crosswalks and signal heads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

import numpy as np
import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from navsim_agents.common.poses import HEADING, XY
from navsim_agents.poses import wrap_angle
from navsim_agents.world.boxes import box_outline
from navsim_agents.world.curves import (
    CIRCLE_HANDLE,
    FloatArray,
    connect_poses,
    left_normal,
    offset_curve,
    unit,
)
from navsim_agents.world.layout import NodeKind
from navsim_agents.world.roads import CENTERLINE_SPACING_M, LANE_WIDTH_M, Arm, NetworkBuilder, parallel_curve
from navsim_agents.world.types import Intersection, Lane, Roadblock, StopLine, TrafficLightPole, Turn

TURN_ANGLE = np.radians(40.0)
KERB_ROUNDNESS = 0.4  # below a circle's, so that the kerb leaves room inside the right-turn connector
TURN_SPEED_MPS = 8.0
SIGNAL_HEIGHT_M = 5.0
_POLE_SETBACK_M = 1.2
_STOP_LINE_M = 0.6
_CROSSWALK_M = 3.0


@dataclass(frozen=True)
class JunctionParts:
    """What a junction adds besides its lanes."""

    crosswalks: tuple[FloatArray, ...]  # outlines
    poles: tuple[TrafficLightPole, ...]
    kerbs: tuple[FloatArray, ...]  # [M, 3] from one arm's left edge to the next arm's right edge


@dataclass(frozen=True)
class _Link:
    """A planned connector: from one incoming lane to one outgoing lane."""

    source: Arm
    target: Arm
    source_index: int
    target_index: int
    turn: Turn


def build_junction(arms: list[Arm], kind: NodeKind, builder: NetworkBuilder) -> JunctionParts:
    """Join ``arms`` (counter-clockwise) by connectors and add the intersection to ``builder``."""
    intersection_id = builder.new_id()
    is_signalised = kind is NodeKind.SIGNAL
    links = [link for source in arms for link in _links_from(source, arms)]
    links += _links_to_orphans(links, arms)
    connector_ids = _add_connectors(links, intersection_id, arms, is_signalised, builder)
    kerbs = tuple(_kerb(arm, arms[(i + 1) % len(arms)]) for i, arm in enumerate(arms))
    outline = _outline(arms, kerbs, [builder.lanes[i].polygon for i in connector_ids])
    builder.intersections[intersection_id] = Intersection(intersection_id, outline, is_signalised, 2 * is_signalised)
    _add_stop_lines(arms, kind, intersection_id, builder)
    poles = [_pole(arm, arms, intersection_id) for arm in arms] if is_signalised else []
    return JunctionParts(_crosswalks(arms, kind), tuple(poles), kerbs)


def signal_group(arm: Arm, arms: list[Arm]) -> int:
    """Phase of an arm's signals: opposite arms share one."""
    first = arms[0].pose[HEADING]
    return int(abs(np.sin(arm.pose[HEADING] - first)) > np.sqrt(0.5))


def minor_arm(arms: list[Arm]) -> Arm:
    """The arm of a T-junction that meets the other two, which run on into one another."""
    pairs = [(i, j) for i in range(len(arms)) for j in range(i)]
    straightest = min(pairs, key=lambda pair: abs(_turn_angle(arms[pair[0]], arms[pair[1]])))
    return next(arm for i, arm in enumerate(arms) if i not in straightest)


def _turn_angle(source: Arm, target: Arm) -> float:
    return float(wrap_angle(target.pose[HEADING] - source.pose[HEADING] - np.pi))


def _turn(source: Arm, target: Arm) -> Turn:
    angle = _turn_angle(source, target)
    if abs(angle) < TURN_ANGLE:
        return Turn.STRAIGHT
    return Turn.LEFT if angle > 0 else Turn.RIGHT


def _links_from(source: Arm, arms: list[Arm]) -> list[_Link]:
    """Left from the leftmost lane, right from the rightmost, straight on from every lane that continues."""
    last = len(source.incoming) - 1
    links = []
    for target in arms:
        if target is source:
            continue
        turn, end = _turn(source, target), len(target.outgoing) - 1
        if turn is Turn.LEFT:
            links.append(_Link(source, target, 0, 0, turn))
        elif turn is Turn.RIGHT:
            links.append(_Link(source, target, last, end, turn))
        else:
            links += [_Link(source, target, k, k, turn) for k in range(min(last, end) + 1)]
    used = {link.source_index for link in links}
    return links + [_link_for_lane(source, links, k) for k in range(last + 1) if k not in used]


def _link_for_lane(source: Arm, links: list[_Link], lane: int) -> _Link:
    """A connector for a lane without one: parallel to its nearest neighbour's."""
    nearest = min(links, key=lambda link: abs(link.source_index - lane))
    target = nearest.target_index + lane - nearest.source_index
    return replace(nearest, source_index=lane, target_index=int(np.clip(target, 0, len(nearest.target.outgoing) - 1)))


def _links_to_orphans(links: list[_Link], arms: list[Arm]) -> list[_Link]:
    """Ways into outgoing lanes that nothing leads to yet."""
    found = []
    for arm in arms:
        into = [link for link in links if link.target is arm]
        reached = {link.target_index for link in into}
        for lane in set(range(len(arm.outgoing))) - reached:
            nearest = min(into, key=lambda link: abs(link.target_index - lane))
            found.append(replace(nearest, target_index=lane))
    return found


def _add_connectors(
    links: list[_Link], intersection_id: str, arms: list[Arm], is_signalised: bool, builder: NetworkBuilder
) -> list[str]:
    by_pair: dict[tuple[str, str], list[_Link]] = {}
    for link in links:
        by_pair.setdefault((link.source.incoming_roadblock, link.target.outgoing_roadblock), []).append(link)
    ids: list[str] = []
    for (source, target), group in by_pair.items():
        group.sort(key=lambda link: (link.source_index, link.target_index))
        roadblock_id = builder.new_id()
        phase = signal_group(group[0].source, arms) if is_signalised else None
        new = [_add_connector(link, roadblock_id, intersection_id, phase, builder) for link in group]
        _set_neighbors(group, new, builder)
        outline = _union_outline([builder.lanes[i].polygon for i in new])
        builder.roadblocks[roadblock_id] = Roadblock(
            roadblock_id, True, tuple(new), outline, (source,), (target,), intersection_id
        )
        before, after = builder.roadblocks[source], builder.roadblocks[target]
        builder.roadblocks[source] = replace(before, successors=(*before.successors, roadblock_id))
        builder.roadblocks[target] = replace(after, predecessors=(*after.predecessors, roadblock_id))
        ids += new
    return ids


def _add_connector(
    link: _Link, roadblock_id: str, intersection_id: str, phase: Optional[int], builder: NetworkBuilder
) -> str:
    connector_id = builder.new_id()
    source_id = link.source.incoming[link.source_index]
    target_id = link.target.outgoing[link.target_index]
    source, target = builder.lanes[source_id], builder.lanes[target_id]
    center = _connector_center(link, source, target)
    left, right = (offset_curve(center, side * LANE_WIDTH_M / 2) for side in (1, -1))
    left[0], left[-1] = source.left_boundary[-1], target.left_boundary[0]
    right[0], right[-1] = source.right_boundary[-1], target.right_boundary[0]
    limit = min(source.speed_limit_mps, target.speed_limit_mps)
    builder.lanes[connector_id] = Lane(
        lane_id=connector_id,
        roadblock_id=roadblock_id,
        is_connector=True,
        turn=link.turn,
        centerline=center,
        left_boundary=left,
        right_boundary=right,
        speed_limit_mps=limit if link.turn is Turn.STRAIGHT else min(limit, TURN_SPEED_MPS),
        predecessors=(source_id,),
        successors=(target_id,),
        intersection_id=intersection_id,
        signal_group=phase,
    )
    builder.lanes[source_id] = replace(source, successors=(*source.successors, connector_id))
    builder.lanes[target_id] = replace(target, predecessors=(*target.predecessors, connector_id))
    return connector_id


def _connector_center(link: _Link, source: Lane, target: Lane) -> FloatArray:
    """Parallel to the road's centre where the lane goes straight on, so that neighbours share their border."""
    if link.turn is Turn.STRAIGHT and link.source_index == link.target_index:
        inward = link.source.pose + np.array([0.0, 0.0, np.pi])
        axis = connect_poses(inward, link.target.pose, CENTERLINE_SPACING_M)
        center = parallel_curve(axis, -(link.source_index + 0.5) * LANE_WIDTH_M)
    else:
        center = connect_poses(source.centerline[-1], target.centerline[0], CENTERLINE_SPACING_M, CIRCLE_HANDLE)
    center[0], center[-1] = source.centerline[-1], target.centerline[0]
    return center


def _set_neighbors(group: list[_Link], ids: list[str], builder: NetworkBuilder) -> None:
    """Straight connectors side by side are neighbours."""
    for (left, left_id), (right, right_id) in zip(zip(group, ids), zip(group[1:], ids[1:])):
        side_by_side = right.source_index - left.source_index == right.target_index - left.target_index == 1
        if side_by_side and left.turn is Turn.STRAIGHT:
            builder.lanes[left_id] = replace(builder.lanes[left_id], right_neighbor=right_id)
            builder.lanes[right_id] = replace(builder.lanes[right_id], left_neighbor=left_id)


def _union_outline(outlines: list[FloatArray]) -> FloatArray:
    if len(outlines) == 1:
        return outlines[0]
    merged = unary_union([Polygon(outline).buffer(1e-6, join_style="mitre") for outline in outlines])
    return _ring(merged)


def _ring(area: BaseGeometry) -> FloatArray:
    """Outer ring of ``area``, which GEOS 3.11 now and then hands over as a collection of one polygon."""
    largest = max(shapely.get_parts(area), key=shapely.area)
    return np.asarray(largest.exterior.coords)[:-1].copy()


def _kerb(arm: Arm, following: Arm) -> FloatArray:
    start = np.array([*arm.left_edge, arm.pose[HEADING] + np.pi])
    end = np.array([*following.right_edge, following.pose[HEADING]])
    return connect_poses(start, end, CENTERLINE_SPACING_M, KERB_ROUNDNESS)


def _outline(arms: list[Arm], kerbs: tuple[FloatArray, ...], connectors: list[FloatArray]) -> FloatArray:
    """Area between the kerbs, with every connector inside."""
    ring = np.concatenate([np.concatenate((arm.right_edge[None], kerb[:, XY])) for arm, kerb in zip(arms, kerbs)])
    merged = unary_union([Polygon(ring).buffer(0), *(Polygon(outline).buffer(1e-6) for outline in connectors)])
    return _ring(merged)


def _add_stop_lines(arms: list[Arm], kind: NodeKind, intersection_id: str, builder: NetworkBuilder) -> None:
    waiting = {NodeKind.SIGNAL: arms, NodeKind.YIELD: [minor_arm(arms)] if len(arms) == 3 else []}.get(kind, [])
    for arm in waiting:
        across = left_normal(arm.pose[HEADING]) * arm.half_width_m / 2
        center = arm.pose[XY] + across + unit(arm.pose[HEADING]) * _STOP_LINE_M / 2
        stop_id = builder.new_id()
        outline = box_outline(center, float(arm.pose[HEADING]), _STOP_LINE_M, arm.half_width_m)
        builder.stop_lines[stop_id] = StopLine(stop_id, intersection_id, arm.incoming, outline)


def _crosswalks(arms: list[Arm], kind: NodeKind) -> tuple[FloatArray, ...]:
    if kind is NodeKind.BEND:
        return ()
    if kind is NodeKind.CROSSING:
        middle = (arms[0].pose[XY] + arms[1].pose[XY]) / 2
        return (box_outline(middle, float(arms[0].pose[HEADING]), _CROSSWALK_M, 2 * arms[0].half_width_m),)
    crossed = arms if kind is NodeKind.SIGNAL else [minor_arm(arms)]
    centers = [(arm, arm.pose[XY] - unit(arm.pose[HEADING]) * (0.8 + _CROSSWALK_M / 2)) for arm in crossed]
    return tuple(
        box_outline(center, float(arm.pose[HEADING]), _CROSSWALK_M, 2 * arm.half_width_m + 0.8)
        for arm, center in centers
    )


def _pole(arm: Arm, arms: list[Arm], intersection_id: str) -> TrafficLightPole:
    """Head on the far side of the junction, to the right of where the arm's traffic leaves it."""
    opposite = min((other for other in arms if other is not arm), key=lambda other: abs(_turn_angle(arm, other)))
    lateral = -left_normal(opposite.pose[HEADING]) * _POLE_SETBACK_M
    position = np.array([*(opposite.right_edge + lateral), SIGNAL_HEIGHT_M])
    return TrafficLightPole(signal_group(arm, arms), intersection_id, position, float(wrap_angle(arm.pose[HEADING])))
