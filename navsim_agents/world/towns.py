"""The four towns of the built-in world, one for each map name that nuPlan knows."""

from __future__ import annotations

import numpy as np

from navsim_agents.errors import InputError
from navsim_agents.world.junctions import build_junction
from navsim_agents.world.layout import plan_streets
from navsim_agents.world.roads import NetworkBuilder, build_roads
from navsim_agents.world.scenery import build_buildings, build_carparks, build_walkways, drivable_surface
from navsim_agents.world.town_styles import TOWN_LOCATIONS, TOWN_STYLES
from navsim_agents.world.types import Area, Town

_CARPARKS_PER_TOWN = 3


def build_town(location: str, seed: int = 0) -> Town:
    """The town called ``location``, the same for the same ``seed``; raises InputError for an unknown name."""
    if location not in TOWN_STYLES:
        raise InputError(f"location is {location!r}, but a town must be one of {', '.join(TOWN_LOCATIONS)}")
    number = TOWN_LOCATIONS.index(location)
    rng = np.random.default_rng([seed, number])
    plan = plan_streets(TOWN_STYLES[location], rng)
    builder = NetworkBuilder(first_id=10_000 * (number + 1))
    arms = build_roads(plan, builder)
    junctions = [build_junction(group, kind, builder) for group, kind in zip(arms, plan.kinds)]
    surface = drivable_surface(builder)
    carparks = build_carparks(builder, surface, _CARPARKS_PER_TOWN)
    crosswalks = [outline for junction in junctions for outline in junction.crosswalks]
    return Town(
        location=location,
        lanes=builder.lanes,
        roadblocks=builder.roadblocks,
        intersections=builder.intersections,
        stop_lines=builder.stop_lines,
        crosswalks={i: Area(i, outline) for i, outline in ((builder.new_id(), box) for box in crosswalks)},
        walkways=build_walkways(builder, [kerb for junction in junctions for kerb in junction.kerbs]),
        carparks=carparks,
        buildings=build_buildings(builder, surface, carparks, rng),
        light_poles=tuple(pole for junction in junctions for pole in junction.poles),
    )
