"""Scoring scenes of a log against what the log was made of; the rules on them; both engines."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import shapely
import torch

from navsim_agents.argoverse.build import SceneBuilder, scene_token
from navsim_agents.argoverse.log import read_log
from navsim_agents.common.poses import points_to_global, poses_to_local
from navsim_agents.errors import SceneError
from navsim_agents.scoring import ScoringScene, score_scenes
from navsim_agents.scoring.traffic.checks import require_traffic
from tests.argoverse.sensor_logs import (
    ACROSS,
    AHEAD,
    AREAS,
    BEND,
    BESIDE,
    BIKE,
    EAST,
    MOVERS,
    NAME,
    NORTH,
    ONCOMING,
    START_NS,
    TURN,
    WIDTH,
    Mover,
    Settings,
    ego_path,
    scenes_of,
    sweep_times,
    write_log,
)
from tests.scoring.both_engines import assert_same_answers, batch_of
from tests.scoring.turned import plans_for

IN_TURN = 9  # a scene that begins just before the turn


def time_of(scene):
    """s after the log's beginning."""
    return (scene.timestamp_us * 1000 - START_NS) / 1e9


def rings_of(scene, layer):
    """Token -> ring on the map."""
    offsets, xy = scene.ring_offsets.tolist(), points_to_global(scene.ring_xy.numpy(), scene.ego_pose.numpy())
    rows = [row for row, name in enumerate(scene.polygon_layer) if name == layer]
    return {scene.polygon_token[row]: xy[offsets[row] : offsets[row + 1]] for row in rows}


def test_there_is_one_every_half_second_where_past_and_future_are_known(scenes):
    times = np.array([time_of(scene) for scene in scenes])
    assert len(scenes) == 18
    np.testing.assert_allclose(np.diff(times), 0.5, atol=1e-3)
    sweeps = sweep_times()
    assert all(np.abs(sweeps - time).min() < 1e-6 for time in times)  # boxes are known now
    assert times[0] >= 1.75
    assert times[0] < 2.3
    assert times[-1] + 5.0 <= sweeps[-1] + 0.05


def test_names_and_tokens(scenes):
    assert len({scene.token for scene in scenes}) == len(scenes)
    assert {len(scene.token) for scene in scenes} == {16}
    first = scenes[0]
    assert (first.log_name, first.map_name, first.devkit, first.scene_type) == (
        NAME,
        "argoverse2-PIT",
        "v2.2",
        "original",
    )
    assert first.reference_driver == "human"
    assert scene_token(NAME, 1) != scene_token(NAME, 2)


def test_the_human_is_the_ego_and_stands_in_for_pdm_closed(scenes):
    for scene in scenes:
        now = time_of(scene)
        origin = ego_path(np.array([now]))[0]
        np.testing.assert_allclose(scene.ego_pose[:2], origin[:2], atol=1e-4)
        wanted = poses_to_local(ego_path(now + 0.5 * np.arange(1, 9)), scene.ego_pose.numpy())
        np.testing.assert_allclose(scene.human_trajectory[:, :2], wanted[:, :2], atol=2e-3)
        torch.testing.assert_close(scene.pdm_trajectory[5::5, :3], scene.human_trajectory, rtol=0, atol=1e-9)
        assert scene.pdm_trajectory[0, :3].tolist() == [0.0, 0.0, 0.0]
        past = poses_to_local(ego_path(now + 0.1 * np.arange(-15, 0)), scene.ego_pose.numpy())
        np.testing.assert_allclose(scene.history_states[:, :2], past[:, :2], atol=2e-3)
        assert scene.vehicle.tolist() == [2.588, 1.1485, 1.461, 3.089]


