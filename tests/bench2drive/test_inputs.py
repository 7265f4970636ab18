"""What the planner is given of an input: the same whoever shows it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from navsim_agents.bench2drive.agent import Bench2DriveAgent
from navsim_agents.bench2drive.clips import Clip
from navsim_agents.bench2drive.features import CAMERAS_OF_SOURCE, InputBuilder, status
from navsim_agents.bench2drive.frames import BACK, CAMERAS, FRONT, REAR_AXLE_M, calibration
from navsim_agents.bench2drive.inputs import Bench2DriveInput, Bench2DrivePlanner
from navsim_agents.data.types import AgentInput
from navsim_agents.drive_jepa.config import ImageConfig
from navsim_agents.errors import InputError

TINY: dict[str, Any] = {
    "metric": "pdms",
    "momentum": {"mode": "off"},
    "pictures": {"width": 64, "height": 32},
    "encoder": {"name": "tiny"},
    "planner": {"model_dim": 16, "num_heads": 2, "ffn_dim": 24, "num_proposals": 5, "dropout": 0.1},
}


@pytest.fixture
def seen(clip: Clip) -> Bench2DriveInput:
    return clip.input(20, CAMERAS, 2)


def test_the_status_is_speed_no_acceleration_target_and_command(seen: Bench2DriveInput) -> None:
    found = status(dataclasses.replace(seen, acceleration=np.array([9.0, 9.0]), command=5))
    np.testing.assert_allclose(found, (5.0, 0.0, 0.0, 50.0 - 10.0 + 1.4, -1.0, 0, 0, 0, 0, 0, 1), atol=1e-5)


def test_the_second_of_four_cameras_is_the_front_one(seen: Bench2DriveInput) -> None:
    """Of Bench2Drive's own order the second is the front left one."""
    builder = InputBuilder(ImageConfig(width=32, height=18), "four_cameras")
    pictures = builder.compute_features(seen)["surround_pictures"]
    assert pictures.shape == (4, 3, 18, 32)
    shades = [40 * CAMERAS.index(name) for name in CAMERAS_OF_SOURCE["four_cameras"]]
    np.testing.assert_allclose(pictures[:, 1].float().mean((1, 2)), shades, atol=4.0)
    assert shades[1] == 0
    assert CAMERAS_OF_SOURCE["four_cameras"][1] == FRONT


def test_front_video_is_the_frame_before_and_now(seen: Bench2DriveInput) -> None:
    features = InputBuilder(ImageConfig(width=64, height=32), "front_video").compute_features(seen)
    np.testing.assert_allclose(features["front_video"][:, 0].float().mean((1, 2)), (15, 20), atol=3.0)


def test_projection_counts_in_navsims_pictures(seen: Bench2DriveInput) -> None:
    builder = InputBuilder(ImageConfig(width=32, height=18), "four_cameras")
    matrices = builder.compute_features(seen)["projection"].numpy()
    point = np.array([10.0 + REAR_AXLE_M, -2.0, 0.0, 1.0])  # case 3b: u 1048.374, v 648.699 of 1600 x 900
    u, v, depth, _ = matrices[1] @ point
    np.testing.assert_allclose((u / depth, v / depth, depth), (1.2 * 1048.374, 1.2 * 648.699, 9.2), rtol=1e-5)
    back = calibration(BACK, 1920, 1080).project(np.array([-10.0, 1.0, 0.5]))
    u, v, depth, _ = matrices[0] @ np.array([-10.0, 1.0, 0.5, 1.0])
    np.testing.assert_allclose((u / depth, v / depth, depth), back, rtol=1e-5)


@pytest.mark.parametrize("source", ["front_video", "four_cameras"])
def test_missing_cameras_and_frames_are_named(seen: Bench2DriveInput, source: str) -> None:
    builder = InputBuilder(ImageConfig(width=64, height=32), source)
    with pytest.raises(InputError, match="comes with no pictures"):
        builder.compute_features(dataclasses.replace(seen, pictures={}))
    with pytest.raises(InputError, match="AgentInput, but sees Bench2DriveInput"):
        builder.compute_features(AgentInput([], []))


def test_one_frame_is_too_few_for_a_video(seen: Bench2DriveInput) -> None:
    once = {name: frames[-1:] for name, frames in seen.pictures.items()}
    builder = InputBuilder(ImageConfig(width=64, height=32), "front_video")
    with pytest.raises(InputError, match="CAM_FRONT comes with 1 pictures, but the agent sees 2"):
        builder.compute_features(dataclasses.replace(seen, pictures=once))


@pytest.mark.parametrize(
    ("changes", "cameras", "frames"),
    [
        ({}, (FRONT,), 2),
        (
            {
                "pictures": {"source": "four_cameras", "width": 64, "height": 36},
                "encoder": {"name": "timm:resnet18"},
            },
            CAMERAS_OF_SOURCE["four_cameras"],
            1,
        ),
    ],
)
def test_the_agent_plans_six_poses(
    seen: Bench2DriveInput, changes: dict[str, Any], cameras: tuple[str, ...], frames: int
) -> None:
    agent = Bench2DriveAgent({**TINY, **changes}, device="cpu")
    assert isinstance(agent, Bench2DrivePlanner)
    assert (agent.input_cameras, agent.num_input_frames) == (cameras, frames)
    plan, proposed = agent.plan_input(seen), agent.propose_input(seen)
    assert plan.shape == (6, 3)
    assert proposed.poses.shape == (5, 6, 3)
    np.testing.assert_array_equal(plan, proposed.poses[proposed.scores.argmax()])
    np.testing.assert_array_equal(plan, agent.plan_input(seen))
    turned = dataclasses.replace(seen, target_point=np.array([20.0, 30.0]))
    assert np.abs(agent.plan_input(turned) - plan).max() > 0.0


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"metric": "epdms"}, "must be pdms"), ({"momentum": {"mode": "on"}}, "must be off")],
)
def test_what_clips_do_not_hold_is_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        Bench2DriveAgent({**TINY, **changes})


def test_it_has_no_sensors_of_navsim() -> None:
    with pytest.raises(InputError, match="plan_input"):
        Bench2DriveAgent(TINY, device="cpu").get_sensor_config()
