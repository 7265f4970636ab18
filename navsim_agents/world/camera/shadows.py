"""Shadows on the ground: what the sun casts, and the dark under vehicles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import XY, X, Y
from navsim_agents.world.camera.lighting import Lighting
from navsim_agents.world.camera.mesh import at_height
from navsim_agents.world.camera.model import FloatArray
from navsim_agents.world.camera.polygons import Polygons, make_polygons
from navsim_agents.world.types import Z

MAX_SHADOW_PER_M = 2.2  # longest shadow of something 1 m tall
CONTACT_LIGHT = 0.42
CONTACT_GROWTH = 1.05


@dataclass(frozen=True, eq=False)
class Caster:
    """An upright prism that takes light away from the ground."""

    ring: Float64[np.ndarray, "K 2"]  # convex, counter-clockwise, global
    low_m: float
    high_m: float
    has_contact: bool = False  # darkens the ground right beneath it, whatever the weather


@dataclass(frozen=True, eq=False)
class Shadows:
    """Dark patches in painting order; ``light`` [F] is the share that is left."""

    polygons: Polygons
    light: FloatArray


def sun_shift(lighting: Lighting) -> Float64[np.ndarray, "2"]:
    """Displacement of the shadow of a point 1 m above the ground."""
    flat = -lighting.sun[XY] / max(float(lighting.sun[Z]), 1e-3)
    return np.asarray(flat * min(1.0, MAX_SHADOW_PER_M / max(float(np.linalg.norm(flat)), 1e-9)))


def cast_shadows(casters: Sequence[Caster], lighting: Lighting) -> Shadows:
    """Shadows of ``casters``, contact patches last."""
    shift = sun_shift(lighting)
    cast = [swept(c.ring + c.low_m * shift, (c.high_m - c.low_m) * shift) for c in casters]
    contacts = [_grown(caster.ring) for caster in casters if caster.has_contact]
    light = np.full(len(cast) + len(contacts), CONTACT_LIGHT)
    light[: len(cast)] = 1.0 - lighting.shadow_strength
    return Shadows(make_polygons([at_height(ring, 0.0) for ring in (*cast, *contacts)]), light)


def swept(ring: Float64[np.ndarray, "K 2"], shift: Float64[np.ndarray, "2"]) -> Float64[np.ndarray, "_ 2"]:
    """Hull of a convex counter-clockwise ``ring`` and the same ring moved by ``shift``."""
    sides = np.roll(ring, -1, axis=0) - ring
    leads = sides[:, Y] * shift[X] - sides[:, X] * shift[Y] > 0.0  # the side after corner i faces along the shift
    hull: list[FloatArray] = []
    for corner, led, leading in zip(ring, np.roll(leads, 1), leads):
        if led == leading:
            hull.append(corner + shift if leading else corner)
        else:
            hull += [corner, corner + shift] if leading else [corner + shift, corner]
    return np.array(hull)


def _grown(ring: Float64[np.ndarray, "K 2"]) -> Float64[np.ndarray, "M 2"]:
    centre = ring.mean(axis=0)
    return np.asarray(centre + CONTACT_GROWTH * (ring - centre))
