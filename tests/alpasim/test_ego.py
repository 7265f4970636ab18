"""Where the ego is at a moment, and how it moves there, worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from navsim_agents.alpasim.ego import EgoSample, EgoTrack, along_arc
from navsim_agents.alpasim.rigid import from_planar

SECOND = 1_000_000


def sample(x: float, y: float = 0.0, heading: float = 0.0, **motion: Any) -> EgoSample:
    return EgoSample(from_planar(np.array([x, y, heading])), **motion)


def track(*samples: tuple[float, EgoSample]) -> EgoTrack:
    made = EgoTrack()
    for time_s, reported in samples:
        made.add(round(time_s * SECOND), reported)
    return made


def accelerating(times: Any, start_mps: float = 8.0, acceleration: float = 2.0, heading: float = 0.0) -> EgoTrack:
    """Straight ahead in the direction ``heading``, nothing reported but poses."""
    ways = [start_mps * time + 0.5 * acceleration * time**2 for time in times]
    return track(*((t, sample(w * np.cos(heading), w * np.sin(heading), heading)) for t, w in zip(times, ways)))


def circling(times: Any, radius_m: float = 20.0, speed_mps: float = 5.0) -> EgoTrack:
    """To the left around (0, 20)."""
    turns = [speed_mps / radius_m * time for time in times]
    return track(*((t, sample(radius_m * np.sin(a), radius_m * (1 - np.cos(a)), a)) for t, a in zip(times, turns)))


def test_stale_egomotion_is_carried_on() -> None:
    """Case 14: 10 m/s, the newest report half a second old: the ego is 5 m further."""
    made = track((1.0, sample(30.0, 4.0, np.pi / 2, velocity=np.array([10.0, 0.0]))))
    np.testing.assert_allclose(made.pose(SECOND * 3 // 2).planar, [30.0, 9.0, np.pi / 2])
    assert made.age_us(SECOND * 3 // 2) == SECOND // 2
    assert made.age_us(SECOND - 1) is None


def test_a_bend_is_carried_on() -> None:
    """A quarter of a circle of 20 m at 5 m/s takes 2 pi s; reported are its first degrees."""
    made = circling((0.0, 0.1, 0.2, 0.3))
    quarter_us = round(2.0 * np.pi * SECOND)
    np.testing.assert_allclose(made.pose(quarter_us).planar, [20.0, 20.0, np.pi / 2], atol=0.1)
    exact = track((0.0, sample(0.0, velocity=np.array([5.0, 0.0]), yaw_rate=0.25)))
    np.testing.assert_allclose(exact.pose(quarter_us).planar, [20.0, 20.0, np.pi / 2], atol=1e-5)


def test_before_the_first_report_it_came_the_same_way() -> None:
    made = track((1.0, sample(30.0, velocity=np.array([10.0, 0.0]))), (2.0, sample(41.0)))
    np.testing.assert_allclose(made.pose(0).planar, [20.0, 0.0, 0.0])


def test_between_reports() -> None:
    made = track((0.0, sample(0.0)), (1.0, sample(4.0, 2.0, 0.4)))
    np.testing.assert_allclose(made.pose(SECOND // 4).planar, [1.0, 0.5, 0.1], atol=1e-12)


def test_late_reports_count_where_they_belong() -> None:
    late = track((0.0, sample(0.0)), (1.0, sample(4.0)), (0.5, sample(1.0)))
    np.testing.assert_allclose(late.pose(SECOND // 4).planar, [0.5, 0.0, 0.0])


@pytest.mark.parametrize("heading", [0.0, 2.0])
def test_motion_follows_from_poses(heading: float) -> None:
    """8 m/s at first, 2 m/s^2: 9 m/s after half a second, whatever the direction."""
    motion = accelerating((0.0, 0.1, 0.2, 0.3, 0.4, 0.5), heading=heading).motion(SECOND // 2)
    np.testing.assert_allclose(motion.velocity, [9.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(motion.acceleration, [2.0, 0.0], atol=1e-8)
    assert motion.yaw_rate == pytest.approx(0.0, abs=1e-12)


def test_motion_in_a_bend_has_what_the_bend_needs() -> None:
    """5 m/s on 20 m: 1.25 m/s^2 to the inside, 0.25 rad/s."""
    motion = circling(np.arange(0.0, 0.55, 0.1)).motion(SECOND // 2)
    np.testing.assert_allclose(motion.velocity, [5.0, 0.0], atol=0.02)
    np.testing.assert_allclose(motion.acceleration, [0.0, 1.25], atol=0.2)
    assert motion.yaw_rate == pytest.approx(0.25)


def test_motion_of_few_poses() -> None:
    alone = track((0.0, sample(3.0))).motion(0)
    np.testing.assert_array_equal([alone.velocity, alone.acceleration], np.zeros((2, 2)))
    two = track((0.0, sample(0.0)), (0.5, sample(2.0))).motion(SECOND // 2)
    np.testing.assert_allclose([two.velocity, two.acceleration], [[4.0, 0.0], [0.0, 0.0]], atol=1e-12)
    slow = accelerating((0.0, 0.5, 1.0)).motion(SECOND)  # at 2 Hz three poses reach back a whole second
    np.testing.assert_allclose([slow.velocity, slow.acceleration], [[10.0, 0.0], [2.0, 0.0]], atol=1e-9)


def test_what_is_reported_goes_first() -> None:
    said = {"velocity": np.array([7.0, 0.5]), "acceleration": np.array([-1.0, 0.25]), "yaw_rate": 0.125}
    motion = track((0.0, sample(0.0)), (0.1, sample(5.0, **said))).motion(SECOND // 10)
    np.testing.assert_array_equal(motion.velocity, [7.0, 0.5])
    np.testing.assert_array_equal(motion.acceleration, [-1.0, 0.25])
    assert motion.yaw_rate == 0.125


def test_reported_motion_between_reports_and_after() -> None:
    made = track(*((t, sample(0.0, velocity=np.array([4.0 + 2 * t, 0.0]))) for t in (0.0, 1.0)))
    np.testing.assert_allclose(made.motion(SECOND // 4).velocity, [4.5, 0.0])
    np.testing.assert_allclose(made.motion(9 * SECOND).velocity, [6.0, 0.0])


def test_acceleration_from_reported_velocities_alone() -> None:
    """6 m/s rising by 3 m/s^2 while turning by 0.5 rad/s: 0.5 x 6 to the side besides, at the start of the turn."""
    times = (0.0, 0.01, 0.02, 0.03)
    made = track(*((t, sample(0.0, 0.0, 0.5 * t, velocity=np.array([6.0 + 3 * t, 0.0]))) for t in times))
    np.testing.assert_allclose(made.motion(30_000).acceleration, [3.0, 0.5 * 6.0], atol=0.1)


def test_an_arc_by_hand() -> None:
    np.testing.assert_allclose(along_arc(np.array([10.0, 0.0]), 0.0, 0.5), [5.0, 0.0, 0.0])
    half_circle = along_arc(np.array([np.pi, 0.0]), np.pi, 1.0)
    np.testing.assert_allclose(half_circle, [0.0, 2.0, np.pi], atol=1e-12)
    np.testing.assert_allclose(along_arc(np.array([np.pi, 0.0]), np.pi, -1.0), [0.0, 2.0, -np.pi], atol=1e-12)


def test_only_what_is_old_is_forgotten() -> None:
    made = track(*((t, sample(10.0 * t)) for t in (0.0, 1.0, 2.0, 3.0)))
    made.forget_before(SECOND * 3 // 2)
    np.testing.assert_allclose(made.pose(SECOND * 5 // 4).planar, [12.5, 0.0, 0.0])
