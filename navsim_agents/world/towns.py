"""The four towns of the built-in world, one for each map name that nuPlan knows."""

from __future__ import annotations

import numpy as np

from navsim_agents.errors import InputError
from navsim_agents.world.junctions import build_junction
from navsim_agents.world.layout import TownStyle, plan_streets
from navsim_agents.world.roads import NetworkBuilder, build_roads
from navsim_agents.world.scenery import build_buildings, build_carparks, build_walkways, drivable_surface
from navsim_agents.world.types import Area, Town

# Traffic keeps to the right in every town, in Singapore's too: one rule for the lane graph and its drivers.
TOWN_STYLES: dict[str, TownStyle] = {
    "us-nv-las-vegas-strip": TownStyle(
        columns=4, rows=4, spacing_x_m=150.0, spacing_y_m=150.0, jitter_m=4.0, skew=0.0, rotation=0.03,
        origin=(664400.0, 3997500.0), arterial_lanes=3, street_lanes=2, ring_lanes=2,
        arterial_speed_mps=15.0, street_speed_mps=13.0, num_crossings=2,
    ),
    "us-ma-boston": TownStyle(
        columns=4, rows=4, spacing_x_m=125.0, spacing_y_m=120.0, jitter_m=17.0, skew=0.12, rotation=0.5,
        origin=(330900.0, 4690600.0), arterial_lanes=2, street_lanes=1, ring_lanes=1,
        arterial_speed_mps=12.5, street_speed_mps=11.0, num_crossings=4,
    ),
    "us-pa-pittsburgh-hazelwood": TownStyle(
        columns=5, rows=3, spacing_x_m=130.0, spacing_y_m=135.0, jitter_m=11.0, skew=-0.15, rotation=-0.6,
        origin=(86900.0, 4474000.0), arterial_lanes=2, street_lanes=1, ring_lanes=2,
        arterial_speed_mps=13.0, street_speed_mps=11.0, num_crossings=3,
    ),
    "sg-one-north": TownStyle(
        columns=4, rows=3, spacing_x_m=155.0, spacing_y_m=140.0, jitter_m=19.0, skew=0.05, rotation=0.2,
        origin=(364400.0, 143000.0), arterial_lanes=2, street_lanes=2, ring_lanes=1,
        arterial_speed_mps=14.0, street_speed_mps=12.5, num_crossings=3,
    ),
}  # fmt: skip
TOWN_LOCATIONS: tuple[str, ...] = tuple(TOWN_STYLES)
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