def test_tracks_are_the_movers_in_the_scenes_frame(scenes):
    for scene in scenes[::4]:
        times = time_of(scene) + 0.1 * np.arange(51)
        for row, token in enumerate(scene.track_token):
            valid = scene.track_valid[row].numpy()
            wanted = poses_to_local(MOVERS[token].path(times), scene.ego_pose.numpy())
            np.testing.assert_allclose(scene.track_poses[row].numpy()[valid, :2], wanted[valid, :2], atol=1e-2)
            assert (scene.track_poses[row][~scene.track_valid[row]] == 0.0).all()
            np.testing.assert_allclose(scene.track_size[row], MOVERS[token].size[:2])
    by_token = {token: row for row, token in enumerate(scenes[0].track_token)}
    types = {token: scenes[0].track_type[row] for token, row in by_token.items()}
    assert types["oncoming"] == types["parked"] == types["lead"] == "vehicle"
    assert (types["walker"], types["cone"], types["spinner"], types["once"]) == (
        "pedestrian",
        "traffic_cone",
        "bicycle",
        "generic_object",
    )
    speeds = scenes[0].track_speed.tolist()
    assert speeds[by_token["lead"]] == pytest.approx(7.0)
    assert speeds[by_token["cone"]] == 0.0
    assert not scenes[0].track_is_agent[by_token["cone"]]


def test_who_touches_the_ego_now_is_left_out(log):
    time = SceneBuilder(log).scene_times()[0]
    ego = ego_path(np.array([time]))[0]
    near = next(track for track in log.tracks if track.token == "parked")
    near.poses[:, :2] += ego[:2] + np.array([3.0, 0.4]) - near.poses[0, :2]
    try:
        assert "parked" not in SceneBuilder(log).build(float(time)).track_token
        assert "parked" in SceneBuilder(log).build(float(time) + 3.0).track_token
    finally:
        near.poses[:, :2] = MOVERS["parked"].path(near.times)[:, :2]


def test_the_route_is_the_way_that_was_driven_and_the_lanes_beside(scenes):
    first = scenes[0]
    on_route = {token for token, on in zip(first.polygon_token, first.polygon_on_route.tolist()) if on}
    assert on_route == {str(number) for number in (AHEAD, BESIDE, TURN, NORTH, BEND)}
    ends = points_to_global(first.centerline.numpy(), first.ego_pose.numpy())[[0, -1]]
    np.testing.assert_allclose(ends[0], [-80.0, -WIDTH / 2], atol=1e-6)
    np.testing.assert_allclose(ends[1], ego_path(np.array([(40.0 + 12.0 * np.pi / 2 + 50.0) / 6.0]))[0, :2], atol=0.05)
    last = {token for token, on in zip(scenes[-1].polygon_token, scenes[-1].polygon_on_route.tolist()) if on}
    assert last == {str(NORTH), str(BEND)}  # what lies behind is no part of it


def test_layers_say_where_there_are_lanes_roads_and_intersections(scenes):
    scene = scenes[IN_TURN]
    count = Counter(scene.polygon_layer)
    assert count == {"roadblock": 6, "lane": 6, "intersection": 3, "lane_connector": 3, "drivable_area": 2}
    assert set(rings_of(scene, "intersection")) == set(rings_of(scene, "lane_connector"))
    assert {str(AHEAD), str(ONCOMING), str(EAST)} <= set(rings_of(scene, "lane"))
    assert str(ACROSS) in rings_of(scene, "lane_connector")
    assert str(BIKE) not in scene.polygon_token
    for token, ring in rings_of(scene, "drivable_area").items():
        assert shapely.Polygon(ring).symmetric_difference(shapely.Polygon(AREAS[int(token)])).area < 1e-6
        np.testing.assert_array_equal(ring[0], ring[-1])


def test_a_lane_is_as_wide_as_on_the_map(scenes):
    """Beside the middle of the lane, a point 1 cm inside of either boundary is in it and one 1 cm outside is not."""
    scene = scenes[IN_TURN]
    for token, middle, left in ((AHEAD, (-20.0, -1.75), (0.0, 1.0)), (NORTH, (12.0, 15.0), (-1.0, 0.0))):
        lane = shapely.Polygon(rings_of(scene, "lane")[str(token)])
        for side in (1.0, -1.0):
            for reach, is_in in ((1.74, True), (1.76, False)):
                assert lane.contains(shapely.Point(np.array(middle) + side * reach * np.array(left))) == is_in
    turn = shapely.Polygon(rings_of(scene, "lane_connector")[str(TURN)])
    center, way = np.array([0.0, 10.25]), np.array([np.sin(0.7), -np.cos(0.7)])
    for reach, is_in in ((13.73, True), (13.77, False), (10.27, True), (10.23, False)):
        assert turn.contains(shapely.Point(center + reach * way)) == is_in


