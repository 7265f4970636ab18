"""The ego's way as a client reports it: pose, velocity and acceleration at any moment.

Between two reported poses the ego is taken to move straight and to turn evenly. After the last one and before the first
it goes on at the speed and yaw rate that it has there. What a client does not report of velocity, acceleration or yaw
rate follows from its poses of the last half second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.alpasim.rigid import RigidPose, blended
from navsim_agents.alpasim.timeline import Timeline
from navsim_agents.common.poses import HEADING, XY, points_to_local, rotate

SECONDS = 1e-6  # in a microsecond
WINDOW_US, LONGEST_WINDOW_US = 500_000, 1_500_000
"""Poses that are looked at for a velocity; where fewer than three lie in the first, those in the second."""
FEWEST = 3  # samples that tell an acceleration from a velocity
STRAIGHT_RAD_PER_S = 1e-9
MAX_POSES = 4096
Pair = Float64[np.ndarray, "2"]


@dataclass(frozen=True)
class EgoSample:
    """One report; velocity [m/s], acceleration [m/s^2] and yaw rate [rad/s] in the rig frame, None where left out."""

    pose: RigidPose
    velocity: Optional[Pair] = None
    acceleration: Optional[Pair] = None
    yaw_rate: Optional[float] = None


@dataclass(frozen=True)
class Motion:
    """How the ego moves at a moment, in its own frame of that moment."""

    velocity: Pair  # m/s
    acceleration: Pair  # m/s^2 over ground
    yaw_rate: float  # rad/s


class EgoTrack:
    """All reports of a session."""

    def __init__(self) -> None:
        self._samples: Timeline[EgoSample] = Timeline(MAX_POSES)

    def add(self, stamp_us: int, sample: EgoSample) -> None:
        """Put a report where its time belongs."""
        self._samples.add(stamp_us, sample)

    def age_us(self, at_us: int) -> Optional[int]:
        """How old the newest report is at ``at_us``; None where there is none by then."""
        newest = self._samples.up_to(at_us)
        return None if newest is None else at_us - newest[0]

    def pose(self, at_us: int) -> RigidPose:
        """Rig in the local frame at ``at_us``. There must be a report."""
        before, after = self._samples.up_to(at_us), self._samples.after(at_us)
        if before is not None and after is not None:
            share = (at_us - before[0]) / (after[0] - before[0])
            return blended(before[1].pose, after[1].pose, share)
        end = before or after
        assert end is not None, "asked for the pose of a track without reports"
        stamp_us, sample = end
        if stamp_us == at_us:
            return sample.pose
        motion = self.motion(stamp_us)
        return sample.pose.moved(along_arc(motion.velocity, motion.yaw_rate, (at_us - stamp_us) * SECONDS))

    def motion(self, at_us: int) -> Motion:
        """Velocity, acceleration and yaw rate at ``at_us``; those of the nearest report outside of what is reported."""
        before, after = self._samples.up_to(at_us), self._samples.after(at_us)
        if before is None:
            assert after is not None, "asked for the motion of a track without reports"
            return self.motion(after[0])
        if after is None:
            at_us = before[0]
        share = (at_us - before[0]) / (after[0] - before[0]) if after else 0.0
        first, second = before[1], after[1] if after else before[1]
        velocity = _between(first.velocity, second.velocity, share)
        acceleration = _between(first.acceleration, second.acceleration, share)
        yaw_rate = _between(first.yaw_rate, second.yaw_rate, share)
        if velocity is not None and acceleration is None:
            acceleration = self._change_of_velocity(at_us)
        if velocity is None or yaw_rate is None:
            fitted = self._fitted(at_us)
            velocity = fitted.velocity if velocity is None else velocity
            acceleration = fitted.acceleration if acceleration is None else acceleration
            yaw_rate = fitted.yaw_rate if yaw_rate is None else yaw_rate
        return Motion(velocity, acceleration, float(yaw_rate))

    def forget_before(self, at_us: int) -> None:
        """Drop reports that are older than ``at_us``, but for the newest of them."""
        self._samples.forget_before(at_us)

    def _recent(self, at_us: int) -> list[tuple[int, EgoSample]]:
        found = self._samples.between(at_us - WINDOW_US, at_us)
        if len(found) >= FEWEST:
            return found
        return self._samples.between(at_us - LONGEST_WINDOW_US, at_us)[-FEWEST:]

    def _fitted(self, at_us: int) -> Motion:
        """A parabola through the recent places: exact where the acceleration is constant."""
        recent = self._recent(at_us)
        times = np.array([(stamp - at_us) * SECONDS for stamp, _ in recent])
        poses = np.stack([sample.pose.planar for _, sample in recent])
        places = points_to_local(poses[:, XY], self.pose(at_us).planar if len(recent) > 1 else poses[-1])
        degree = min(len(recent) - 1, 2)
        terms = np.polynomial.polynomial.polyfit(times, places, degree)
        headings = np.unwrap(poses[:, HEADING])
        yaw_rate = np.polynomial.polynomial.polyfit(times, headings, min(degree, 1))[-1] if degree else 0.0
        still = np.zeros(2)
        return Motion(terms[1] if degree else still, 2.0 * terms[2] if degree > 1 else still, float(yaw_rate))

    def _change_of_velocity(self, at_us: int) -> Pair:
        """Slope of the recent reported velocities over ground, in the frame of ``at_us``."""
        recent = [(stamp, sample) for stamp, sample in self._recent(at_us) if sample.velocity is not None]
        if len(recent) < 2:
            return np.zeros(2)
        heading = self.pose(at_us).planar[HEADING]
        times = np.array([(stamp - at_us) * SECONDS for stamp, _ in recent])
        reported = np.stack([np.asarray(sample.velocity) for _, sample in recent])
        turns = np.array([sample.pose.planar[HEADING] for _, sample in recent]) - heading
        return np.asarray(np.polynomial.polynomial.polyfit(times, rotate(reported, turns), 1)[1])


def along_arc(velocity: Pair, yaw_rate: float, seconds: float) -> Float64[np.ndarray, "3"]:
    """The planar pose after ``seconds`` (before now where negative) at constant speed and yaw rate."""
    turn = yaw_rate * seconds
    if abs(yaw_rate) < STRAIGHT_RAD_PER_S:
        return np.array([*(velocity * seconds), turn])
    ahead, aside = np.sin(turn) / yaw_rate, (1.0 - np.cos(turn)) / yaw_rate
    x, y = velocity
    return np.array([ahead * x - aside * y, aside * x + ahead * y, turn])


def _between(first: Any, second: Any, share: float) -> Any:
    """Reported values at a moment between two reports; the earlier one's where the later has none."""
    return first if first is None or second is None else (1.0 - share) * first + share * second
