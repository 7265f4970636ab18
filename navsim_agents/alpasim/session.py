"""One session: all that its client has sent, and NAVSIM's agent input at any moment of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.alpasim.ego import EgoTrack
from navsim_agents.alpasim.fair_lock import FairLock
from navsim_agents.alpasim.faults import FAILED_PRECONDITION, INVALID_ARGUMENT, DriverFault
from navsim_agents.alpasim.pictures import DeclaredCamera, Picture, decode
from navsim_agents.alpasim.route import driving_command, one_hot
from navsim_agents.alpasim.timeline import Timeline
from navsim_agents.common.conventions import FRAME_INTERVAL_S, NUM_HISTORY_FRAMES
from navsim_agents.common.poses import points_to_global, points_to_local, poses_to_local
from navsim_agents.data.types import AgentInput, Cameras, EgoStatus

FRAME_US = round(FRAME_INTERVAL_S * 1e6)
NEAR_US = FRAME_US // 2
"""A picture this far from the moment that is asked for shows another moment of a log at 2 Hz."""
SAME_MOMENT_US = 1_000
"""AlpaSim's guide for NAVSIM: pictures whose stamps differ by no more belong together."""
MAX_PICTURES, MAX_ROUTES = 64, 64  # of a camera, of a session
NOW = NUM_HISTORY_FRAMES - 1

Sensors = Mapping[str, tuple[int, ...]]
"""Camera → indices of the history frames that an agent looks at."""
Route = Float64[np.ndarray, "points 2"]


