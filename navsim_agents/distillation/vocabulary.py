"""The trajectory vocabulary: V futures of 4 s at 0.1 s, in the ego frame at t0."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Union

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.common.conventions import NUM_POSES, NUM_STEPS, POSE_INTERVAL_S, STEP_S
from navsim_agents.common.files import whole_file
from navsim_agents.errors import LabelError
from navsim_agents.scoring.axes import State

TOLERANCE_S = 1e-6

PathLike = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Vocabulary:
    """Trajectories x, y, heading (m, m, rad; rear axle at t0, x ahead, y left), one pose every 0.1 s from 0.1 s on."""

    poses: Tensor  # float32 [V, 40, 3]

    def __post_init__(self) -> None:
        """Raises LabelError at a wrong shape, another type than float32, or a number that is not finite."""
        shape = tuple(self.poses.shape)
        if len(shape) != 3 or shape[1:] != (NUM_STEPS, 3) or not shape[0] or self.poses.dtype != torch.float32:
            raise LabelError(
                f"the vocabulary is {self.poses.dtype} of shape {shape}, but must be float32 of [V, {NUM_STEPS}, 3] "
                f"with V of 1 or more: x, y, heading every {STEP_S} s; make one with "
                "drive-jepa build-vocabulary"
            )
        bad = int((~torch.isfinite(self.poses)).flatten(1).any(1).sum())
        if bad:
            raise LabelError(f"{bad} trajectories of the vocabulary are not finite, but every pose must be; drop them")

    def __len__(self) -> int:
        return len(self.poses)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of the numbers as little-endian float32; names this vocabulary in label stores."""
        return hashlib.sha256(self.poses.cpu().contiguous().numpy().astype("<f4").tobytes()).hexdigest()

    def planned(self, num_poses: int = NUM_POSES, interval_s: float = POSE_INTERVAL_S) -> Float[Tensor, "V P 3"]:
        """The form that planners use: ``num_poses`` poses, the first one ``interval_s`` after t0.

        Raises:
            LabelError: the interval is not a multiple of 0.1 s, or the poses reach beyond 4 s.
        """
        stride = round(interval_s / STEP_S)
        if stride < 1 or abs(stride * STEP_S - interval_s) > TOLERANCE_S or not 0 < num_poses * stride <= NUM_STEPS:
            raise LabelError(
                f"num_poses={num_poses} and interval_s={interval_s} are asked of a vocabulary with {NUM_STEPS} poses "
                f"every {STEP_S} s; ask for a multiple of {STEP_S} s that ends within {NUM_STEPS * STEP_S:g} s"
            )
        return self.poses[:, stride - 1 : num_poses * stride : stride]


def load_vocabulary(path: PathLike) -> Vocabulary:
    """Read a .npy, ours or the public one.

    Raises:
        LabelError: the file is not a readable .npy, or its shape, type or numbers are not a vocabulary's.
    """
    try:
        poses = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise LabelError(
            f"{path} is not a readable .npy of numbers ({error}); build one with drive-jepa build-vocabulary"
        ) from error
    if not isinstance(poses, np.ndarray) or poses.dtype.kind != "f":
        found = getattr(poses, "dtype", type(poses).__name__)
        raise LabelError(f"{path} holds {found}, but a vocabulary is one array of float32; save it with numpy.save")
    return Vocabulary(torch.from_numpy(np.ascontiguousarray(poses)))


def save_vocabulary(vocabulary: Vocabulary, path: PathLike) -> None:
    """Write a .npy, whole or not at all."""
    with whole_file(Path(path)) as unfinished, unfinished.open("wb") as file:
        np.save(file, vocabulary.poses.cpu().numpy(), allow_pickle=False)


def resample(poses: npt.NDArray[np.floating], interval_s: float = POSE_INTERVAL_S) -> npt.NDArray[np.float64]:
    """Futures [N, P, 3], poses ``interval_s`` apart over 4 s, as [N, 40, 3] every 0.1 s.

    Linear in x, y and the unwrapped heading, with the pose of now (0, 0, 0) in front, as the devkit samples a model's
    plan (rule 1 of its scoring). Headings stay unwrapped, so that means over trajectories mean something.

    Raises:
        LabelError: the poses do not cover 4 s.
    """
    futures = np.asarray(poses, dtype=np.float64)
    horizon_s = NUM_STEPS * STEP_S
    if futures.ndim != 3 or futures.shape[2] != 3 or abs(futures.shape[1] * interval_s - horizon_s) > TOLERANCE_S:
        raise LabelError(
            f"futures have shape {futures.shape} with poses {interval_s} s apart, but must be [N, P, 3] over "
            f"{horizon_s:g} s; take {NUM_POSES} poses at {POSE_INTERVAL_S} s"
        )
    knots = np.concatenate((np.zeros_like(futures[:, :1]), futures), axis=1)  # [N, P + 1, 3]
    knots[..., State.HEADING] = np.unwrap(knots[..., State.HEADING], axis=1)
    place = np.arange(1, NUM_STEPS + 1) * (STEP_S / interval_s)
    before = np.minimum(np.floor(place + TOLERANCE_S).astype(int), futures.shape[1] - 1)
    share = (place - before)[:, None]
    return knots[:, before] * (1.0 - share) + knots[:, before + 1] * share
