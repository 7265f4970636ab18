"""Things that stand on the ground, static ones in bulk: mesh, footprint, bounds, shadow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from navsim_agents.poses import points_to_global
from navsim_agents.world.camera.mesh import Mesh
from navsim_agents.world.camera.model import FloatArray
from navsim_agents.world.camera.shadows import Caster


@dataclass(frozen=True, eq=False)
class Solid:
    """One thing in the global frame; ``footprint`` [K, 2], convex, counter-clockwise, decides who hides whom."""

    mesh: Mesh
    footprint: FloatArray
    caster: Optional[Caster]

    @property
    def centre(self) -> FloatArray:
        """Middle [3] of the bounding box."""
        vertices = self.mesh.polygons.vertices
        return np.asarray(0.5 * (vertices.min(axis=0) + vertices.max(axis=0)))

    @property
    def radius(self) -> float:
        """Radius [m] of a sphere about ``centre`` that holds the mesh."""
        return float(np.linalg.norm(self.mesh.polygons.vertices - self.centre, axis=1).max())


@dataclass(frozen=True, eq=False)
class SolidSet:
    """Many solids with their bounds in arrays, for culling."""

    solids: tuple[Solid, ...]
    centres: FloatArray  # [N, 3]
    radii: FloatArray  # [N] m


def solid_set(solids: Sequence[Solid]) -> SolidSet:
    """Measure ``solids`` once."""
    centres = np.array([solid.centre for solid in solids]).reshape(-1, 3)
    return SolidSet(tuple(solids), centres, np.array([solid.radius for solid in solids]))


def placed_solid(
    mesh: Mesh,
    footprint: FloatArray,
    pose: FloatArray,
    caster: Optional[tuple[float, float]],
    has_contact: bool = False,
) -> Solid:
    """A solid given in its own frame, put at ``pose`` [3]; ``caster`` spans its shadow's heights (low, high) [m]."""
    ring = points_to_global(footprint, pose)
    shadow = None if caster is None else Caster(ring, caster[0], caster[1], has_contact)
    return Solid(mesh.placed(pose), ring, shadow)
