"""What stands in a town: its buildings, signals and roadside, culled to what a camera may see."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from navsim_agents.common.poses import XY
from navsim_agents.world.camera.actors import actor_solids
from navsim_agents.world.camera.buildings import building_solid
from navsim_agents.world.camera.greenery import rim_heights, roadside_solids
from navsim_agents.world.camera.lighting import Lighting
from navsim_agents.world.camera.model import FloatArray
from navsim_agents.world.camera.shadows import Caster, sun_shift
from navsim_agents.world.camera.signals import governing_connector, signal_solids, state_of
from navsim_agents.world.camera.solids import Solid, SolidSet, solid_set
from navsim_agents.world.camera.textures import roadside_textures
from navsim_agents.world.camera.view import View
from navsim_agents.world.types import Drive, Town, Z

BUILDING_RANGE_M, SMALL_RANGE_M, ACTOR_RANGE_M, SHADOW_RANGE_M = 450.0, 170.0, 260.0, 110.0


class Scenery:
    """A town's solids, measured once."""

    def __init__(self, town: Town, is_textured: bool = False) -> None:
        self._buildings = solid_set([building_solid(area, is_textured) for area in town.buildings.values()])
        textures = roadside_textures(town) if is_textured else []
        self._roadside = solid_set([*roadside_solids(town), *textures])
        self._signals = [(governing_connector(town, pole), signal_solids(pole)) for pole in town.light_poles]
        self.rim_heights: FloatArray = rim_heights(town.location)

    def things(self, drive: Drive, step: int) -> SolidSet:
        """What changes with time: signals in their state, and tracks."""
        signals = [solids[state_of(drive, step, connector)] for connector, solids in self._signals]
        return solid_set([*signals, *actor_solids(drive, step)])

    def in_sight(self, things: SolidSet, view: View) -> list[Solid]:
        """All solids that the picture may show."""
        groups = ((self._buildings, BUILDING_RANGE_M), (self._roadside, SMALL_RANGE_M), (things, ACTOR_RANGE_M))
        return [solid for group, range_m in groups for solid in _seen(group, view, range_m)]

    def casters(self, things: SolidSet, view: View, lighting: Lighting) -> list[Caster]:
        """Everything that may cast a shadow into the picture."""
        groups = (self._buildings, self._roadside, things)
        solids = (solid for group in groups for solid in _shading(group, view, lighting))
        return [solid.caster for solid in solids if solid.caster is not None]


def _seen(group: SolidSet, view: View, range_m: float) -> Iterator[Solid]:
    if group.solids:
        for index in np.flatnonzero(view.sees(group.centres, group.radii, range_m)).tolist():
            yield group.solids[index]


def _shading(group: SolidSet, view: View, lighting: Lighting) -> Iterator[Solid]:
    """Solids whose shadow may be seen; centre and reach of shadow and solid together."""
    if group.solids:
        reach = group.centres[:, Z, None] * sun_shift(lighting)
        centres = np.concatenate((group.centres[:, XY] + reach, np.zeros((len(reach), 1))), axis=1)
        radii = group.radii + np.linalg.norm(reach, axis=1)
        for index in np.flatnonzero(view.sees(centres, radii, SHADOW_RANGE_M)).tolist():
            yield group.solids[index]
