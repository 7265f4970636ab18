"""What a Bench2Drive planner sees, whoever shows it: clips in training, the leaderboard's sensors, our own world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from navsim_agents.bench2drive.frames import MOUNTS
from navsim_agents.errors import InputError
from navsim_agents.models.config import BENCH2DRIVE_SAMPLING

NUM_PLAN_POSES = BENCH2DRIVE_SAMPLING.num_poses
"""Of a plan, ``POSE_INTERVAL_S`` apart: 6 over 3 s (Drive-JEPA, Bench2Drive's variant)."""
COMMANDS = ("left", "right", "straight", "follow", "change_left", "change_right")
"""By :attr:`Bench2DriveInput.command`; the benchmark's own numbers begin with 1."""
FOLLOW = COMMANDS.index("follow")


@dataclass(frozen=True)
class Bench2DriveInput:
    """One moment. ``ego`` frame: rear axle (where the benchmark's GNSS sits), x ahead, y left."""

    pictures: Mapping[str, npt.NDArray[np.uint8]]  # camera -> [frames, H, W, 3] RGB, 0.5 s apart, now the last
    speed_mps: float
    acceleration: npt.NDArray[np.floating]  # [2] m/s^2, ego frame
    target_point: npt.NDArray[np.floating]  # [2] m, ego frame
    command: int  # index into COMMANDS

    def __post_init__(self) -> None:
        """Refuse what no planner can use.

        Raises:
            InputError: a camera is unknown, a picture or a number has another form.
        """
        for name, frames in self.pictures.items():
            if name not in MOUNTS:
                raise InputError(f"camera {name!r} is none of Bench2Drive's; they are {', '.join(MOUNTS)}")
            if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
                raise InputError(
                    f"pictures of {name} are {frames.dtype} {list(frames.shape)}, but must be uint8 "
                    "[frames, height, width, 3], RGB; CARLA's own are BGRA"
                )
        for field, length in (("acceleration", 2), ("target_point", 2)):
            values = np.asarray(getattr(self, field), dtype=np.float64)
            if values.shape != (length,) or not np.isfinite(values).all():
                raise InputError(f"{field} is {values.tolist()}, but must be {length} finite numbers of the ego frame")
        if not np.isfinite(self.speed_mps):
            raise InputError(f"speed_mps is {self.speed_mps}, but must be finite; take it from positions")
        if not 0 <= self.command < len(COMMANDS):
            raise InputError(f"command is {self.command}, but must be 0 to 5: {', '.join(COMMANDS)}; use command_index")


def command_index(command: Any) -> int:
    """Index into :data:`COMMANDS` of the benchmark's number: 1 to 6, and -1 or nothing means to follow the lane.

    Raises:
        InputError: it is another number.
    """
    if command is None or command == -1:
        return FOLLOW
    if command not in range(1, len(COMMANDS) + 1):
        raise InputError(f"command is {command!r}, but Bench2Drive's are 1 to {len(COMMANDS)}, or -1")
    return int(command) - 1


@dataclass(frozen=True)
class InputProposals:
    """What a planner proposes at one moment; see :class:`Bench2DriveInput` for the frame."""

    poses: Float64[np.ndarray, "N T 3"]  # x, y, heading [m, m, rad], 0.5 s apart, the first one 0.5 s from now
    scores: Float64[np.ndarray, " N"]  # foreseen, 0 to 1


@runtime_checkable
class Bench2DrivePlanner(Protocol):
    """Plans from :class:`Bench2DriveInput`; the agent ``drive_jepa_bench2drive`` is one."""

    @property
    def input_cameras(self) -> tuple[str, ...]:
        """The cameras that it needs."""

    @property
    def num_input_frames(self) -> int:
        """Pictures of each, 0.5 s apart."""

    def plan_input(self, seen: Bench2DriveInput, /) -> Float64[np.ndarray, "T 3"]:
        """The plan: poses (x, y, heading) [m, m, rad] of the rear axle, 0.5 s apart, the first one 0.5 s from now."""

    def propose_input(self, seen: Bench2DriveInput, /) -> InputProposals:
        """All proposals with their scores, for whoever chooses otherwise (momentum over time)."""
