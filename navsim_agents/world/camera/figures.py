"""People, cyclists and small objects in their own frame: box centre at the origin, x ahead, feet on z = 0."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import X, Y
from navsim_agents.world.camera.mesh import Colour, Mesh, MeshBuilder, rectangle, regular_ring
from navsim_agents.world.types import FOOTPRINT, HEIGHT, LENGTH, WIDTH

SKIN: Colour = (206.0, 164.0, 136.0)
HAIR: Colour = (66.0, 52.0, 44.0)
TROUSERS: Colour = (56.0, 60.0, 78.0)
TYRE: Colour = (40.0, 40.0, 42.0)
HELMET: Colour = (222.0, 222.0, 226.0)
CONE_ORANGE: Colour = (238.0, 98.0, 28.0)
REFLECTIVE: Colour = (238.0, 238.0, 234.0)
BARRIER_RED: Colour = (206.0, 54.0, 42.0)
POST: Colour = (120.0, 122.0, 126.0)
WOOD: Colour = (152.0, 126.0, 96.0)
HEAD_M = 0.24
STRIPE_M = 0.4


def pedestrian(size: Float64[np.ndarray, "3"], colour: Colour, stride: float) -> Mesh:
    """A walker of ``size``; ``stride`` in [-1, 1] swings the legs."""
    builder = MeshBuilder()
    width, height = min(float(size[WIDTH]), 0.6), float(size[HEIGHT])
    swing = 0.2 * stride
    for side, shift in ((-1.0, swing), (1.0, -swing)):
        foot = regular_ring(0.085, 6, (shift, side * 0.11))
        hip = regular_ring(0.10, 6, (0.0, side * 0.10))
        builder.frustum(foot, 0.0, hip, 0.48 * height, TROUSERS)
    _torso(builder, (0.46 * height, height - HEAD_M - 0.05), width, colour, lean=0.0)
    _head(builder, 0.0, height, HAIR)
    return builder.build()


def cyclist(size: Float64[np.ndarray, "3"], colour: Colour, turn: float) -> Mesh:
    """A rider on a bicycle of ``size``; ``turn`` [rad] is the cranks' angle."""
    builder = MeshBuilder()
    length, height = float(size[LENGTH]), max(float(size[HEIGHT]), 1.3)
    radius = min(0.34, 0.2 * length)
    hub = 0.5 * length - radius
    for x in (-hub, hub):
        _bicycle_wheel(builder, x, radius)
    frame = ((-hub, radius), (0.05, 0.32), (hub - 0.12, 0.85), (-0.22, 0.88))
    for start, end in ((0, 1), (1, 2), (2, 3), (3, 1), (3, 0)):
        _bar(builder, frame[start], frame[end], 0.05, colour)
    _bar(builder, (hub, radius), frame[2], 0.05, colour)
    saddle = min(0.95, 0.56 * height)
    for side, phase in ((-1.0, 0.0), (1.0, np.pi)):
        foot = regular_ring(0.07, 6, (0.05 + 0.16 * np.cos(turn + phase), side * 0.10))
        hip = regular_ring(0.095, 6, (-0.15, side * 0.10))
        builder.frustum(foot, 0.3 + 0.14 * np.sin(turn + phase), hip, saddle + 0.05, TROUSERS)
    _torso(builder, (saddle, height - HEAD_M - 0.02), 0.42, colour, lean=0.28, start=-0.17)
    _head(builder, 0.16, height, HELMET)
    return builder.build()


def cone(size: Float64[np.ndarray, "3"]) -> Mesh:
    """An orange traffic cone with a white collar."""
    builder = MeshBuilder()
    base, height = 0.5 * float(min(size[FOOTPRINT])), float(size[HEIGHT])
    builder.box((0.0, 0.0), (2 * base, 2 * base), (0.0, 0.05 * height), (60.0, 56.0, 52.0))
    levels = ((0.05, 0.78, CONE_ORANGE), (0.45, 0.50, REFLECTIVE), (0.68, 0.33, CONE_ORANGE), (1.0, 0.12, CONE_ORANGE))
    for (low, low_r, colour), (high, high_r, _) in zip(levels[:-1], levels[1:]):
        rings = (regular_ring(low_r * base, 8), regular_ring(high_r * base, 8))
        builder.frustum(rings[0], low * height, rings[1], high * height, colour)
    builder.face(np.concatenate((regular_ring(0.12 * base, 8), np.full((8, 1), height)), axis=1), CONE_ORANGE)
    return builder.build()


