"""A linear fit of the plan on what a frozen encoder tells: in closed form, so without a seed or a budget of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float64
from torch.utils.data import DataLoader, Subset

from navsim_agents.drive_jepa.agent import resolve_device
from navsim_agents.drive_jepa.targets import TRAJECTORY
from navsim_agents.errors import InputError
from navsim_agents.evaluation.metrics import average_displacement, final_displacement, heading_error
from navsim_agents.evaluation.table import COUNTS
from navsim_agents.models.perception_free import COMMAND_DIM
from training.dataset import CachedScenes, collate

STRENGTHS = tuple(10.0 ** (exponent / 2) for exponent in range(-8, 9))
"""Of the penalty, a scene, on weights of inputs with standard deviation 1."""
FOLDS = 5
BATCH = 64
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Encoded:
    """Scenes as a linear fit sees them."""

    features: Float64[np.ndarray, "B features"]
    poses: Float64[np.ndarray, "B T 3"]  # driven: m, m, rad in the ego frame
    drives: Sequence[str]  # of every scene
    num_free: int = 0  # of the features, from the first one on: their weights are not penalised

    def free_alone(self) -> Encoded:
        """The same without the features that are penalised."""
        return replace(self, features=self.features[:, : self.num_free])

    def where(self, is_taken: Bool[np.ndarray, " B"]) -> Encoded:
        """Some of the scenes."""
        drives = np.asarray(self.drives)[is_taken].tolist()
        return replace(self, features=self.features[is_taken], poses=self.poses[is_taken], drives=drives)


def encode(agent: Any, scenes: CachedScenes, tokens: Sequence[str]) -> Encoded:
    """``agent.frozen_features`` of those of ``scenes`` that are among ``tokens``; the command is free."""
    wanted = set(tokens)
    rows = [row for row, token in enumerate(scenes.tokens) if token in wanted]
    device = resolve_device("auto")
    agent.to(device).eval()
    features, poses = [], []
    with torch.inference_mode():
        for given, targets in DataLoader(Subset(scenes, rows), batch_size=BATCH, collate_fn=collate):
            found = agent.frozen_features({name: value.to(device) for name, value in given.items()})
            features.append(found.double().cpu().numpy())
            poses.append(targets[TRAJECTORY].double().numpy())
    names = scenes.log_names
    return Encoded(np.concatenate(features), np.concatenate(poses), [names[row] for row in rows], COMMAND_DIM)


def fit_and_test(train: Encoded, test: Encoded) -> tuple[dict[str, float], float]:
    """Mean errors on ``test`` of a fit to ``train``, named as the evaluation names them, and the penalty's strength."""
    strength = choose_strength(train)
    (planned,) = predictions(train, test.features, [strength])
    metrics = {
        "ade_m": float(average_displacement(planned, test.poses).mean()),
        "fde_m": float(final_displacement(planned, test.poses).mean()),
        "heading_error_rad": float(heading_error(planned, test.poses).mean()),
    }
    return {**metrics, **dict(zip(COUNTS, (len(test.poses), 0)))}, strength


def choose_strength(scenes: Encoded) -> float:
    """The one of STRENGTHS with the least average displacement on drives that were left out, in FOLDS turns.

    Raises:
        InputError: all scenes are of one drive.
    """
    drives = np.unique(np.asarray(scenes.drives), return_inverse=True)[1]
    if drives.max() == 0:
        raise InputError(
            f"all {len(drives)} scenes are of the drive {scenes.drives[0]}, but a linear fit chooses its penalty on "
            "drives that it leaves out; give two or more, or take measures=[planner]"
        )
    folds = drives % min(FOLDS, int(drives.max()) + 1)
    errors = np.zeros(len(STRENGTHS))
    for fold in np.unique(folds):
        is_out = folds == fold
        kept, out = scenes.where(~is_out), scenes.where(is_out)
        for index, planned in enumerate(predictions(kept, out.features, STRENGTHS)):
            errors[index] += average_displacement(planned, out.poses).sum()
    return STRENGTHS[int(np.argmin(errors))]


def predictions(
    train: Encoded, features: Float64[np.ndarray, "C features"], strengths: Sequence[float]
) -> Float64[np.ndarray, "S C T 3"]:
    """Poses of other scenes by ridge regression on ``train``, for each of S ``strengths`` of the penalty.

    What the free features explain is taken out of poses and penalised features first. One singular value
    decomposition serves all strengths; its time grows with the scenes' number times the features' times the smaller.
    """
    count, *shape = train.poses.shape
    targets = train.poses.reshape(count, -1)
    (free, inputs), (others_free, others) = (_parts(its, train.num_free) for its in (train.features, features))
    scale = inputs.std(0)
    scale = np.where(scale > 1e-9, scale, 1.0)  # a feature that never changes says nothing
    of_inputs, of_targets = (np.linalg.lstsq(free, its, rcond=None)[0] for its in (inputs, targets))
    left, values, right = np.linalg.svd((inputs - free @ of_inputs) / scale, full_matrices=False)
    along = left.T @ (targets - free @ of_targets)
    turned, known = ((others - others_free @ of_inputs) / scale) @ right.T, others_free @ of_targets
    planned = [turned @ (along * (values / (values**2 + strength * count))[:, None]) + known for strength in strengths]
    return np.stack(planned).reshape(len(strengths), len(features), *shape)


def _parts(features: Float64[np.ndarray, "B features"], num_free: int) -> tuple[FloatArray, FloatArray]:
    """A column of ones and the free features; the others."""
    return np.column_stack((np.ones(len(features)), features[:, :num_free])), features[:, num_free:]
