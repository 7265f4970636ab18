"""Feature builders: what they make, and what they refuse."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from navsim_agents.drive_jepa.config import ImageConfig
from navsim_agents.drive_jepa.features import FrontVideoBuilder, StatusBuilder
from navsim_agents.errors import InputError
from tests.drive_jepa.scenes import make_input, picture

SMALL = ImageConfig(width=48, height=24)


def video(agent_input: object, config: ImageConfig = SMALL) -> torch.Tensor:
    return FrontVideoBuilder(config).compute_features(agent_input)["front_video"]


def test_the_previous_frame_comes_first() -> None:
    black, white = np.zeros((1080, 1920, 3), np.uint8), np.full((1080, 1920, 3), 255, np.uint8)
    clip = video(make_input(previous=black, current=white))
    assert clip.shape == (2, 3, 24, 48)
    assert clip.dtype == torch.uint8
    assert (clip[0] == 0).all()
    assert (clip[1] == 255).all()


def test_channels_stay_red_green_blue() -> None:
    image = np.broadcast_to(np.array([10, 20, 30], np.uint8), (1080, 1920, 3))
    clip = video(make_input(previous=image, current=image))
    assert clip[0].flatten(1).float().mean(dim=1).tolist() == [10, 20, 30]


def test_outer_rows_are_cut() -> None:
    image = np.full((1080, 1920, 3), 50, np.uint8)
    image[:28], image[-28:] = 250, 250
    assert (video(make_input(current=image))[1] == 50).all()
    image[28] = 250
    whole = ImageConfig(width=16, height=1024)
    assert (video(make_input(current=image), whole)[1, :, 0] == 250).all()


def test_picture_is_opencvs() -> None:
    cv2 = pytest.importorskip("cv2")
    expected = cv2.resize(picture(2)[28:-28], (512, 256)).transpose(2, 0, 1)
    assert (video(make_input(), ImageConfig())[1].numpy() == expected).all()


def test_a_cached_scene_takes_at_most_800_kb() -> None:
    features = {**FrontVideoBuilder(ImageConfig()).compute_features(make_input())}
    features.update(StatusBuilder().compute_features(make_input()))
    assert len(pickle.dumps(features)) <= 800_000


def test_the_name_in_the_cache_says_the_size() -> None:
    assert FrontVideoBuilder(ImageConfig()).get_unique_name() == "drive_jepa_front_video_512x256"
    assert FrontVideoBuilder(SMALL).get_unique_name() == "drive_jepa_front_video_48x24"


def test_status_is_command_velocity_acceleration_of_now() -> None:
    status = StatusBuilder().compute_features(make_input())["status"]
    assert status.dtype == torch.float32
    assert status.tolist() == [0, 0, 1, 0, 7.0, 0.5, -1.0, 0.25]


def test_a_missing_picture_is_refused_by_frame() -> None:
    agent_input = make_input()
    agent_input.cameras[-2] = agent_input.cameras[0]
    with pytest.raises(InputError, match=r"cam_f0 of the frame 0\.5 s ago has no image.*get_sensor_config"):
        video(agent_input)


def test_cameras_without_a_front_one_are_refused() -> None:
    agent_input = make_input()
    agent_input.cameras[-1] = SimpleNamespace()
    with pytest.raises(InputError, match="cam_f0 of the current frame has no image"):
        video(agent_input)


@pytest.mark.parametrize("image", [np.zeros((540, 960, 3), np.uint8), np.zeros((1080, 1920, 3), np.float32)])
def test_a_picture_of_another_kind_is_refused_by_path(image: np.ndarray) -> None:
    agent_input = make_input()
    front = replace(agent_input.cameras[-1].cam_f0, image=image, camera_path=Path("log-7/CAM_F0/token-5.jpg"))
    agent_input.cameras[-1] = replace(agent_input.cameras[-1], cam_f0=front)
    with pytest.raises(InputError, match=r"log-7/CAM_F0/token-5\.jpg\) is .*uint8 \[1080, 1920, 3\]"):
        video(agent_input)


@pytest.mark.parametrize("command", [[0, 0, 0, 0], [1, 1, 0, 0], [0, 2, -1, 0], [0.5, 0.5, 0, 0], [1, 0, 0], 2])
def test_a_command_that_is_not_one_hot_is_refused(command: object) -> None:
    with pytest.raises(InputError, match=r"driving_command is .* must be one-hot"):
        StatusBuilder().compute_features(make_input(driving_command=np.array(command)))


@pytest.mark.parametrize("name", ["ego_velocity", "ego_acceleration"])
@pytest.mark.parametrize("value", [[np.nan, 0.0], [0.0, np.inf], [1.0, 2.0, 3.0]])
def test_a_status_that_is_not_two_finite_numbers_is_refused(name: str, value: list[float]) -> None:
    with pytest.raises(InputError, match=f"{name} is .* must be 2 finite numbers"):
        StatusBuilder().compute_features(make_input(**{name: np.array(value)}))
