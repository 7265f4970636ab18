"""nuPlan's map files: ``nuplan-maps-v1.0.json`` and one geopackage for each location.

A geopackage holds longitude and latitude; its ``meta`` layer names the UTM zone to which nuplan-devkit reprojects, and
the town's own metres come back. Needs geopandas and pyogrio (extra ``world``).
"""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio

from navsim_agents.common.ending import FULL_DISK
from navsim_agents.common.files import whole_file, write_json
from navsim_agents.errors import WorldDataError
from navsim_agents.world.geography import MAP_LOCATIONS, MAP_VERSION, WGS84_EPSG
from navsim_agents.world.types import Town
from navsim_agents.world.writers.map_layers import MapLayer, map_layers

# GDAL stamps each layer with the time of day unless told a date; the same seed must give the same bytes. It need not
# wait for the disk either: whole_file does, once.
GDAL_OPTIONS = {"OGR_CURRENT_DATE": "2021-01-01T00:00:00.000Z", "OGR_SQLITE_SYNCHRONOUS": "OFF"}


def map_path(maps_root: Path, location: str) -> Path:
    """Where nuplan-devkit looks for the geopackage of ``location``.

    :raises WorldDataError: nuPlan has no such location.
    """
    if location not in MAP_LOCATIONS:
        raise WorldDataError(f"location {location!r} is unknown to nuplan-devkit; it knows {', '.join(MAP_LOCATIONS)}")
    return maps_root / location / MAP_LOCATIONS[location].version / "map.gpkg"


def write_map_index(maps_root: Path) -> None:
    """Write the JSON file that names the version of each location's map; there are no raster layers."""
    index = {name: {"version": location.version, "layers": {}} for name, location in MAP_LOCATIONS.items()}
    write_json(maps_root / f"{MAP_VERSION}.json", index)


def write_map(town: Town, maps_root: Path) -> Path:
    """Write the geopackage of ``town`` and return its path.

    :raises WorldDataError: the location is not one of nuPlan's, or an id breaks nuPlan's rules.
    """
    path = map_path(maps_root, town.location)
    layers = map_layers(town)
    pyogrio.set_gdal_config_options(GDAL_OPTIONS)
    try:
        with whole_file(path) as unfinished:
            _write_meta(unfinished, town.location)
            for name, layer in layers.items():
                _write_layer(unfinished, name, layer, MAP_LOCATIONS[town.location].utm_epsg)
    except RuntimeError as error:  # all of pyogrio's are; none says that a disk is full
        raise WorldDataError(f"{path} could not be written ({error}); most likely {FULL_DISK}") from error
    return path


def _write_meta(path: Path, location: str) -> None:
    """Table of keys and values, of which nuplan-devkit reads the projection."""
    target = MAP_LOCATIONS[location]
    meta = {
        "projectedCoordSystem": f"EPSG:{target.utm_epsg}",
        "location": location,
        "version": target.version,
    }
    table = pd.DataFrame({"key": list(meta), "value": list(meta.values())})
    pyogrio.write_dataframe(table, path, layer="meta", driver="GPKG")


def _write_layer(path: Path, name: str, layer: MapLayer, utm_epsg: int) -> None:
    """Append a layer, reprojected to longitude and latitude; column ``fid`` becomes the feature ids."""
    frame = gpd.GeoDataFrame(
        {"fid": np.array(layer.fids, dtype=np.int64), **layer.columns},
        geometry=gpd.GeoSeries(list(layer.shapes), crs=f"EPSG:{utm_epsg}"),
        crs=f"EPSG:{utm_epsg}",
    ).to_crs(epsg=WGS84_EPSG)
    pyogrio.write_dataframe(frame, path, layer=name, driver="GPKG", geometry_type=layer.geometry_type)
