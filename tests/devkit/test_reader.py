"""Our reader of NAVSIM's files gives what the devkit's gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from navsim_agents.data.logs import SceneLoader
from navsim_agents.devkit.variant import Variant
from tests.devkit.scripts import Devkit


@pytest.fixture(scope="module")
def their_loader(devkit: Devkit) -> Iterator[Any]:
    from navsim.common import dataclasses
    from navsim.common.dataclasses import SceneFilter, SensorConfig
    from navsim.common.dataloader import SceneLoader as DevkitLoader

    sensors = SensorConfig.build_no_sensors()
    sensors.cam_f0 = [2, 3]
    blobs = "sensor_blobs_path" if devkit.variant is Variant.V1_1 else "original_sensor_path"
    loader = DevkitLoader(
        data_path=devkit.world / "navsim_logs" / "test",
        scene_filter=SceneFilter(frame_interval=1),
        sensor_config=sensors,
        **{blobs: devkit.world / "sensor_blobs" / "test"},
    )
    with pytest.MonkeyPatch.context() as patch:  # the devkit reads the variable once, when it is imported
        patch.setattr(dataclasses, "NUPLAN_MAPS_ROOT", str(devkit.world / "maps"))
        yield loader


def test_same_scenes_same_numbers(devkit: Devkit, their_loader: Any) -> None:
    ours = SceneLoader(devkit.world, "test", frame_interval=1, sensors={"cam_f0": [2, 3]})
    assert set(ours.tokens) == set(their_loader.tokens)
    for token in ours.tokens[::4]:
        scene, theirs = ours.get_scene(token), their_loader.get_scene_from_token(token)
        future = scene.get_future_trajectory(8).poses
        np.testing.assert_allclose(future, theirs.get_future_trajectory(8).poses, atol=1e-4)
        for mine, other in zip(scene.get_agent_input().ego_statuses, theirs.get_agent_input().ego_statuses):
            np.testing.assert_allclose(mine.ego_pose, other.ego_pose, atol=1e-4)
            np.testing.assert_allclose(mine.ego_velocity, other.ego_velocity)
            np.testing.assert_allclose(mine.ego_acceleration, other.ego_acceleration)
            np.testing.assert_array_equal(mine.driving_command, other.driving_command)
        for mine, other in zip(scene.get_agent_input().cameras, theirs.get_agent_input().cameras):
            assert (mine.cam_f0.image is None) == (other.cam_f0.image is None)
            if mine.cam_f0.image is not None:
                np.testing.assert_array_equal(mine.cam_f0.image, other.cam_f0.image)
                np.testing.assert_allclose(mine.cam_f0.intrinsics, other.cam_f0.intrinsics)
