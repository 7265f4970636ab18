"""Pseudo-teachers: vocabulary trajectories of a scene that the simulator scores at least ``threshold``.

Paper section 3 (multimodal trajectory distillation). The released code keeps at most 256 of them at random per scene
and draws N_pseudo without replacement, again for every refinement stage; scenes with fewer give all of theirs, and
scenes without any contribute nothing.
"""

from __future__ import annotations

import hashlib
from typing import Union

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.common.conventions import TEACHER_CAP, TEACHER_THRESHOLD
from navsim_agents.errors import LabelError

NO_TEACHER = -1


def scene_generator(token: str, seed: int = 0) -> torch.Generator:
    """A generator of the scene's own, so that what is drawn for it depends on no order of scenes or workers."""
    state = int.from_bytes(hashlib.sha256(f"{seed}:{token}".encode()).digest()[:8], "little")
    return torch.Generator().manual_seed(state >> 1)


def teacher_rows(
    scores: Union[Float[Tensor, " V"], npt.NDArray[np.floating]],
    threshold: float = TEACHER_THRESHOLD,
    cap: int = TEACHER_CAP,
    *,
    generator: torch.Generator,
) -> Int[Tensor, " M"]:
    """Rows of the vocabulary, ascending, whose score reaches ``threshold``; ``cap`` of them at random where more do.

    Args:
        scores: [V] of one scene, on the CPU.
        threshold: compared in the scores' own type.
        cap: most teachers of a scene.
        generator: on the CPU; used only where more than ``cap`` qualify.

    Raises:
        LabelError: ``cap`` is not positive, or the scores are not [V].
    """
    values = torch.as_tensor(scores)
    if cap < 1 or values.ndim != 1:
        raise LabelError(
            f"cap={cap} and scores of shape {tuple(values.shape)} are given, but cap must be 1 or more and scores [V]; "
            "give one scene's scores"
        )
    rows = torch.nonzero(values >= torch.tensor(threshold, dtype=values.dtype)).flatten()
    if len(rows) > cap:
        rows = rows[torch.randperm(len(rows), generator=generator)[:cap]].sort().values
    return rows


def pad_rows(rows: Int[Tensor, " M"], cap: int = TEACHER_CAP) -> Int[Tensor, " cap"]:
    """The rows with -1 behind them, so that scenes stack; raises LabelError where there are more than ``cap``."""
    if len(rows) > cap:
        raise LabelError(f"{len(rows)} teachers are given, but cap={cap}; draw them with teacher_rows(cap={cap})")
    return torch.nn.functional.pad(rows, (0, cap - len(rows)), value=NO_TEACHER)


def sample_teachers(rows: Int[Tensor, "B cap"], count: int, generator: torch.Generator) -> Int[Tensor, "B count"]:
    """Draw ``count`` different teachers of each scene, uniformly; -1 where a scene has fewer.

    Args:
        rows: padded with -1, on the generator's device.
        count: N_pseudo of the paper; 0 draws none.
        generator: advanced by the same amount whatever the scenes hold.

    Raises:
        LabelError: ``count`` is negative.
    """
    if count < 0:
        raise LabelError(f"N_pseudo is {count}, but must be 0 or more; 0 switches distillation off")
    lots = torch.rand(rows.shape, generator=generator, device=rows.device)
    lots = lots.masked_fill(rows == NO_TEACHER, 2.0)  # behind every teacher
    order = lots.argsort(dim=1)[:, :count]
    drawn = rows.gather(1, order)  # [B, min(count, cap)]
    return torch.nn.functional.pad(drawn, (0, count - drawn.shape[1]), value=NO_TEACHER)


def sample_teachers_per_stage(
    rows: Int[Tensor, "B cap"], count: int, num_stages: int, generator: torch.Generator
) -> Int[Tensor, "L B count"]:
    """A draw of its own for each refinement stage, as in the released code; :func:`sample_teachers` is one a step."""
    return torch.stack([sample_teachers(rows, count, generator) for _ in range(num_stages)])


def teacher_poses(
    planned: Float[Tensor, "V T 3"], drawn: Int[Tensor, "*batch count"]
) -> tuple[Float[Tensor, "*batch count T 3"], Bool[Tensor, "*batch count"]]:
    """Poses of the drawn teachers (ego frame at t0; m, rad), and which of them are real; the others are zeros."""
    is_real = drawn != NO_TEACHER
    poses = planned[drawn.clamp(min=0)]
    return poses * is_real[..., None, None], is_real


def scenes_without_teachers(rows: Int[Tensor, "B cap"]) -> int:
    """How many scenes have no teacher at all."""
    return int((rows == NO_TEACHER).all(dim=1).sum())