@dataclass
class Session:
    """What is known of one rollout; guarded by ``lock``.

    Attributes:
        cameras: of those that the agent looks through, by NAVSIM's names.
        sensors: which pictures of them it wants.
        declared: what the client calls its cameras, all of them.
        theirs: what it calls those of ``cameras``.
    """

    uuid: str
    cameras: Mapping[str, DeclaredCamera]
    sensors: Sensors
    declared: set[str]
    theirs: Mapping[str, str]
    ego: EgoTrack = field(default_factory=EgoTrack)
    routes: Timeline[Route] = field(default_factory=lambda: Timeline(MAX_ROUTES))
    pictures: dict[str, Timeline[Picture]] = field(init=False)
    lock: FairLock = field(default_factory=FairLock)
    is_closed: bool = False

    def __post_init__(self) -> None:
        self.pictures = {name: Timeline(MAX_PICTURES) for name in self.sensors}

    def add_picture(self, theirs: str, stamp_us: int, data: bytes) -> None:
        """Decode a picture now, so that no drive waits for it; of cameras that nobody looks through none is.

        Raises:
            DriverFault: it is damaged or of another form, or the session has no camera that the client calls so.
        """
        if theirs not in self.declared:
            raise DriverFault(
                INVALID_ARGUMENT,
                f"camera {theirs!r} was not declared in start_session, which has {sorted(self.declared)}",
            )
        for name, shown in self.pictures.items():
            if self.theirs[name] == theirs and not shown.has(stamp_us):
                shown.add(stamp_us, decode(name, data))

    def add_route(self, stamp_us: int, points: Route) -> None:
        """Keep a route [m, rig frame of ``stamp_us``]; points may be NaN."""
        self.routes.add(stamp_us, points)

    def planning_time_us(self, now_us: int, max_age_us: int) -> int:
        """The moment that a plan asked for at ``now_us`` is made for: that of the newest pictures of all cameras.

        Raises:
            DriverFault: there is no pose by ``now_us``, not yet a picture of each camera, or nothing newer than
                ``max_age_us``.
        """
        age_us = self.ego.age_us(now_us)
        if age_us is None:
            raise DriverFault(FAILED_PRECONDITION, f"no pose by time_now_us={now_us}; send egomotion before each drive")
        _refuse_age("egomotion", age_us, now_us, max_age_us)
        watched = [name for name, frames in self.sensors.items() if NOW in frames]
        if not watched:
            return now_us
        shown_us = self._shown_together(watched, now_us)
        if shown_us is None:
            raise DriverFault(
                FAILED_PRECONDITION,
                f"no picture of every camera ({', '.join(watched)}) by time_now_us={now_us}, taken within "
                f"{SAME_MOMENT_US} us; send them before the first drive",
            )
        _refuse_age("pictures", now_us - shown_us, now_us, max_age_us)
        return shown_us

    def _shown_together(self, cameras: list[str], now_us: int) -> Optional[int]:
        first, *others = (self.pictures[name] for name in cameras)
        for stamp_us, _ in reversed(first.between(0, now_us)):
            if all(other.nearest(stamp_us, SAME_MOMENT_US + 1) for other in others):
                return stamp_us
        return None

    def agent_input(self, at_us: int) -> AgentInput:
        """Four frames at 2 Hz, the last of them at ``at_us``; poses in the rig frame of then."""
        times = [at_us - (NOW - frame) * FRAME_US for frame in range(NUM_HISTORY_FRAMES)]
        poses = np.stack([self.ego.pose(time_us).planar for time_us in times])
        local = poses_to_local(poses, poses[NOW])
        return AgentInput(
            ego_statuses=[self._status(time_us, pose) for time_us, pose in zip(times, local)],
            cameras=self._cameras(times),
        )

    def _status(self, at_us: int, pose: Float64[np.ndarray, "3"]) -> EgoStatus:
        motion = self.ego.motion(at_us)
        return EgoStatus(
            ego_pose=pose,
            ego_velocity=motion.velocity.astype(np.float32),
            ego_acceleration=motion.acceleration.astype(np.float32),
            driving_command=one_hot(self._command(at_us)),
        )

    def _command(self, at_us: int) -> int:
        """Of the newest route, seen from where the ego is at ``at_us``."""
        newest = self.routes.up_to(at_us)
        if newest is None:
            return driving_command(None)
        stamp_us, points = newest
        if stamp_us != at_us:
            points = points_to_global(points, self.ego.pose(stamp_us).planar)
            points = points_to_local(points, self.ego.pose(at_us).planar)
        return driving_command(points)

    def _cameras(self, times: list[int]) -> list[Cameras]:
        frames: list[Cameras] = []
        shown = {name: self._pictures(name, times) for name in self.sensors}
        for frame in range(NUM_HISTORY_FRAMES):
            wanted = [name for name, indices in self.sensors.items() if frame in indices]
            frames.append(Cameras(**{name: self.cameras[name].with_picture(shown[name][frame]) for name in wanted}))
        return frames

    def _pictures(self, name: str, times: list[int]) -> list[Picture]:
        """One a frame, oldest first; where there is none of a moment, the one of the frame after it again."""
        found: list[Picture] = []
        for time_us in reversed(times):
            nearest = self.pictures[name].nearest(time_us, NEAR_US)
            if nearest is None and not found:
                raise DriverFault(FAILED_PRECONDITION, f"no picture of {name} at {time_us}; send it before the drive")
            found.append(found[-1] if nearest is None else nearest[1])
        return found[::-1]

    def forget_before(self, planned_us: int) -> None:
        """Drop what no plan made for ``planned_us`` or a later moment can need."""
        for name, frames in self.sensors.items():
            self.pictures[name].forget_before(planned_us - (NOW - min(frames)) * FRAME_US - NEAR_US)
        kept_us = planned_us - NUM_HISTORY_FRAMES * FRAME_US
        self.ego.forget_before(kept_us)
        self.routes.forget_before(kept_us)


def _refuse_age(what: str, age_us: int, now_us: int, max_age_us: int) -> None:
    if age_us > max_age_us:
        raise DriverFault(
            FAILED_PRECONDITION,
            f"the newest {what} at time_now_us={now_us} is {age_us * 1e-6:g} s old, but a plan is made from what is at "
            f"most {max_age_us * 1e-6:g} s old; send newer, or serve with a larger max_age_s",
        )
