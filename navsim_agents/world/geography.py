"""Where the four towns lie: nuPlan's locations, their map versions and coordinate systems.

The devkits accept these four names only, so the built-in towns borrow them; nothing else of the real places is here.
"""

from __future__ import annotations

from dataclasses import dataclass

MAP_VERSION = "nuplan-maps-v1.0"
WGS84_EPSG = 4326  # what geopackages hold; nuplan-devkit reprojects to metres


@dataclass(frozen=True)
class MapLocation:
    """Version folder of a location's map, and the UTM zone that its metres belong to."""

    version: str
    utm_epsg: int


MAP_LOCATIONS = {
    "sg-one-north": MapLocation("9.17.1964", 32648),
    "us-ma-boston": MapLocation("9.12.1817", 32619),
    "us-nv-las-vegas-strip": MapLocation("9.15.1915", 32611),
    "us-pa-pittsburgh-hazelwood": MapLocation("9.17.1937", 32617),
}
