"""What the four towns of the built-in world are like, one for each map name that nuPlan knows."""

from __future__ import annotations

from navsim_agents.world.layout import TownStyle

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
