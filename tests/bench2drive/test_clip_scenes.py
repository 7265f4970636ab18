"""Scoring scenes of clips: judged by our scorer, with plans whose sub-scores are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from navsim_agents.bench2drive.clip_scenes import build_scene, route_line, scene_indices, scene_token
from navsim_agents.bench2drive.clips import Clip, read_clip
from navsim_agents.bench2drive.maps import HdMap, read_map
from navsim_agents.common.poses import FloatArray
from navsim_agents.errors import SceneError, WorldDataError
from navsim_agents.scoring import ScoringScene, score_trajectories
from navsim_agents.scoring.axes import State
from navsim_agents.scoring.scene_fields import FIELDS
from tests.bench2drive.made_clips import NAME, road_map, world2actor, write_clip, write_map

INDEX = 10
TIMES = 0.5 * np.arange(1, 9)


def plan(speed_mps: float, aside_m: float = 0.0) -> FloatArray:
    """Straight on, reaching ``aside_m`` to the left in 2 s."""
    y = aside_m * np.clip(TIMES / 2.0, 0.0, 1.0)
    return np.column_stack((speed_mps * TIMES, y, np.zeros(8)))


def columns_of(scene: ScoringScene, *plans: FloatArray) -> dict[str, list[float]]:
    found = score_trajectories(scene, torch.from_numpy(np.stack(plans)), metric="pdms")
    return {name: value.tolist() for name, value in found.items() if value.ndim == 1}


@pytest.fixture(scope="module")
def scene(clip: Clip, hd_map: HdMap) -> ScoringScene:
    return build_scene(clip, INDEX, hd_map)


def test_moments_with_past_and_future_are_scenes(clip: Clip) -> None:
    assert scene_indices(clip) == [5, 10, 15, 20]
    assert scene_indices(clip, 1) == list(range(5, 22))


def test_the_drivers_own_way_is_worth_all(scene: ScoringScene) -> None:
    found = columns_of(scene, plan(5.0))
    wanted = {"no_at_fault_collisions", "drivable_area_compliance", "driving_direction_compliance", "comfort", "score"}
    assert {name for name, value in found.items() if value == [1.0]} >= wanted - {"score"}
    assert found["ego_progress"][0] == pytest.approx(1.0, abs=0.02)
    assert found["score"][0] > 0.95


def test_each_slip_costs_its_sub_score(scene: ScoringScene) -> None:
    """Behind the car at 4 m/s, 20 m away: 12 m/s runs into it; 5 m aside on the left lies beyond both lanes."""
    found = columns_of(scene, plan(5.0), plan(12.0), plan(5.0, 6.5), plan(2.0), plan(5.0, 3.25))
    assert found["no_at_fault_collisions"] == [1.0, 0.0, 1.0, 1.0, 1.0]
    assert found["drivable_area_compliance"] == [1.0, 1.0, 0.0, 1.0, 1.0]
    assert 0.4 < found["ego_progress"][3] < 0.7  # it brakes from 5 m/s
    assert found["driving_direction_compliance"][4] < 1.0  # towards whoever comes


def test_the_walker_is_in_the_way_when_he_crosses(scene: ScoringScene) -> None:
    tracks = dict(zip(scene.track_token, range(9)))
    walker = scene.track_poses[tracks["12"], 40].numpy()
    np.testing.assert_allclose(walker[:2], (40.0 - 5.0 + 1.4, -(6.0 - 0.12 * 50)), atol=1e-6)
    assert scene.track_speed[tracks["12"]] == pytest.approx(1.2)
    assert scene.track_is_agent.tolist() == [True, True, True, False]
    assert scene.track_valid.all()


def test_tracks_end_with_the_clip(clip: Clip, hd_map: HdMap) -> None:
    last = build_scene(clip, 21, hd_map)
    assert last.track_valid[0].sum() == len(clip) - 21 < last.track_valid.shape[1]


def test_the_vehicle_is_that_of_the_clip(scene: ScoringScene) -> None:
    np.testing.assert_allclose(scene.vehicle, (2.4508, 1.0642, 1.46, 2.85))


def test_the_wheels_are_turned_as_the_path_is(tmp_path: Path, hd_map: HdMap) -> None:
    """A left turn of 0.2 rad/s at 5 m/s: radius 25 m, and a wheel base of 2.85 m."""

    def turning(step: int, content: dict[str, Any]) -> None:
        yaw = 30.0 - np.rad2deg(0.02 * step)
        content["bounding_boxes"][0]["world2ego"] = world2actor([100.0, 50.0, 0.0], yaw)

    clip = read_clip(write_clip(tmp_path, change=turning, cameras=()))
    state = build_scene(clip, INDEX, hd_map).ego_state
    assert float(state[State.ANGULAR_VELOCITY]) == pytest.approx(0.2)
    assert float(state[State.STEERING_ANGLE]) == pytest.approx(np.arctan(2.85 / 25.0))


def test_what_touches_the_ego_now_is_marked(clip_root: Path, tmp_path: Path, hd_map: HdMap) -> None:
    def nearer(step: int, content: dict[str, Any]) -> None:
        car, ego = content["bounding_boxes"][1], content["bounding_boxes"][0]
        car["center"] = ego["center"]

    clip = read_clip(write_clip(tmp_path, change=nearer, cameras=()))
    assert build_scene(clip, INDEX, hd_map).collided_track.tolist() == [True, False, False, False]


def test_the_route_goes_on_beyond_the_clip(clip: Clip) -> None:
    line = route_line(clip.rear_axles)
    steps = np.hypot(*np.diff(line, axis=0).T)
    assert steps.max() < 1.6
    assert np.hypot(*(line[-1] - line[0])) == pytest.approx(0.5 * 61 + 60.0, abs=1.0)


def test_a_standing_car_has_a_route_too(tmp_path: Path, hd_map: HdMap) -> None:
    def standing(step: int, content: dict[str, Any]) -> None:
        content["bounding_boxes"][0]["world2ego"] = world2actor([100.0, 50.0, 0.0], 30.0)
        content["speed"] = 0.0

    clip = read_clip(write_clip(tmp_path, change=standing, cameras=()))
    found = columns_of(build_scene(clip, INDEX, hd_map), plan(0.0))
    assert found["score"] == pytest.approx([1.0])


def test_scenes_are_stored_like_any_other(tmp_path: Path, scene: ScoringScene) -> None:
    scene.save(tmp_path / "scene.npz")
    again = ScoringScene.load(tmp_path / "scene.npz")
    assert again.token == scene_token(NAME, INDEX) == f"{NAME}-00010"
    assert set(again.to_arrays()) <= {"schema_version", *FIELDS}


def test_epdms_is_refused_as_lights_and_history_are_not_known(scene: ScoringScene) -> None:
    with pytest.raises(SceneError, match="choose metric=pdms"):
        score_trajectories(scene, torch.zeros(1, 8, 3), metric="epdms")


def test_a_map_of_another_place_is_refused(tmp_path: Path, clip: Clip) -> None:
    far = {5: {-1: [{**line, "Points": _moved(line["Points"])} for line in road_map()[5][-1]]}}
    with pytest.raises(WorldDataError, match="map of Town03 has no lane within 100 m"):
        build_scene(clip, INDEX, read_map(write_map(tmp_path, far)))


def _moved(points: list[Any]) -> list[Any]:
    return [((x + 900.0, y, z), *rest) for (x, y, z), *rest in points]
