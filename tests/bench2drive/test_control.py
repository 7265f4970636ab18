"""The usual agents' PID controllers (hand-worked cases), the tracker in their place, and the limits of both."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from navsim_agents.bench2drive.control import (
    Control,
    Controller,
    LqrConfig,
    LqrController,
    PidConfig,
    PidController,
    extended,
    limited,
)
from navsim_agents.errors import SettingError
from tests.bench2drive.planners import arc, straight

FAR_AHEAD = np.array([50.0, 0.0])
ON_THE_ARC = np.array([20.0 * math.sin(1.5), -20.0 * (1.0 - math.cos(1.5))])


def second(controller: Controller, plan: np.ndarray, speed: float, target: np.ndarray = FAR_AHEAD) -> Control:
    """The answer to a call that comes twice."""
    controller.step(plan, speed, 0.0, target)
    return controller.step(plan, speed, 0.0, target)


def test_straight_on() -> None:
    """Case 9: 5 · 0.1 + 0.5 · 2 · 0.1 / 40."""
    found = second(PidController(PidConfig()), straight(5.0), 4.9)
    assert (found.steer, found.throttle, found.brake) == (0.0, pytest.approx(0.5025), 0.0)


def test_too_fast() -> None:
    """Case 9b: 6.0 / 5 is more than 1.1; 5.4 / 5 is not."""
    assert second(PidController(PidConfig()), straight(5.0), 6.0) == Control(0.0, 0.0, 1.0)
    assert second(PidController(PidConfig()), straight(5.0), 5.4).brake == 0.0


@pytest.mark.parametrize(("aim_m", "steer"), [(4.0, 0.0313), (11.0, 0.1253)])
def test_an_arc_to_the_right(aim_m: float, steer: float) -> None:
    """Case 9c: radius 20 m at 5 m/s; chords give a desired speed of 4.9967, so 0.25 is wanted at 4.5."""
    found = second(PidController(PidConfig(aim_m=aim_m)), arc(5.0, -20.0), 4.9967, ON_THE_ARC)
    assert found.steer == pytest.approx(steer, abs=5e-5)
    assert found.throttle == pytest.approx(0.0, abs=1e-3)
    mirrored = second(PidController(PidConfig(aim_m=aim_m)), arc(5.0, 20.0), 4.9967, ON_THE_ARC * (1.0, -1.0))
    assert mirrored.steer == pytest.approx(-steer, abs=5e-5)


def test_the_target_point_where_it_is_safer() -> None:
    """A smaller angle than the plan's is steered for; a larger one only near and off the plan's end."""
    plan = arc(5.0, -20.0)
    aim_4 = (0.75 + 0.75 / 40.0 + 0.3) * 0.0625 / (math.pi / 2)
    steers = {
        name: PidController(PidConfig()).step(plan, 5.0, 0.0, np.array(target)).steer
        for name, target in {"ahead": (30.0, 0.0), "far left": (11.0, 11.0), "near left": (6.0, 6.0)}.items()
    }
    assert steers["ahead"] == 0.0
    assert steers["far left"] == pytest.approx(aim_4, rel=1e-3)
    assert steers["near left"] == pytest.approx(-0.5 * (0.75 + 0.75 / 40.0 + 0.3))


def test_a_plan_that_stands() -> None:
    for controller in (PidController(PidConfig()), LqrController(LqrConfig())):
        assert replace(second(controller, straight(0.0), 3.0), steer=0.0) == Control(0.0, 0.0, 1.0)
        assert second(controller, straight(0.0), 0.0).brake == 1.0


@pytest.mark.parametrize("controller", [PidController, LqrController])
@pytest.mark.parametrize("plan", [straight(40.0), arc(9.0, 3.0), arc(9.0, -3.0), straight(0.1, 3.0), -straight(5.0)])
@pytest.mark.parametrize("speed", [0.0, 0.3, 30.0])
def test_controls_are_plain_and_limited(controller: type, plan: np.ndarray, speed: float) -> None:
    config = PidConfig() if controller is PidController else LqrConfig()
    steps = controller(config)
    for _ in range(60):
        found = steps.step(plan, speed, 0.3, np.array([-3.0, 1.0]))
        assert {type(value) for value in (found.steer, found.throttle, found.brake)} == {float}
        assert -1.0 <= found.steer <= 1.0
        assert 0.0 <= found.throttle <= 0.75
        assert 0.0 <= found.brake <= 1.0
        assert not (found.throttle and found.brake)


def test_a_plan_that_stands_where_no_speed_counts_as_standing() -> None:
    """``stop_mps=0`` leaves it to the ratio, which is of 0 m/s here."""
    controller = PidController(PidConfig(stop_mps=0.0))
    assert second(controller, straight(0.0), 3.0).brake == 1.0
    assert second(controller, straight(0.0), 0.0) == Control()


def test_what_is_no_number_brakes() -> None:
    assert limited(math.nan, 1.0, 0.0) == Control(0.0, 0.0, 1.0)
    assert limited(np.float32(-3.0), np.float64(2.0), -1.0) == Control(-1.0, 1.0, 0.0)
    assert type(limited(np.float32(0.5), 0.0, 0.0).steer) is float


@pytest.mark.parametrize("radius", [15.0, 30.0, -30.0, 80.0])
def test_the_tracker_holds_the_bicycles_angle(radius: float) -> None:
    """On the plan's circle with the yaw rate that belongs to it, the wheels stay about where a bicycle has them."""
    found = LqrController(LqrConfig()).step(arc(6.0, radius), 6.0, 6.0 / radius, FAR_AHEAD)
    angle = math.degrees(math.atan(2.85 / radius))
    assert -70.0 * found.steer == pytest.approx(angle, abs=0.35 * abs(angle))


def test_the_trackers_pedals() -> None:
    controller = LqrController(LqrConfig())
    assert controller.step(straight(8.0), 5.0, 0.0, FAR_AHEAD).throttle > 0.2
    assert controller.step(straight(3.0), 8.0, 0.0, FAR_AHEAD).brake > 0.1
    even = controller.step(straight(5.0), 5.0, 0.0, FAR_AHEAD)
    assert (even.steer, even.throttle, even.brake) == (pytest.approx(0.0, abs=1e-9), pytest.approx(0.1, abs=1e-6), 0)


def test_plans_go_on_as_they_end() -> None:
    assert extended(straight(4.0))[:, 0] == pytest.approx(2.0 * np.arange(1, 9))
    assert extended(np.stack([straight(4.0)] * 3)).shape == (3, 8, 3)


def test_gains_come_in_threes() -> None:
    with pytest.raises(SettingError, match="three gains"):
        PidConfig(turn_gains=[1.0])