def test_there_are_no_lights_and_no_reactive_traffic(scenes):
    assert scenes[0].red_light_token == ()
    with pytest.raises(SceneError, match="reactive traffic"):
        require_traffic(scenes[0])


@pytest.mark.parametrize("metric", ["epdms", "pdms"])
def test_the_human_drives_well(metric, scenes):
    human = torch.stack([scene.human_trajectory for scene in scenes])[:, None]
    columns = score_scenes(scenes, human, 0.5, metric).columns
    for name in ("history_comfort", "comfort", "pdm_score", "score"):  # the made turn begins with a jerk of the wheel
        columns.pop(name, None)
    assert float(columns.pop("ego_progress").min()) > 0.99
    for name, values in columns.items():
        assert (values == 1.0).all(), name


def test_wrong_ways_are_told(scenes):
    """From before the turn: onto the oncoming lane; off the road; into the lead; the lane beside is no fault."""
    scene = scenes[0]
    straight = np.zeros((8, 3))
    straight[:, 0] = 3.0 * np.arange(1, 9)
    plans = np.repeat(straight[None], 4, axis=0)
    plans[0, :, 1] = 3.5 * np.minimum(1.0, np.arange(1, 9) / 3.0)
    plans[1, :, 1] = -14.0 * np.arange(1, 9) / 8.0
    plans[2, :, 0] *= 2.5
    plans[3, :, 1] = -3.5 * np.minimum(1.0, np.arange(1, 9) / 3.0)
    found = score_scenes([scene], torch.from_numpy(plans)[None], 0.5, "epdms").columns
    assert found["driving_direction_compliance"][0].tolist()[0] == 0.0
    assert found["drivable_area_compliance"][0].tolist() == [1.0, 0.0, 1.0, 1.0]
    assert found["no_at_fault_collisions"][0].tolist()[2] == 0.0
    assert found["driving_direction_compliance"][0].tolist()[3] == 1.0


@pytest.mark.parametrize("metric", ["epdms", "pdms"])
def test_both_engines_agree(metric, scenes):
    chosen = scenes[::3]
    assert_same_answers(batch_of(chosen, metric), plans_for(chosen, 16))


def test_a_scene_keeps_its_values_in_a_file(scenes, tmp_path):
    scenes[IN_TURN].save(tmp_path / "scene.npz")
    for name, values in ScoringScene.load(tmp_path / "scene.npz").to_arrays().items():
        np.testing.assert_array_equal(values, scenes[IN_TURN].to_arrays()[name])


def test_a_scene_may_have_no_tracks(tmp_path):
    """A dog on board touches the ego; the ego's own box, which some derived logs have, is none of the others."""
    movers = {name: Mover(name, (0.9, 0.4, 0.6), ego_path) for name in ("DOG", "EGO_VEHICLE")}
    log = read_log(write_log(tmp_path, Settings(movers=movers)))
    assert [track.token for track in log.tracks] == ["DOG"]
    alone = scenes_of(log)
    assert len(alone) == 18
    assert {scene.track_token for scene in alone} == {()}
    human = torch.stack([scene.human_trajectory for scene in alone])[:, None]
    assert (score_scenes(alone, human, 0.5, "pdms").columns["no_at_fault_collisions"] == 1.0).all()


def test_an_ego_off_the_lanes_has_no_route(log):
    builder = SceneBuilder(log)
    assert all(builder.has_route(time) for time in builder.scene_times())
    log.ego.poses[:, 1] += 30.0
    try:
        builder = SceneBuilder(log)
        assert not builder.has_route(float(builder.scene_times()[0]))
    finally:
        log.ego.poses[:, 1] -= 30.0
