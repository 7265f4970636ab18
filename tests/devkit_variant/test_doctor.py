"""The pseudo-inverse self-test, with a good and a bad one; the stand-ins for the devkit's classes."""

from __future__ import annotations

import numpy as np

from navsim_agents.devkit.doctor import check_pseudo_inverse, is_importable
from navsim_agents.devkit.standalone import SensorConfig


def test_numpys_pseudo_inverse_passes() -> None:
    assert check_pseudo_inverse(np.linalg.pinv).is_good


def test_an_inaccurate_pseudo_inverse_is_found() -> None:
    finding = check_pseudo_inverse(lambda matrix: np.linalg.pinv(matrix.astype(np.float32)).astype(np.float64))
    assert not finding.is_good
    assert "numpy>=1.26" in finding.text
    assert str(finding).startswith("WRONG")


def test_absent_modules_are_found_absent() -> None:
    assert is_importable("navsim_configs.agent")
    assert not is_importable("no_such_package.no_such_module")


def test_stand_in_sensor_config_answers_like_the_devkits() -> None:
    config = SensorConfig(cam_f0=[1, 3], cam_b0=True)
    assert config.get_sensors_at_iteration(0) == ["cam_b0"]
    assert config.get_sensors_at_iteration(3) == ["cam_f0", "cam_b0"]
