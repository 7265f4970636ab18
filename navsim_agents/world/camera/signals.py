"""Traffic lights: a pole, a head with three lamps, one of them lit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

import numpy as np

from navsim_agents.common.poses import XY
from navsim_agents.world.camera.mesh import Colour, Mesh, MeshBuilder, rectangle, regular_ring
from navsim_agents.world.camera.solids import Solid, placed_solid
from navsim_agents.world.types import Drive, Light, Town, TrafficLightPole, Z

POLE: Colour = (86.0, 90.0, 92.0)
HOUSING: Colour = (30.0, 31.0, 32.0)
LAMPS: tuple[tuple[Light, Colour, Colour], ...] = (  # from the top: state, lit, unlit
    (Light.RED, (255.0, 38.0, 30.0), (70.0, 22.0, 20.0)),
    (Light.YELLOW, (255.0, 196.0, 40.0), (72.0, 58.0, 20.0)),
    (Light.GREEN, (40.0, 236.0, 128.0), (18.0, 58.0, 36.0)),
)
LAMP_RADIUS_M = 0.16
LAMP_SPACING_M = 0.40
HEAD_WIDTH_M, HEAD_DEPTH_M, HEAD_HEIGHT_M = 0.5, 0.28, 1.35
FOOTPRINT_M = 0.5


def governing_connector(town: Town, pole: TrafficLightPole) -> Optional[str]:
    """Id of a connector that obeys ``pole``; None where there is none."""
    for lane in town.lanes.values():
        if lane.intersection_id == pole.intersection_id and lane.signal_group == pole.signal_group:
            return lane.lane_id
    return None


def signal_solids(pole: TrafficLightPole) -> Mapping[Optional[Light], Solid]:
    """The pole in each state; None is a head without a lit lamp."""
    pose = np.array([*pole.position[XY], pole.facing])
    states: tuple[Optional[Light], ...] = (None, *Light)
    height = float(pole.position[Z])
    footprint = rectangle(FOOTPRINT_M, FOOTPRINT_M)
    return {state: placed_solid(_signal(height, state), footprint, pose, (0.0, height)) for state in states}


def state_of(drive: Drive, step: int, connector_id: Optional[str]) -> Optional[Light]:
    """What a connector's signal shows at ``step``; None where the drive says nothing."""
    states = drive.lights.get(connector_id, ()) if connector_id is not None else ()
    return states[step] if step < len(states) else None


def _signal(height: float, state: Optional[Light]) -> Mesh:
    """Head centred at ``height`` above the origin, facing along x."""
    builder = MeshBuilder()
    top = height + 0.5 * HEAD_HEIGHT_M
    builder.frustum(regular_ring(0.11, 6), 0.0, regular_ring(0.08, 6), top - 0.1, POLE)
    x = 0.5 * HEAD_DEPTH_M + 0.08
    builder.box((x, 0.0), (HEAD_DEPTH_M, HEAD_WIDTH_M), (top - HEAD_HEIGHT_M, top), HOUSING)
    face = x + 0.5 * HEAD_DEPTH_M + 0.01
    for place, (lamp, lit, unlit) in enumerate(LAMPS):
        z = height + (1 - place) * LAMP_SPACING_M
        if lamp is state:
            builder.face(_disc(face, z, 1.18 * LAMP_RADIUS_M), tuple(0.55 * c for c in lit), glows=True)  # type: ignore[arg-type]
        builder.face(_disc(face + 0.01, z, LAMP_RADIUS_M), lit if lamp is state else unlit, glows=lamp is state)
    return builder.build()


def _disc(x: float, z: float, radius: float) -> np.ndarray:
    angles = 2.0 * np.pi * np.arange(12) / 12
    return np.stack((np.full(12, x), radius * np.cos(angles), z + radius * np.sin(angles)), axis=1)
