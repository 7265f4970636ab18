"""Scoring scenes of a real drive against the town, the drive and shapely; both metrics run on them."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
import torch

from navsim_agents.data.scene import global_ego_pose
from navsim_agents.poses import points_to_global, points_to_local, poses_to_local
from navsim_agents.scoring import ScoringScene, score_scenes
from navsim_agents.scoring.axes import State
from navsim_agents.scoring.traffic.reactive import reactive_traffic
from navsim_agents.scoring.traffic.roles import TRAFFIC, Role
from navsim_agents.world.scoring_scenes.lights import TOKEN_PREFIX, red_lights
from navsim_agents.world.scoring_scenes.tracks import frame_boxes
from navsim_agents.world.types import Light


def rings(scene):
    offsets = scene.ring_offsets.tolist()
    xy = scene.ring_xy.numpy()
    return [xy[start:end] for start, end in zip(offsets[:-1], offsets[1:])]


def test_there_is_one_scene_for_each_that_navsim_would_yield(driven):
    assert driven.indices == [3, 4, 5, 6, 7]
    assert [scene.token for scene in driven.scenes] == [driven.frames[index]["token"] for index in driven.indices]
    assert {scene.reference_driver for scene in driven.scenes} == {"navsim_agents.world"}


def test_polygons_are_those_within_100_m_by_shapely(driven):
    town = driven.town
    for scene, index in zip(driven.scenes, driven.indices):
        pose = global_ego_pose(driven.frames[index])
        center = pose[:2] + 1.461 * np.array([np.cos(pose[2]), np.sin(pose[2])])
        square = shapely.box(*(center - 100.0), *(center + 100.0))
        near = {i for i, block in town.roadblocks.items() if shapely.Polygon(block.polygon).intersects(square)}
        expected = {("roadblock", i) for i in near if not town.roadblocks[i].is_connector}
        expected |= {
            ("lane_connector" if lane.is_connector else "lane", i)
            for i, lane in town.lanes.items()
            if lane.roadblock_id in near
        }
        for layer, areas in (("intersection", town.intersections), ("carpark_area", town.carparks)):
            expected |= {(layer, i) for i, area in areas.items() if shapely.Polygon(area.polygon).intersects(square)}
        found = list(zip(scene.polygon_layer, scene.polygon_token))
        assert len(found) == len(set(found))
        assert set(found) == expected
        assert {layer for layer, _ in found} >= {"roadblock", "lane", "lane_connector", "intersection"}


def test_outlines_are_the_towns_in_the_ego_frame(driven):
    scene, town = driven.scenes[2], driven.town
    outlines = {**town.roadblocks, **town.lanes, **town.intersections, **town.carparks}
    for token, ring in zip(scene.polygon_token, rings(scene)):
        np.testing.assert_array_equal(ring[0], ring[-1])
        back = shapely.Polygon(points_to_global(ring, scene.ego_pose.numpy()))
        assert back.symmetric_difference(shapely.Polygon(outlines[token].polygon).buffer(0)).area < 1e-6


def test_on_route_are_the_lanes_of_the_route(driven):
    for scene, index in zip(driven.scenes, driven.indices):
        route, _ = driven.builder.start(index)
        lanes = {lane for block in route for lane in driven.town.roadblocks[block].lane_ids}
        on_route = {token for token, flag in zip(scene.polygon_token, scene.polygon_on_route.tolist()) if flag}
        assert on_route == lanes & set(scene.polygon_token)
        assert on_route


def test_ego_is_what_navsims_log_says(driven):
    scene, step = driven.scenes[1], 5 * driven.indices[1]
    ego = driven.drive.ego
    np.testing.assert_allclose(scene.ego_pose, ego.poses[step], atol=1e-9)
    state = scene.ego_state.numpy()
    np.testing.assert_allclose(state[3:7], [*ego.velocities[step], *ego.accelerations[step]], atol=1e-6)
    assert (state[[0, 1, 2, 7, 8, 9, 10]] == 0.0).all()  # NAVSIM's logs have no steering and no yaw rate
    human = poses_to_local(ego.poses[step + 5 : step + 41 : 5], ego.poses[step])
    np.testing.assert_allclose(scene.human_trajectory, human, atol=1e-8)
    assert scene.vehicle.tolist() == [2.588, 1.1485, 1.461, 3.089]


def test_history_is_interpolated_between_frames_and_ends_two_samples_early(driven):
    scene, step = driven.scenes[1], 5 * driven.indices[1]
    history = scene.history_states.numpy()
    assert history.shape == (14, 11)
    truth = poses_to_local(driven.drive.ego.poses[step - 15 : step - 1], driven.drive.ego.poses[step])
    np.testing.assert_allclose(history[::5, :3], truth[::5], atol=1e-8)  # at the frames
    between = (history[0] + history[5]) / 2
    np.testing.assert_allclose(history[[2, 3]].mean(0)[: State.STEERING_ANGLE], between[: State.STEERING_ANGLE])


def test_lights_are_the_red_ones_of_the_route_frame_by_frame(driven):
    num_red = 0
    for scene, index in zip(driven.scenes, driven.indices):
        blocks = driven.frames[index]["roadblock_ids"]
        lanes = {lane for block in blocks for lane in driven.town.roadblocks[block].lane_ids}
        for column in range(41):
            step = 5 * index + column // 5 * 5
            red = {i for i, states in driven.drive.lights.items() if states[step] is Light.RED} & lanes
            active = {t for t, flag in zip(scene.red_light_token, scene.red_light_active[:, column].tolist()) if flag}
            assert active == {TOKEN_PREFIX + i for i in red}
            num_red += len(red)
    assert num_red > 0


def test_lights_by_hand():
    seen = [(7, (1, 2, 9)), (8, range(11)), (9, ()), (10, (9, 10))]  # connector, frames in which it is red
    frames = [{"traffic_lights": [(name, index in red) for name, red in seen]} for index in range(11)]
    lights = red_lights(frames, ["7", "9", "10"])
    assert lights.lane_ids == ("7",)  # 8 is not on the route, 10 is red too late for v2.2
    assert np.flatnonzero(lights.active[0]).tolist() == [*range(5, 15), *range(45, 50)]


def test_red_connectors_are_drawn_in_the_ego_frame(driven):
    scene = next(scene for scene in driven.scenes if scene.red_light_token)
    offsets = scene.red_light_offsets.tolist()
    for row, token in enumerate(scene.red_light_token):
        ring = scene.red_light_xy[offsets[row] : offsets[row + 1]].numpy()
        lane = driven.town.lanes[token.removeprefix(TOKEN_PREFIX)]
        outline = points_to_local(lane.polygon, scene.ego_pose.numpy())
        assert shapely.Polygon(ring).symmetric_difference(shapely.Polygon(outline)).area < 1e-6


@pytest.mark.parametrize("metric", ["pdms", "epdms"])
def test_both_metrics_run_and_the_drivers_pass_most_of_them(driven, metric):
    plans = [torch.stack((s.human_trajectory, s.pdm_trajectory[5::5, :3])) for s in driven.scenes]
    scores = score_scenes(driven.scenes, torch.stack(plans), metric=metric).columns
    assert all(bool(torch.isfinite(values).all()) for values in scores.values())
    assert scores["no_at_fault_collisions"][:, 1].min() == 1.0


def test_reactive_traffic_runs_on_every_scene(driven):
    """Vehicles react and stand parked; who reacts begins on its path, near where the log has it."""
    roles = torch.cat([scene.traffic_role for scene in driven.scenes])
    assert {Role.REACTS, Role.STANDS} <= set(roles.tolist())
    for scene, index in zip(driven.scenes, driven.indices):
        boxes = frame_boxes(driven.frames[index])
        assert scene.traffic_token == tuple(t for t, name in zip(boxes.tokens, boxes.names) if name == "vehicle")
        traffic = reactive_traffic(scene, scene.pdm_trajectory.numpy())
        reacts = np.flatnonzero(scene.traffic_role == Role.REACTS)
        np.testing.assert_allclose(traffic.poses[reacts, 0], scene.traffic_pose[reacts], atol=1e-12)
        for row in reacts:
            start, end = scene.traffic_path_offsets[row : row + 2].tolist()
            along, path = scene.traffic_path_progress[start:end], scene.traffic_path_poses[start:end, :2]
            at = np.interp(scene.traffic_progress[row], along, np.arange(end - start))
            assert torch.dist(path[round(at)], scene.traffic_snapped_pose[row, :2]) < 0.6
        apart = scene.traffic_snapped_pose[reacts, :2] - scene.traffic_pose[reacts, :2]
        assert apart.norm(dim=1).max() <= TRAFFIC.snap_m


def test_scenes_survive_their_archive(driven, tmp_path):
    driven.scenes[0].save(tmp_path / "scene.npz")
    again = ScoringScene.load(tmp_path / "scene.npz")
    assert again.reference_driver == driven.scenes[0].reference_driver
    assert torch.equal(again.pdm_trajectory, driven.scenes[0].pdm_trajectory)
    arrays = driven.scenes[0].to_arrays()
    del arrays["reference_driver"]
    assert ScoringScene.from_arrays(arrays).reference_driver == "pdm_closed"
