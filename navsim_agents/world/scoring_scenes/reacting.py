"""Who reacts to the ego of a scene and where it is put: behaviour of NAVSIM v2.2's ``navsim_idm_agents_builder.py``.

The vehicles of t0 are taken in the order of detection, and the order matters: a vehicle finds the places of those
before it taken, and on a segment without a speed limit it wants the speed of whoever was put on a path before it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64
from shapely.geometry import Polygon

from navsim_agents.common.planar import SIZE
from navsim_agents.common.poses import POSE, XY
from navsim_agents.scoring.traffic.rails import box_polygon
from navsim_agents.scoring.traffic.record import Arrays, Rails, Vehicles, vehicle_arrays
from navsim_agents.scoring.traffic.roles import TRAFFIC, VEHICLE_TYPE, Role, TrafficConfig
from navsim_agents.world.scoring_scenes.segments import Segment, Segments, Spot, best_aligned
from navsim_agents.world.scoring_scenes.tracks import FrameBoxes
from navsim_agents.world.tracks import ego_boxes


def reacting_arrays(boxes: FrameBoxes, segments: Segments, origin: Float64[np.ndarray, "3"]) -> Arrays:
    """The fields of a scoring scene about the vehicles of t0.

    Args:
        boxes: of the frame of t0.
        origin: the ego's rear axle, the frame of the scene.
    """
    vehicles = _vehicles_of(boxes)
    ego = ego_boxes(origin[None])[0]
    placed = list(place_vehicles(vehicles, box_polygon(ego[POSE], *ego[SIZE]), segments))
    return vehicle_arrays(vehicles, [role for role, _ in placed], [rails for _, rails in placed], origin)


def place_vehicles(
    vehicles: Vehicles, ego: Polygon, segments: Segments, config: TrafficConfig = TRAFFIC
) -> Iterator[tuple[Role, Rails]]:
    """What each of ``vehicles`` does, and the path that it is put on.

    Args:
        ego: the ego's box on the map.
    """
    taken, wanted_mps = [ego], config.wanted_speed_mps
    for pose, size, speed in zip(vehicles.poses, vehicles.sizes, vehicles.speeds):
        around = segments.around(pose[XY])
        best = best_aligned(around or (), pose)
        if best is None:
            is_parked = around is None and speed < config.parked_speed_mps
            yield Role.STANDS if is_parked else Role.ABSENT, Rails()
            continue
        segment, spot = best
        if spot.aside_m > config.snap_m:
            yield Role.STANDS, Rails()
            continue
        box = box_polygon(np.array(spot.pose), *size)
        if any(box.intersects(other) for other in taken):
            yield Role.ABSENT, Rails()
            continue
        taken.append(box)
        wanted_mps = segment.limit_mps if segment.limit_mps > 0.0 else wanted_mps
        yield Role.REACTS, _rails(segment, spot, wanted_mps)


def _rails(segment: Segment, spot: Spot, wanted_mps: float) -> Rails:
    return Rails(spot.pose, spot.progress, wanted_mps, segment.path, segment.progress)


def _vehicles_of(boxes: FrameBoxes) -> Vehicles:
    rows = [row for row, name in enumerate(boxes.names) if name == VEHICLE_TYPE]
    tokens = tuple(boxes.tokens[row] for row in rows)
    return Vehicles(tokens, boxes.sizes[rows], boxes.poses[rows], boxes.speeds[rows])
