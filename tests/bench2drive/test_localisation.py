"""The car's state from its sensors: the map's origin, headings without a compass, noise, jumps."""

from __future__ import annotations

import math
from typing import Any, Optional

import numpy as np
import pytest

from navsim_agents.bench2drive.localisation import GNSS_SIGMA_M, GeoOrigin, Localiser, Reading
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.errors import InputError
from tests.bench2drive.planners import gps

NAN = math.nan
ORIGINS = [(0.0, 0.0), (42.0, 2.0), (-33.9, 151.2), (49.0, 8.0)]


@pytest.mark.parametrize(("latitude", "longitude"), ORIGINS)
def test_the_origin_by_the_routes_start(latitude: float, longitude: float) -> None:
    """Cases 10 and 10b: a start at (600, 3600), a car at (530, 3610)."""
    origin = GeoOrigin.of_point(np.array([600.0, 3600.0]), *gps(600.0, 3600.0, latitude, longitude))
    assert (origin.latitude_deg, origin.longitude_deg) == pytest.approx((latitude, longitude), abs=1e-9)
    assert origin.place(*gps(530.0, 3610.0, latitude, longitude)) == pytest.approx(np.array([530.0, 3610.0]), abs=1e-6)


def test_noise_of_the_fix() -> None:
    """Case 11: 5e-6 degrees."""
    origin = GeoOrigin(0.0, 0.0)
    assert np.abs(origin.place(5e-6, 5e-6)) == pytest.approx(np.array([0.5566, 0.5566]), abs=1e-4)
    assert pytest.approx(0.5566, abs=1e-4) == GNSS_SIGMA_M


@pytest.mark.parametrize(
    ("place", "latitude"), [((0.0, 0.0), NAN), ((NAN, 0.0), 1.0), ((0.0, 1e9), 1.0), ((0.0, 0.0), 89.0)]
)
def test_points_without_an_origin_are_refused(place: tuple[float, float], latitude: float) -> None:
    with pytest.raises(InputError, match="route begins"):
        GeoOrigin.of_point(np.array(place), latitude, 2.0)


def reading(
    x: float, y: float, compass: float, speed: Optional[float], imu: tuple[float, ...] = (0.0,) * 6, **changes: Any
) -> Reading:
    fix = changes.get("fix", gps(x, y))
    return Reading(fix[0], fix[1], np.array([*imu, compass]), speed)


def localiser(heading: float = 0.0, weight: float = 0.1) -> Localiser:
    return Localiser(GeoOrigin(0.0, 0.0), heading, weight)


def test_one_tick_by_hand() -> None:
    """CARLA's yaw 30 (case 1): compass 2.094395, heading -0.523599; y, lateral acceleration and turns change sign."""
    state = localiser().update(reading(10.0, 20.0, 2.094395, 7.0, (1.0, 0.5, 9.8, 0.0, 0.0, 0.2)), 0.05)
    assert state.pose == pytest.approx(np.array([10.0, -20.0, -0.523599]), abs=1e-6)
    assert state.acceleration == pytest.approx(np.array([1.0, -0.5]))
    assert (state.speed_mps, state.yaw_rate) == (7.0, -0.2)


def test_the_compass_may_say_nothing() -> None:
    """First the route's direction, later the last heading turned by the gyroscope."""
    found = localiser(heading=1.0)
    spoilt = (NAN,) * 6
    first = found.update(reading(0.0, 0.0, NAN, 0.0, spoilt), 0.05)
    assert (first.pose[HEADING], first.yaw_rate, list(first.acceleration)) == (1.0, 0.0, [0.0, 0.0])
    known = found.update(reading(0.0, 0.0, math.pi / 2, 0.0), 0.05)
    assert known.pose[HEADING] == pytest.approx(0.0)
    turned = found.update(reading(0.0, 0.0, NAN, 0.0, (0.0, 0.0, 0.0, 0.0, 0.0, 0.4)), 0.05)
    assert turned.pose[HEADING] == pytest.approx(-0.02)