def barrier(size: Float64[np.ndarray, "3"]) -> Mesh:
    """A white board with slanted red stripes along its longer sides."""
    builder = MeshBuilder()
    length, width, height = (float(side) for side in size)
    builder.box((0.0, 0.0), (length, width), (0.0, height), REFLECTIVE)
    runs_along_x = length >= width
    reach, half = 0.5 * max(length, width), 0.5 * min(length, width) + 0.01
    slant = 0.5 * height
    for start in np.arange(-reach, reach - STRIPE_M - slant + 1e-6, 2.0 * STRIPE_M):
        along = np.array([start, start + STRIPE_M, start + STRIPE_M + slant, start + slant])
        z = np.array([0.12, 0.12, 0.95, 0.95]) * height
        front = np.stack((along, np.full(4, -half), z), axis=1)
        back = np.stack((-along, np.full(4, half), z), axis=1)
        for ring in (front, back):
            builder.face(ring if runs_along_x else ring @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]), BARRIER_RED)
    return builder.build()


def work_sign(size: Float64[np.ndarray, "3"]) -> Mesh:
    """An orange lozenge on a post, as road works show."""
    builder = MeshBuilder()
    height = max(float(size[HEIGHT]), 0.8)
    builder.box((0.0, 0.0), (0.07, 0.07), (0.0, 0.6 * height), POST)
    half = 0.38 * height
    middle = height - half
    ring = np.array([(0.05, 0.0, height - 2 * half), (0.05, half, middle), (0.05, 0.0, height), (0.05, -half, middle)])
    builder.two_sided(ring, CONE_ORANGE)
    inner = (ring - np.array([0.05, 0.0, middle])) * 0.5 + np.array([0.06, 0.0, middle])
    builder.face(inner, (48.0, 40.0, 34.0))
    return builder.build()


def plain_box(size: Float64[np.ndarray, "3"], colour: Colour) -> Mesh:
    """The bounding box itself."""
    builder = MeshBuilder()
    ring = rectangle(float(size[LENGTH]), float(size[WIDTH]))
    builder.frustum(ring, 0.0, ring, float(size[HEIGHT]), colour, top=colour)
    return builder.build()


def _torso(
    builder: MeshBuilder, z: tuple[float, float], width: float, colour: Colour, lean: float, start: float = 0.0
) -> None:
    hips = regular_ring(0.5, 8) * np.array([0.26, 0.8 * width]) + np.array([start, 0.0])
    shoulders = regular_ring(0.5, 8) * np.array([0.24, width]) + np.array([start + lean, 0.0])
    builder.frustum(hips, z[0], shoulders, z[1], colour, top=colour)


def _head(builder: MeshBuilder, x: float, height: float, top: Colour) -> None:
    chin, brow = height - HEAD_M, height - 0.4 * HEAD_M
    builder.frustum(regular_ring(0.07, 8, (x, 0)), chin, regular_ring(0.10, 8, (x, 0)), brow, SKIN)
    builder.frustum(regular_ring(0.105, 8, (x, 0)), brow, regular_ring(0.06, 8, (x, 0)), height, top, top=top)


def _bicycle_wheel(builder: MeshBuilder, x: float, radius: float) -> None:
    """A hoop in the plane y = 0, and a narrow block of tyre, since seen end on the hoop alone would vanish."""
    angles = 2.0 * np.pi * np.arange(13) / 12
    circle = np.stack((np.cos(angles), np.zeros(13), np.sin(angles)), axis=1)
    hoop = np.concatenate((radius * circle, 0.84 * radius * circle[::-1]))  # one outline: out, across, back inside
    builder.two_sided(hoop + np.array([x, 0.0, radius]), TYRE)
    for end in (-0.93, 0.93):
        builder.box((x + end * radius, 0.0), (0.05, 0.05), (0.55 * radius, 1.45 * radius), TYRE)


def _bar(
    builder: MeshBuilder, start: tuple[float, float], end: tuple[float, float], thickness: float, colour: Colour
) -> None:
    """A flat bar in the plane y = 0."""
    a, b = np.array(start), np.array(end)
    along = (b - a) / np.linalg.norm(b - a)
    across = 0.5 * thickness * np.array([-along[Y], along[X]])
    ring = np.stack((a - across, b - across, b + across, a + across))
    builder.two_sided(np.stack((ring[:, X], np.zeros(4), ring[:, Y]), axis=1), colour)
