"""The agent without CARLA: from a tick's sensor data to the controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.bench2drive.control import PID, Control, Controller, LqrController, PidController
from navsim_agents.bench2drive.frames import FRONT
from navsim_agents.bench2drive.inputs import COMMANDS, Bench2DriveInput, Bench2DrivePlanner
from navsim_agents.bench2drive.journal import Journal
from navsim_agents.bench2drive.localisation import EgoState, GeoOrigin, Localiser
from navsim_agents.bench2drive.replanning import PictureMemory, Replanner
from navsim_agents.bench2drive.route_following import Aim, RouteFollower
from navsim_agents.bench2drive.sensors import picture_of, reading_of, sensor_list
from navsim_agents.bench2drive.team_config import TeamConfig
from navsim_agents.bench2drive.ticks import TICKS_PER_INTERVAL, TICKS_PER_S
from navsim_agents.common.poses import points_to_local

LONGEST_TICK_S = 0.5
"""Of a clock that says more, or less than nothing, one tick is believed."""


@dataclass(frozen=True)
class RoutePlan:
    """What the leaderboard says of a route."""

    places: Float64[np.ndarray, "N 2"]  # m, CARLA's world (left-handed)
    options: Sequence[int]  # the leaderboard's number of the command at each
    latitude_deg: float  # of the first
    longitude_deg: float


class Driver:
    """Drives one route."""

    def __init__(
        self, config: TeamConfig, planner: Bench2DrivePlanner, route: RoutePlan, journal: Optional[Journal] = None
    ) -> None:
        """At its start; raises InputError on a route that cannot be followed."""
        self._config, self._planner, self._journal = config, planner, journal
        self._follower = RouteFollower(route.places, route.options, config.near_m, config.far_m)
        origin = GeoOrigin.of_point(route.places[0], route.latitude_deg, route.longitude_deg)
        self._localiser = Localiser(origin, self._follower.first_heading, config.gnss_weight)
        self._controller: Controller = (
            PidController(config.pid) if config.controller == PID else LqrController(config.lqr)
        )
        self._pictures = PictureMemory(planner.num_input_frames, TICKS_PER_INTERVAL // config.plan_every)
        self._replanner = Replanner(planner, config.momentum_config)
        self._tick, self._time_s = -1, 0.0

    @property
    def tick(self) -> int:
        """Number of the last step, from 0 on."""
        return self._tick

    def step(self, input_data: Mapping[str, Any], timestamp_s: float) -> Control:
        """Controls of one tick.

        Args:
            input_data: sensor → (frame, data), as the leaderboard hands it over.
            timestamp_s: of the game.

        Raises:
            InputError: a sensor is missing, or the planner's answer is no plan.
        """
        elapsed = timestamp_s - self._time_s
        if self._tick < 0 or not 0.0 < elapsed <= LONGEST_TICK_S:
            elapsed = 1.0 / TICKS_PER_S
        self._tick, self._time_s = self._tick + 1, timestamp_s
        state = self._localiser.update(reading_of(input_data), elapsed)
        aim = self._follower.step(state.pose[:2])
        target = points_to_local(aim.place, state.pose)
        plan = self._plan(input_data, state, aim, target)
        control = self._controller.step(plan, state.speed_mps, state.yaw_rate, target)
        if self._journal is not None and self._journal.wants_picture(self._tick):
            self._note(self._journal, input_data, state, aim, target, plan, control)
        return control

    def _plan(
        self, input_data: Mapping[str, Any], state: EgoState, aim: Aim, target: Float64[np.ndarray, "2"]
    ) -> Float64[np.ndarray, "T 3"]:
        # Plans count time in ticks: the game's clock is a float32 that does not add up.
        frame, is_between = divmod(self._tick, self._config.plan_every)
        if is_between:
            return self._replanner.kept(state.odometry, self._tick)
        pictures = {name: picture_of(input_data, name, self._config) for name in self._planner.input_cameras}
        self._pictures.add(frame, pictures)
        clip = self._pictures.clip(frame)
        seen = Bench2DriveInput(clip, state.speed_mps, state.acceleration, target, aim.command)
        return self._replanner.plan(seen, state.odometry, self._tick)

    def _note(
        self,
        journal: Journal,
        input_data: Mapping[str, Any],
        state: EgoState,
        aim: Aim,
        target: Float64[np.ndarray, "2"],
        plan: Float64[np.ndarray, "T 3"],
        control: Control,
    ) -> None:
        meta = {
            **{"speed": state.speed_mps, "command": COMMANDS[aim.command], "target_point": target.tolist()},
            **{"steer": control.steer, "throttle": control.throttle, "brake": control.brake},
            "pose": state.pose.tolist(),
        }
        journal.note_picture(self._tick, picture_of(input_data, FRONT, self._config), plan, target, meta)

    def sensors(self) -> list[dict[str, Any]]:
        """The sensors that :meth:`step` reads."""
        return sensors_of(self._config, self._planner)


def sensors_of(config: TeamConfig, planner: Bench2DrivePlanner) -> list[dict[str, Any]]:
    """The planner's cameras, the front one for the journal's pictures, and what the motion is read from."""
    cameras = dict.fromkeys([*planner.input_cameras, *([FRONT] if config.pictures_every else [])])
    return sensor_list(cameras, config.camera_width, config.camera_height)
