"""Pseudo-teachers of the scenes that the report shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from navsim_agents.distillation.label_store import LabelStore
from navsim_agents.distillation.vocabulary import load_vocabulary
from navsim_agents.poses import FloatArray


class SceneTeachers:
    """The vocabulary's trajectories that score well, scene by scene."""

    def __init__(self, labels: str, vocabulary: str) -> None:
        """Open labels and their vocabulary.

        Raises:
            LabelError: one of them is damaged, or they do not belong together.
        """
        known = load_vocabulary(Path(vocabulary))
        self._poses: FloatArray = known.planned().double().numpy()
        self._labels = LabelStore.open(Path(labels), vocabulary=known)

    def of(self, token: str) -> Float64[np.ndarray, "M T 3"]:
        """Poses of the scene's teachers; M = 0 where it has none or was not labelled."""
        if token not in self._labels:
            return np.zeros((0, *self._poses.shape[1:]))
        chosen: FloatArray = self._poses[self._labels.is_teacher(token)]
        return chosen
