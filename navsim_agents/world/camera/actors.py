"""Tracks of a drive as solids: which shape, which lamps, where."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from navsim_agents.common.conventions import WORLD_STEP_S
from navsim_agents.world.camera.figures import barrier, cone, cyclist, pedestrian, plain_box, work_sign
from navsim_agents.world.camera.mesh import Colour, Mesh, rectangle
from navsim_agents.world.camera.solids import Solid, placed_solid
from navsim_agents.world.camera.vehicles import LORRY_CAB_M, vehicle_meshes
from navsim_agents.world.types import HEIGHT, LENGTH, WIDTH, AgentType, Drive, Track

BRAKE_MPS2 = 0.7  # slowing down harder than this lights the brake lamps
STANDING_MPS = 0.3
SHADE_SHARE = 0.85  # of a vehicle's height: its roof is smaller than its footprint
GAIT_PHASES = 12
STRIDE_M, CRANK_M = 0.75, 5.0  # travelled in a step, in a turn of the cranks


def actor_solids(drive: Drive, step: int) -> Iterator[Solid]:
    """Every track that is there at ``step``."""
    for track in drive.tracks:
        if track.valid[step]:
            yield from _solids(track, step)


def _solids(track: Track, step: int) -> Iterator[Solid]:
    pose, length, width = track.poses[step], float(track.size[LENGTH]), float(track.size[WIDTH])
    meshes = _meshes(track, step)
    casts = (0.0, SHADE_SHARE * float(track.size[HEIGHT]))
    if len(meshes) == 1:
        yield placed_solid(meshes[0], rectangle(length, width), pose, casts, has_contact=True)
        return
    border = 0.5 * length - LORRY_CAB_M
    for mesh, (rear, front) in zip(meshes, ((-0.5 * length, border), (border, 0.5 * length))):
        part = rectangle(front - rear, width) + np.array([0.5 * (rear + front), 0.0])
        yield placed_solid(mesh, part, pose, casts, has_contact=True)


def _meshes(track: Track, step: int) -> tuple[Mesh, ...]:
    gait = 0
    if track.agent_type is AgentType.PEDESTRIAN:
        gait = int(GAIT_PHASES * travelled(track, step) / (2.0 * STRIDE_M)) % GAIT_PHASES
    elif track.agent_type is AgentType.BICYCLE:
        gait = int(GAIT_PHASES * travelled(track, step) / CRANK_M) % GAIT_PHASES
    brakes = track.agent_type is AgentType.VEHICLE and is_braking(track, step)
    length, width, height = (float(side) for side in track.size)
    size = (length, width, height)
    red, green, blue = track.color
    colour: Colour = (float(red), float(green), float(blue))
    return _shape(track.agent_type, size, colour, gait, brakes)


@lru_cache(maxsize=1024)
def _shape(
    kind: AgentType, size: tuple[float, float, float], colour: Colour, gait: int, brakes: bool
) -> tuple[Mesh, ...]:
    """Meshes in the actor's own frame; ``gait`` counts the GAIT_PHASES of a walk or a turn of the cranks."""
    phase = 2.0 * np.pi * gait / GAIT_PHASES
    sides = np.array(size)
    if kind is AgentType.VEHICLE:
        return tuple(vehicle_meshes(sides, colour, brakes))
    if kind is AgentType.PEDESTRIAN:
        return (pedestrian(sides, colour, float(np.sin(phase))),)
    if kind is AgentType.BICYCLE:
        return (cyclist(sides, colour, phase),)
    if kind is AgentType.TRAFFIC_CONE:
        return (cone(sides),)
    if kind is AgentType.BARRIER:
        return (barrier(sides),)
    if kind is AgentType.CZONE_SIGN:
        return (work_sign(sides),)
    return (plain_box(sides, colour),)


def is_braking(track: Track, step: int) -> bool:
    """Slowing down, or standing between two stretches of driving; what is parked throughout shows no brake lamps."""
    speeds = np.linalg.norm(track.velocities, axis=1)
    before, after = max(step - 2, 0), min(step + 2, len(speeds) - 1)
    slowing = (speeds[before] - speeds[after]) / max((after - before) * WORLD_STEP_S, WORLD_STEP_S)
    is_driven = bool((speeds[track.valid] > STANDING_MPS).any())
    return bool(slowing > BRAKE_MPS2 or (is_driven and speeds[step] < STANDING_MPS))


def travelled(track: Track, step: int) -> float:
    """Distance [m] covered until ``step``."""
    speeds = np.linalg.norm(track.velocities[:step], axis=1)
    return float(speeds[track.valid[:step]].sum() * WORLD_STEP_S)