def test_each_number_counts_for_itself() -> None:
    """A compass that says nothing spoils nothing else, and neither does the gyroscope or the acceleration."""
    state = localiser().update(reading(0.0, 0.0, NAN, 3.0, (1.0, 0.5, 9.8, 0.0, 0.0, 0.2)), 0.05)
    assert (list(state.acceleration), state.speed_mps, state.yaw_rate) == ([1.0, -0.5], 3.0, -0.2)
    state = localiser().update(reading(0.0, 0.0, math.pi / 2, 3.0, (1.0, NAN, 9.8, 0.0, 0.0, 0.2)), 0.05)
    assert (list(state.acceleration), state.yaw_rate) == ([0.0, 0.0], -0.2)
    state = localiser().update(reading(0.0, 0.0, math.pi / 2, 3.0, (1.0, 0.5, 9.8, 0.0, 0.0, NAN)), 0.05)
    assert (list(state.acceleration), state.yaw_rate) == ([1.0, -0.5], 0.0)


def test_a_fix_that_comes_late_is_believed() -> None:
    found = localiser()
    blind = found.update(reading(0.0, 0.0, math.pi / 2, 2.0, fix=(NAN, NAN)), 0.05)
    assert list(blind.pose[XY]) == [0.0, 0.0]
    assert found.update(reading(3.0, 4.0, math.pi / 2, 2.0), 0.05).pose[XY] == pytest.approx([3.0, -4.0], abs=1e-6)


def test_speed_and_fix_may_say_nothing() -> None:
    found = localiser()
    assert found.update(reading(0.0, 0.0, math.pi / 2, None), 0.05).speed_mps == 0.0
    found.update(reading(0.0, 0.0, math.pi / 2, 4.0), 0.05)
    blind = found.update(reading(0.0, 0.0, math.pi / 2, NAN, fix=(NAN, NAN)), 0.05)
    assert blind.speed_mps == 4.0
    assert blind.pose[0] == pytest.approx(0.05 + 0.2, abs=0.06)  # the way of two ticks, the first half believed


def test_headings_are_subtracted_the_short_way() -> None:
    """From 179 to -179 degrees (case 1c) the car goes on backwards along x, and not forwards."""
    found = localiser(weight=0.001)
    found.update(reading(0.0, 0.0, math.pi / 2 - math.radians(179.0), 10.0), 0.05)
    after = found.update(reading(-0.5, 0.0, math.pi / 2 + math.radians(179.0), 10.0, fix=(NAN, NAN)), 0.05)
    assert after.pose[XY] == pytest.approx(np.array([-0.5, 0.0]), abs=1e-6)


def test_noise_is_smoothed_on_a_curve() -> None:
    """A circle at 8 m/s with the leaderboard's noise: four times nearer than a fix, and the odometry hardly drifts."""
    rng, found, radius, turn = np.random.default_rng(3), localiser(), 25.0, 8.0 / 25.0
    errors, raw = [], []
    for tick in range(400):
        angle = turn * 0.05 * tick  # to the right: CARLA's yaw grows
        place = np.array([radius * math.sin(angle), radius * (1.0 - math.cos(angle))])
        noise = rng.normal(0.0, GNSS_SIGMA_M, 2)
        x, y = place + noise
        state = found.update(reading(float(x), float(y), math.pi / 2 + angle, 8.0), 0.05)
        errors.append(state.pose[XY] * (1.0, -1.0) - place)
        raw.append(noise)
    assert np.std(errors[40:]) < np.std(raw) / 3.0
    assert state.odometry[XY] * (1.0, -1.0) == pytest.approx(place, abs=0.05)


def test_a_jump_is_believed_at_once() -> None:
    """Route 23658 puts its car 58 m elsewhere."""
    found = localiser()
    for _ in range(20):
        found.update(reading(0.0, 0.0, math.pi / 2, 0.0), 0.05)
    assert found.update(reading(58.0, 0.0, math.pi / 2, 0.0), 0.05).pose[0] == pytest.approx(58.0, abs=1e-6)
    near = found.update(reading(61.0, 0.0, math.pi / 2, 0.0), 0.05)
    assert near.pose[0] == pytest.approx(59.5, abs=1e-6)  # the mean of two fixes of the new place
