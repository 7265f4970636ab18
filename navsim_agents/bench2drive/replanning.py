"""A planner over the ticks of a route: pictures of the last half seconds, plans kept and moved, momentum.

Momentum is NAVSIM's (:mod:`navsim_agents.drive_jepa.selection`): a proposal scores higher if it goes on as what was
chosen half a second before. Between two plans the last one is driven on: moved into the frame of now by the way that
speed and heading say, and cut by the time that has passed.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Optional

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float64

from navsim_agents.bench2drive.control import extended
from navsim_agents.bench2drive.inputs import NUM_PLAN_POSES, Bench2DriveInput, Bench2DrivePlanner
from navsim_agents.bench2drive.ticks import TICKS_PER_INTERVAL, TICKS_PER_S
from navsim_agents.common.conventions import POSE_INTERVAL_S
from navsim_agents.common.poses import HEADING, poses_to_global, poses_to_local
from navsim_agents.drive_jepa.proposal_config import MomentumConfig
from navsim_agents.drive_jepa.selection import Choice, Proposals, choose
from navsim_agents.errors import InputError
from navsim_agents.models.proposals import EGO_DIM, EGO_MOTION

Pictures = dict[str, npt.NDArray[np.uint8]]
Plan = Float64[np.ndarray, "T 3"]


class PictureMemory:
    """Pictures of the last ticks, by number of frame; frames are as far apart as plans may be."""

    def __init__(self, num_frames: int, frames_per_interval: int) -> None:
        """For clips of ``num_frames`` pictures, ``frames_per_interval`` frames (0.5 s) apart."""
        self._num, self._every = num_frames, frames_per_interval
        self._kept: OrderedDict[int, Pictures] = OrderedDict()

    def add(self, frame: int, pictures: Pictures) -> None:
        """Keep the pictures of a frame, and forget what no clip reaches any more."""
        self._kept[frame] = pictures
        while next(iter(self._kept)) < frame - (self._num - 1) * self._every:
            self._kept.popitem(last=False)

    def clip(self, frame: int) -> Pictures:
        """Camera → pictures [frames, H, W, 3], ``frame`` the last; the oldest one stands for those before the start."""
        oldest = next(iter(self._kept))
        wanted = [max(frame - back * self._every, oldest) for back in range(self._num - 1, -1, -1)]
        return {name: np.stack([self._kept[at][name] for at in wanted]) for name in self._kept[frame]}


class Replanner:
    """The plan of each tick."""

    def __init__(self, planner: Bench2DrivePlanner, momentum: Optional[MomentumConfig]) -> None:
        """With a planner that is ready; ``momentum`` None takes its plans as they are."""
        self._planner, self._momentum = planner, momentum
        self._choices: dict[int, Choice] = {}
        self._plan: Optional[Plan] = None
        self._pose, self._tick = np.zeros(3), 0

    def plan(self, seen: Bench2DriveInput, odometry: Float64[np.ndarray, "3"], tick: int) -> Plan:
        """A new plan in the ego frame of now.

        Args:
            seen: what the planner needs.
            odometry: pose of now in the frame that :meth:`kept` will be asked in.
            tick: number of this one.

        Raises:
            InputError: the planner's answer is no plan.
        """
        plan = self._planner.plan_input(seen) if self._momentum is None else self._chosen(seen, tick)
        if plan.shape != (NUM_PLAN_POSES, 3) or not np.isfinite(plan).all():
            raise InputError(
                f"the planner's plan has shape {list(plan.shape)} and must be {NUM_PLAN_POSES} finite poses, 0.5 s "
                "apart; mend the agent, or train it longer where it says NaN"
            )
        self._plan, self._pose, self._tick = np.asarray(plan, dtype=np.float64), odometry, tick
        return self._plan

    def _chosen(self, seen: Bench2DriveInput, tick: int) -> Plan:
        assert self._momentum is not None
        proposed = self._planner.propose_input(seen)
        ego = torch.zeros(EGO_DIM)
        ego[EGO_MOTION] = torch.tensor([seen.speed_mps, 0.0, *np.asarray(seen.acceleration, dtype=float)])
        poses = torch.from_numpy(extended(np.asarray(proposed.poses, dtype=np.float64)))
        scores = torch.from_numpy(np.asarray(proposed.scores, dtype=np.float64))
        before = tick - TICKS_PER_INTERVAL
        choice = choose(Proposals(poses, scores, ego), self._choices.get(before), self._momentum)
        self._choices = {then: kept for then, kept in self._choices.items() if then > before}
        self._choices[tick] = choice
        return choice.plan[:NUM_PLAN_POSES].numpy()

    def kept(self, odometry: Float64[np.ndarray, "3"], tick: int) -> Plan:
        """The last plan, driven on until ``tick``, in the ego frame of ``odometry``."""
        assert self._plan is not None
        return moved(self._plan, self._pose, odometry, (tick - self._tick) / TICKS_PER_S)


def moved(plan: Plan, then: Float64[np.ndarray, "3"], now: Float64[np.ndarray, "3"], age_s: float) -> Plan:
    """A plan of ``age_s`` ago at the times that one of now has, in the ego frame of now.

    Args:
        plan: poses 0.5 s apart in the ego frame of ``then``.
        then: pose of the car when it was planned.
        now: pose of the car in the same frame.
        age_s: time between the two, at most 0.5 s; beyond its end the plan goes on as it ended.
    """
    knots = np.concatenate((np.zeros((1, 3)), extended(plan)))
    knots[:, HEADING] = np.unwrap(knots[:, HEADING])
    at = np.arange(len(knots)) * POSE_INTERVAL_S
    wanted = age_s + POSE_INTERVAL_S * np.arange(1, len(plan) + 1)
    poses = np.stack([np.interp(wanted, at, column) for column in knots.T], axis=1)
    return poses_to_local(poses_to_global(poses, then), now)
