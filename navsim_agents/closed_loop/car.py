"""The ego of a closed loop: a car that follows its agent's last plan by the scorer's tracker and vehicle model."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.conventions import EGO_WHEEL_BASE_M
from navsim_agents.common.poses import HEADING, POSE, XY
from navsim_agents.scoring.axes import State
from navsim_agents.world.curves import left_normal, unit
from navsim_agents.world.fleet import EGO_BODY
from navsim_agents.world.motion import CURVATURE
from navsim_agents.world.simulation import ACCEL, SPEED
from navsim_agents.world.tracked import tracked_states

REST = [name for name in State if name not in (State.X, State.Y, State.HEADING, State.STEERING_ANGLE)]


class Car:
    """State [11] on the map, in the columns of :class:`State`; the pose is that of the rear axle."""

    def __init__(self, ego: Float64[np.ndarray, "6"]) -> None:
        """In motion as the world's ``Record.ego`` says: pose, curvature, speed and acceleration."""
        self.state = np.zeros(len(State))
        self.state[POSE] = ego[POSE]
        self.state[State.VELOCITY_X], self.state[State.ACCELERATION_X] = ego[SPEED], ego[ACCEL]
        self.state[State.STEERING_ANGLE] = np.arctan(EGO_WHEEL_BASE_M * ego[CURVATURE])
        self.state[State.ANGULAR_VELOCITY] = ego[SPEED] * ego[CURVATURE]
        self._ahead: Float64[np.ndarray, "S 11"] = self.state[None]

    @property
    def pose(self) -> Float64[np.ndarray, "3"]:
        """Rear axle."""
        pose: Float64[np.ndarray, "3"] = self.state[POSE].copy()
        return pose

    @property
    def speed(self) -> float:
        """Along the car [m/s]."""
        return float(self.state[State.VELOCITY_X])

    @property
    def fleet_pose(self) -> Float64[np.ndarray, "4"]:
        """Pose with curvature, as the fleet has it."""
        return np.append(self.state[POSE], np.tan(self.state[State.STEERING_ANGLE]) / EGO_WHEEL_BASE_M)

    @property
    def box(self) -> Float64[np.ndarray, "5"]:
        """Centre, heading, length and width."""
        return box_at(self.pose)

    def follow(self, plan: Float64[np.ndarray, "P 3"]) -> None:
        """Take another plan, poses in the car's own frame now."""
        start = self.state.copy()
        start[POSE] = 0.0
        self._ahead = tracked_states(plan, start, self.pose)[1:]

    def move(self) -> None:
        """Take the next step of the plan; behind its end the car stands."""
        if not len(self._ahead):
            self.stop()
            return
        self.state, self._ahead = self._ahead[0].copy(), self._ahead[1:]

    def stop(self) -> None:
        """Stay in place, without any motion, until another plan comes: so ends running into something."""
        self.state[REST] = 0.0
        self._ahead = self._ahead[:0]

    @property
    def centre_acceleration(self) -> Float64[np.ndarray, "2"]:
        """Of the box's middle, in axes of the map [m/s²]."""
        state, arm = self.state, EGO_BODY.center_m
        rate, accel = state[State.ANGULAR_VELOCITY], state[State.ANGULAR_ACCELERATION]
        along = state[State.ACCELERATION_X] - rate**2 * arm
        aside = state[State.VELOCITY_X] * rate + accel * arm
        heading = state[State.HEADING]
        acceleration: Float64[np.ndarray, "2"] = along * unit(heading) + aside * left_normal(heading)
        return acceleration


def box_at(pose: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "5"]:
    """The ego's box with its rear axle at ``pose``."""
    center = pose[XY] + EGO_BODY.center_m * unit(pose[HEADING])
    return np.array([*center, pose[HEADING], EGO_BODY.length_m, EGO_BODY.width_m])
