"""Cars, vans, lorries and buses in their own frame: box centre at the origin, x ahead, wheels on z = 0."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from navsim_agents.world.camera.mesh import Colour, Mesh, MeshBuilder, at_height

GLASS: Colour = (58.0, 70.0, 82.0)
TYRE: Colour = (34.0, 34.0, 36.0)
RIM: Colour = (150.0, 152.0, 156.0)
UNDERBODY: Colour = (30.0, 30.0, 32.0)
HEADLIGHT: Colour = (240.0, 240.0, 228.0)
TAIL_LIGHT: Colour = (140.0, 24.0, 22.0)
BRAKE_LIGHT: Colour = (255.0, 44.0, 30.0)
PLATE: Colour = (224.0, 222.0, 210.0)
TRIM: Colour = (44.0, 45.0, 48.0)

LORRY_LENGTH_M = 6.5
LORRY_HEIGHT_M = 2.9
VAN_HEIGHT_M = 2.4
LORRY_CAB_M = 2.25  # a lorry's length ahead of its cargo box
AXLES = (-0.31, 0.32)  # shares of the length
PROUD_M = 0.012  # decals stand off the wall, so that they turn away from the camera no earlier than it does


def vehicle_meshes(size: Float64[np.ndarray, "3"], colour: Colour, is_braking: bool) -> list[Mesh]:
    """Solids of a vehicle of ``size`` (length, width, height, m); several when one footprint is not enough."""
    length, width, height = (float(side) for side in size)
    if length >= LORRY_LENGTH_M and height > LORRY_HEIGHT_M:
        return [_lorry_box(length, width, height, is_braking), _lorry_cab(length, width, height, colour)]
    if length >= LORRY_LENGTH_M or height >= VAN_HEIGHT_M:
        return [_bus(length, width, height, colour, is_braking)]
    return [_car(length, width, height, colour, is_braking)]


def _octagon(length: float, width: float, cut_x: float, cut_y: float) -> Float64[np.ndarray, "8 2"]:
    """A rectangle with its corners cut off, counter-clockwise from the rear right."""
    x, y = 0.5 * length, 0.5 * width
    quarter = [(x - cut_x, -y), (x, -y + cut_y), (x, y - cut_y), (x - cut_x, y)]
    return np.array([(-x, -y + cut_y), (-x + cut_x, -y), *quarter, (-x + cut_x, y), (-x, y - cut_y)])


def _car(length: float, width: float, height: float, colour: Colour, is_braking: bool) -> Mesh:
    """Two tiers of bodywork with a glazed cabin on top; tall cars carry their cabin to the tail."""
    builder = MeshBuilder()
    belt, sill = 0.60 * height, 0.13 * height
    _underbody(builder, length, width, sill)
    waist = 0.42 * height
    lower, middle = _octagon(length * 0.985, width * 0.97, 0.22, 0.16), _octagon(length, width, 0.28, 0.20)
    upper = _octagon(length * 0.955, width * 0.93, 0.30, 0.22)
    builder.frustum(lower, sill, middle, waist, _shaded(colour, 0.92))
    builder.frustum(middle, waist, upper, belt, colour, top=_shaded(colour, 0.97))
    _lamps(builder, length, width, (0.40 * height, 0.53 * height), is_braking)
    _plates(builder, length, 0.27 * height)
    _wheels(builder, length, width, min(0.34, 0.24 * height))
    is_estate = height >= 1.65
    _cabin(builder, length, width, (belt, height), colour, is_estate)
    return builder.build()


def _cabin(
    builder: MeshBuilder, length: float, width: float, z: tuple[float, float], colour: Colour, is_estate: bool
) -> None:
    """Roof on four glazed sides."""
    tail, tail_top = (-0.475, -0.43) if is_estate else (-0.40, -0.24)
    nose, nose_top = (0.24, 0.10) if is_estate else (0.22, 0.06)
    low = _spanning(tail * length, nose * length, 0.88 * width)
    high = _spanning(tail_top * length, nose_top * length, 0.70 * width)
    builder.frustum(low, z[0], high, z[1], _shaded(colour, 0.95), top=_shaded(colour, 1.04))
    walls = [(at_height(low, z[0])[[i, j]], at_height(high, z[1])[[j, i]]) for i, j in ((0, 1), (1, 2), (2, 3), (3, 0))]
    for side, (foot, head) in enumerate(walls):
        quad = np.concatenate((foot, head))
        if side in (0, 2):  # right and left: two windows with a pillar between
            builder.face(_inset(quad, (0.06, 0.52), (0.10, 0.86)), GLASS)
            builder.face(_inset(quad, (0.56, 0.94), (0.10, 0.86)), GLASS)
        else:
            builder.face(_inset(quad, (0.07, 0.93), (0.08, 0.92)), GLASS)


def _spanning(rear: float, front: float, width: float) -> Float64[np.ndarray, "4 2"]:
    y = 0.5 * width
    return np.array([[rear, -y], [front, -y], [front, y], [rear, y]])


def _inset(
    quad: Float64[np.ndarray, "4 3"], across: tuple[float, float], up: tuple[float, float]
) -> Float64[np.ndarray, "4 3"]:
    """Part of a quadrilateral (bottom two corners, then the top two backwards) in shares of its sides."""
    bottom = [quad[0] + share * (quad[1] - quad[0]) for share in across]
    top = [quad[3] + share * (quad[2] - quad[3]) for share in across]
    corners = [(0, up[0]), (1, up[0]), (1, up[1]), (0, up[1])]
    return np.array([bottom[i] + share * (top[i] - bottom[i]) for i, share in corners])


def _underbody(builder: MeshBuilder, length: float, width: float, sill: float) -> None:
    builder.box((0.0, 0.0), (0.90 * length, 0.84 * width), (0.6 * sill, sill + 0.05), UNDERBODY)
    for x in AXLES:
        for side in (-1.0, 1.0):
            builder.box((x * length, side * 0.41 * width), (0.4, 0.12 * width), (0.0, sill + 0.05), TYRE)


def _lamps(builder: MeshBuilder, length: float, width: float, z: tuple[float, float], is_braking: bool) -> None:
    """Head lamps ahead, tail lamps behind, bright when braking."""
    tail = BRAKE_LIGHT if is_braking else TAIL_LIGHT
    for side in (-1.0, 1.0):
        inner, outer = side * 0.22 * width, side * 0.40 * width
        _upright(builder, 0.5 * length + PROUD_M, (inner, outer), z, HEADLIGHT, glows=False)
        _upright(builder, -0.5 * length - PROUD_M, (inner, outer), z, tail, glows=is_braking)


def _plates(builder: MeshBuilder, length: float, z: float) -> None:
    for x in (0.5 * length + PROUD_M, -0.5 * length - PROUD_M):
        _upright(builder, x, (-0.26, 0.26), (z, z + 0.12), PLATE)


def _upright(
    builder: MeshBuilder,
    x: float,
    y: tuple[float, float],
    z: tuple[float, float],
    colour: Colour,
    glows: bool = False,
) -> None:
    """A rectangle across the vehicle at ``x``, facing away from its middle."""
    low, high = min(y), max(y)
    ring = np.array([(x, low, z[0]), (x, high, z[0]), (x, high, z[1]), (x, low, z[1])])
    builder.face(ring if x > 0.0 else ring[::-1], colour, glows=glows, is_detail=not glows)


def _wheels(builder: MeshBuilder, length: float, width: float, radius: float, axles: tuple[float, ...] = ()) -> None:
    """Dark discs with bright rims on both sides."""
    angles = 2.0 * np.pi * np.arange(12) / 12
    disc = np.stack((np.cos(angles), np.zeros(12), np.sin(angles)), axis=1)
    for x in axles or tuple(share * length for share in AXLES):
        for side in (-1.0, 1.0):
            outward = disc if side < 0 else disc[::-1]
            for share, colour, proud in ((1.0, TYRE, PROUD_M), (0.58, RIM, 2 * PROUD_M)):
                centre = np.array([x, side * (0.5 * width + proud), radius])
                builder.face(centre + share * radius * outward, colour, is_detail=share < 1.0)


def _bus(length: float, width: float, height: float, colour: Colour, is_braking: bool) -> Mesh:
    """A tall body with a band of windows: buses and vans."""
    builder = MeshBuilder()
    sill = 0.35
    _underbody(builder, length, width, sill)
    ring, roof = _octagon(length, width, 0.12, 0.15), _octagon(length * 0.98, width * 0.94, 0.15, 0.18)
    builder.frustum(ring, sill, ring, 0.9 * height, colour)
    builder.frustum(ring, 0.9 * height, roof, height, _shaded(colour, 1.03), top=_shaded(colour, 1.05))
    y, low, high = 0.5 * width + PROUD_M, 0.48 * height, 0.84 * height
    panes = max(2, round(length / 1.6))
    edges = np.linspace(-0.46 * length, 0.46 * length, panes + 1)
    for start, end in zip(edges[:-1], edges[1:] - 0.12):
        right = np.array([(start, -y, low), (end, -y, low), (end, -y, high), (start, -y, high)])
        builder.face(right, GLASS)
        builder.face((right * (1, -1, 1))[::-1], GLASS)
    _upright(builder, 0.5 * length + PROUD_M, (-0.38 * width, 0.38 * width), (low, high), GLASS)
    _upright(builder, -0.5 * length - PROUD_M, (-0.32 * width, 0.32 * width), (0.55 * height, high), GLASS)
    _lamps(builder, length, width, (0.7, 0.9), is_braking)
    _plates(builder, length, 0.5)
    _wheels(builder, length, width, 0.45)
    return builder.build()


def _lorry_box(length: float, width: float, height: float, is_braking: bool) -> Mesh:
    """The rear part of a lorry: cargo box on a dark chassis."""
    builder = MeshBuilder()
    rear, front = -0.5 * length, 0.5 * length - LORRY_CAB_M - 0.1
    builder.box((0.5 * (rear + front), 0.0), (front - rear - 0.1, 0.8 * width), (0.45, 0.95), TRIM)
    box_colour: Colour = (214.0, 214.0, 210.0)
    ring = _spanning(rear, front, width)
    builder.frustum(ring, 0.95, ring, height, box_colour, top=box_colour)
    _upright(builder, rear - PROUD_M, (-0.46 * width, -0.01), (1.05, height - 0.1), (200.0, 200.0, 197.0))
    _upright(builder, rear - PROUD_M, (0.01, 0.46 * width), (1.05, height - 0.1), (200.0, 200.0, 197.0))
    tail = BRAKE_LIGHT if is_braking else TAIL_LIGHT
    for side in (-1.0, 1.0):
        _upright(builder, rear - PROUD_M, (side * 0.34 * width, side * 0.46 * width), (0.7, 0.9), tail, is_braking)
    _wheels(builder, length, width, 0.48, axles=(rear + 1.1, rear + 2.2))
    return builder.build()


def _lorry_cab(length: float, width: float, height: float, colour: Colour) -> Mesh:
    """The front part of a lorry."""
    builder = MeshBuilder()
    front, rear = 0.5 * length, 0.5 * length - LORRY_CAB_M + 0.05
    top = min(height - 0.15, 3.1)
    low, high = _spanning(rear, front, 0.96 * width), _spanning(rear, front - 0.25, 0.92 * width)
    builder.frustum(low, 0.4, low, 0.55 * top, colour)
    builder.frustum(low, 0.55 * top, high, top, colour, top=colour)
    foot, head = at_height(low, 0.55 * top), at_height(high, top)
    for i, j in ((0, 1), (1, 2), (2, 3)):
        quad = np.stack((foot[i], foot[j], head[j], head[i]))
        builder.face(_inset(quad, (0.08, 0.92), (0.08, 0.8)), GLASS)
    for side in (-1.0, 1.0):
        _upright(builder, front + PROUD_M, (side * 0.28 * width, side * 0.44 * width), (0.7, 0.9), HEADLIGHT)
    _wheels(builder, length, width, 0.48, axles=(front - 0.95,))
    return builder.build()


def _shaded(colour: Colour, share: float) -> Colour:
    return (colour[0] * share, colour[1] * share, colour[2] * share)
