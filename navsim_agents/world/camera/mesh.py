"""Solid shapes as lists of flat faces, and the few builders from which everything upright is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional, Union

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64, Int64

from navsim_agents.common.poses import HEADING, XY
from navsim_agents.world.camera.model import FloatArray
from navsim_agents.world.camera.polygons import Polygons, join_polygons, make_polygons

BoolArray = npt.NDArray[np.bool_]
Colour = tuple[float, float, float]
Ring = Union[Float64[np.ndarray, "M 3"], Sequence[Union[Float64[np.ndarray, "3"], tuple[float, float, float]]]]
"""Corners of a face."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Faces in painting order: a later face that is visible may cover an earlier one, never the other way."""

    polygons: Polygons
    normals: Float64[np.ndarray, "F 3"]  # outward, unit length
    colours: Float64[np.ndarray, "F 3"]  # RGB 0-255 in full light
    is_glowing: Bool[np.ndarray, " F"]  # shines by itself: neither shaded nor hazed
    is_detail: Bool[np.ndarray, " F"]  # not worth painting when far away

    def placed(self, pose: Float64[np.ndarray, "3"]) -> Mesh:
        """The mesh moved from its own frame to the planar ``pose`` (x, y, heading)."""
        cos, sin = np.cos(pose[HEADING]), np.sin(pose[HEADING])
        turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])  # for row vectors
        vertices = self.polygons.vertices @ turn + np.array([*pose[XY], 0.0])
        moved = Polygons(vertices, self.polygons.starts)
        return Mesh(moved, self.normals @ turn, self.colours, self.is_glowing, self.is_detail)

    def select(self, indices: Int64[np.ndarray, " G"]) -> Mesh:
        """The faces at ``indices``, in that order."""
        polygons = self.polygons.select(indices)
        flags = self.is_glowing[indices], self.is_detail[indices]
        return Mesh(polygons, self.normals[indices], self.colours[indices], *flags)


def join_meshes(meshes: Sequence[Mesh]) -> Mesh:
    """All faces of ``meshes`` (at least one), in order."""
    return Mesh(
        join_polygons([mesh.polygons for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.colours for mesh in meshes]),
        np.concatenate([mesh.is_glowing for mesh in meshes]),
        np.concatenate([mesh.is_detail for mesh in meshes]),
    )


@dataclass
class MeshBuilder:
    """Collects faces; rings of solids run counter-clockwise seen from above."""

    rings: list[FloatArray] = field(default_factory=list)
    colours: list[Colour] = field(default_factory=list)
    glowing: list[bool] = field(default_factory=list)
    detail: list[bool] = field(default_factory=list)

    def face(self, ring: Ring, colour: Colour, glows: bool = False, is_detail: bool = False) -> None:
        """One flat face [., 3], counter-clockwise seen from outside."""
        self.rings.append(np.asarray(ring, dtype=np.float64))
        self.colours.append(colour)
        self.glowing.append(glows)
        self.detail.append(is_detail)

    def two_sided(self, ring: Ring, colour: Colour, is_detail: bool = False) -> None:
        """A flat sheet seen from both sides."""
        points = np.asarray(ring, dtype=np.float64)
        self.face(points, colour, is_detail=is_detail)
        self.face(points[::-1], colour, is_detail=is_detail)

    def frustum(
        self,
        low: Float64[np.ndarray, "K 2"],
        low_z: float,
        high: Float64[np.ndarray, "K 2"],
        high_z: float,
        colour: Colour,
        top: Optional[Colour] = None,
    ) -> None:
        """Sides between the rings ``low`` and ``high`` and, when ``top`` is given, a lid."""
        lower, upper = at_height(low, low_z), at_height(high, high_z)
        for side in range(len(low)):
            following = (side + 1) % len(low)
            self.face((lower[side], lower[following], upper[following], upper[side]), colour)
        if top is not None:
            self.face(upper, top)

    def box(
        self, centre: tuple[float, float], size: tuple[float, float], z: tuple[float, float], colour: Colour
    ) -> None:
        """An upright box; ``size`` is (along x, along y), ``z`` is (bottom, top)."""
        ring = rectangle(*size) + np.array(centre)
        self.frustum(ring, z[0], ring, z[1], colour, colour)

    def build(self) -> Mesh:
        """The finished mesh."""
        polygons = make_polygons(self.rings)
        return Mesh(
            polygons,
            _normals(polygons),
            np.array(self.colours, dtype=np.float64).reshape(-1, 3),
            np.array(self.glowing, dtype=bool),
            np.array(self.detail, dtype=bool),
        )


def rectangle(length: float, width: float) -> Float64[np.ndarray, "4 2"]:
    """Corners of a rectangle about the origin, counter-clockwise from rear right."""
    return 0.5 * np.array([[-length, -width], [length, -width], [length, width], [-length, width]])


def regular_ring(radius: float, sides: int, centre: tuple[float, float] = (0.0, 0.0)) -> Float64[np.ndarray, "sides 2"]:
    """A regular polygon, counter-clockwise."""
    angles = 2.0 * np.pi * (np.arange(sides) + 0.5) / sides
    return radius * np.stack((np.cos(angles), np.sin(angles)), axis=1) + np.array(centre)


def at_height(ring: Float64[np.ndarray, "K 2"], z: float) -> Float64[np.ndarray, "K 3"]:
    """Ring as points [K, 3]."""
    return np.concatenate((ring, np.full((len(ring), 1), z)), axis=1)


def _normals(polygons: Polygons) -> Float64[np.ndarray, "F 3"]:
    """Unit normals by Newell's sum, which allows corners on one line."""
    following = np.arange(1, len(polygons.vertices) + 1)
    following[polygons.starts[1:] - 1] = polygons.starts[:-1]
    # Relative to each face's first corner: map coordinates are large.
    local = polygons.vertices - np.repeat(polygons.vertices[polygons.starts[:-1]], polygons.counts, axis=0)
    sums = np.add.reduceat(np.cross(local, local[following]), polygons.starts[:-1], axis=0)
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12))
