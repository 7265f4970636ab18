"""Things that stand on the ground, static ones in bulk: mesh, footprint, bounds, shadow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.poses import points_to_global
from navsim_agents.world.camera.mesh import Mesh
from navsim_agents.world.camera.model import FloatArray
from navsim_agents.world.camera.shadows import Caster


@dataclass(frozen=True, eq=False)
class Solid:
    """One thing in the global frame; ``footprint`` [K, 2], convex, counter-clockwise, decides who hides whom."""

    mesh: Mesh
    footprint: Float64[np.ndarray, "K 2"]
    caster: Optional[Caster]

    def box(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest corner [3] of the bounding box."""
        vertices = self.mesh.polygons.vertices
        return vertices.min(axis=0), vertices.max(axis=0)


@dataclass(frozen=True, eq=False)
class SolidSet:
    """Many solids with their bounds in arrays, for culling."""

    solids: tuple[Solid, ...]
    centres: Float64[np.ndarray, "N 3"]
    radii: Float64[np.ndarray, " N"]  # m


def solid_set(solids: Sequence[Solid]) -> SolidSet:
    """Measure ``solids`` once."""
    boxes = np.array([solid.box() for solid in solids]).reshape(-1, 2, 3)
    half = 0.5 * (boxes[:, 1] - boxes[:, 0])
    return SolidSet(tuple(solids), boxes[:, 0] + half, np.linalg.norm(half, axis=1))


def placed_solid(
    mesh: Mesh,
    footprint: Float64[np.ndarray, "K 2"],
    pose: Float64[np.ndarray, "3"],
    caster: Optional[tuple[float, float]],
    has_contact: bool = False,
) -> Solid:
    """A solid given in its own frame, put at ``pose``; ``caster`` spans its shadow's heights (low, high) [m]."""
    ring = points_to_global(footprint, pose)
    shadow = None if caster is None else Caster(ring, caster[0], caster[1], has_contact)
    return Solid(mesh.placed(pose), ring, shadow)
