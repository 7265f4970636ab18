"""Map files, read back with geopandas the way nuplan-devkit reads them."""

import dataclasses
import json

import numpy as np
import pytest

from navsim_agents.errors import WorldDataError
from tests.world.small_town import LOCATION, small_town

gpd = pytest.importorskip("geopandas")
pyogrio = pytest.importorskip("pyogrio")

from navsim_agents.world.writers.maps import map_path, write_map, write_map_index  # noqa: E402

# Columns that nuplan-devkit 1.2 reads: nuplan/common/maps/nuplan_map/*.py.
COLUMNS_READ = {
    "lanes_polygons": "lane_fid lane_group_fid lane_index left_boundary_fid right_boundary_fid speed_limit_mps",
    "lane_connectors": "exit_lane_fid entry_lane_fid lane_group_connector_fid speed_limit_mps "
    "traffic_light_stop_line_fids",
    "gen_lane_connectors_scaled_width_polygons": "lane_connector_fid left_boundary_fid right_boundary_fid",
    "baseline_paths": "lane_fid lane_connector_fid",
    "boundaries": "",
    "lane_groups_polygons": "",
    "lane_group_connectors": "from_lane_group_fid to_lane_group_fid intersection_fid",
    "road_segments": "",
    "intersections": "",
    "stop_polygons": "stop_polygon_type_fid",
    "crosswalks": "",
    "walkways": "",
    "carpark_areas": "",
    "generic_drivable_areas": "",
    "traffic_lights": "",
}


def read_layer(path, name):
    """As GPKGMapsDB.load_vector_layer does: reproject by the meta layer, index by feature id as text."""
    meta = gpd.read_file(path, layer="meta", engine="pyogrio")
    projection = meta[meta["key"] == "projectedCoordSystem"]["value"].iloc[0]
    frame = pyogrio.read_dataframe(path, layer=name, fid_as_index=True).to_crs(projection)
    frame.index = frame.index.map(str)
    return frame


@pytest.fixture(scope="module")
def gpkg(tmp_path_factory):
    return write_map(small_town(), tmp_path_factory.mktemp("maps"))


def test_every_layer_has_the_columns_that_nuplan_reads(gpkg):
    for name, columns in COLUMNS_READ.items():
        assert set(columns.split()) <= set(read_layer(gpkg, name).columns), name
    assert set(COLUMNS_READ) | {"meta"} == set(pyogrio.list_layers(gpkg)[:, 0])


def test_coordinates_come_back_within_a_millimetre(gpkg):
    lanes, paths, town = read_layer(gpkg, "lanes_polygons"), read_layer(gpkg, "baseline_paths"), small_town()
    for lane_id in ("11", "32"):
        corners = np.array(lanes.loc[lane_id].geometry.exterior.coords)[:-1]
        np.testing.assert_allclose(corners, town.lanes[lane_id].polygon, atol=1e-3)
        line = paths[paths["lane_fid"] == int(lane_id)].iloc[0].geometry
        np.testing.assert_allclose(np.array(line.coords), town.lanes[lane_id].centerline[:, :2], atol=1e-3)


def test_graph_of_lanes_and_roadblocks(gpkg):
    connector = read_layer(gpkg, "lane_connectors").loc["22"]
    assert (connector["exit_lane_fid"], connector["entry_lane_fid"]) == (12, 32)
    assert connector["traffic_light_stop_line_fids"] == "50"
    group = read_layer(gpkg, "lane_group_connectors").loc["20"]
    assert (group["from_lane_group_fid"], group["to_lane_group_fid"], group["intersection_fid"]) == (10, 30, 40)
    lanes = read_layer(gpkg, "lanes_polygons")
    assert [lanes.loc[lane]["lane_index"] for lane in ("11", "12")] == [0, 1]  # left to right
    boundaries = read_layer(gpkg, "boundaries")
    left = boundaries.loc[str(lanes.loc["11"]["left_boundary_fid"])].geometry
    np.testing.assert_allclose(np.array(left.coords), small_town().lanes["11"].left_boundary, atol=1e-3)


def test_integer_columns_stay_integers_for_the_devkit(gpkg):
    assert read_layer(gpkg, "lanes_polygons")["left_boundary_fid"].dtype.kind == "i"
    assert set(read_layer(gpkg, "baseline_paths")["lane_fid"]) == {0, 11, 12, 31, 32}
    assert len(read_layer(gpkg, "carpark_areas")) == 0


def test_same_town_same_bytes(gpkg, tmp_path):
    assert write_map(small_town(), tmp_path).read_bytes() == gpkg.read_bytes()


def test_index_names_all_four_locations(tmp_path):
    write_map_index(tmp_path)
    index = json.loads((tmp_path / "nuplan-maps-v1.0.json").read_text())
    assert set(index) == {"sg-one-north", "us-ma-boston", "us-nv-las-vegas-strip", "us-pa-pittsburgh-hazelwood"}
    assert map_path(tmp_path, LOCATION) == tmp_path / LOCATION / index[LOCATION]["version"] / "map.gpkg"


def test_refuses_what_nuplan_cannot_hold(tmp_path):
    with pytest.raises(WorldDataError, match=r"location 'mars' is unknown to nuplan-devkit; it knows sg-one-north"):
        write_map(dataclasses.replace(small_town(), location="mars"), tmp_path)
    town = small_town()
    loose = dataclasses.replace(town.lanes["22"], successors=())
    with pytest.raises(WorldDataError, match=r"connector 22 has successors \[\]; a nuPlan connector has exactly one"):
        write_map(dataclasses.replace(town, lanes={**town.lanes, "22": loose}), tmp_path)
    named = dataclasses.replace(town, walkways={"path": town.walkways["70"]})
    with pytest.raises(WorldDataError, match=r"id 'path' is not a decimal number above 0"):
        write_map(named, tmp_path)
    assert list(tmp_path.rglob("*.gpkg")) == []
