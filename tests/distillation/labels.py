"""Made-up labels: possible sub-scores and the score that follows from them."""

from __future__ import annotations

import numpy as np
import torch

from navsim_agents.distillation import LabelStamp, Vocabulary
from navsim_agents.distillation.label_stamp import scenes_digest
from navsim_agents.scoring.aggregate import COLUMNS, weighted_score
from navsim_agents.scoring.config import METRICS

NUM_TRAJECTORIES = 13  # no multiple of 8
TOKENS = ("b2", "a1", "e5", "c3", "d4")


def vocabulary(size=NUM_TRAJECTORIES, seed=0):
    draw = np.random.default_rng(seed)
    return Vocabulary(torch.from_numpy(draw.normal(size=(size, 40, 3)).astype(np.float32)))


def columns(metric="epdms", size=NUM_TRAJECTORIES, seed=0, good=0.7):
    """Random columns [V]; ``good`` is how often a sub-score is 1."""
    draw = np.random.default_rng(seed)
    found = {}
    for name in COLUMNS[metric][:-1]:
        values = (0.0, 0.5, 1.0) if name in ("no_at_fault_collisions", "driving_direction_compliance") else (0.0, 1.0)
        found[name] = np.where(draw.random(size) < good, 1.0, draw.choice(values, size))
    found["ego_progress"] = draw.random(size) ** 0.2
    return with_score(found, metric)


def with_score(found, metric="epdms"):
    tensors = {name: torch.from_numpy(np.asarray(value, dtype=np.float64)) for name, value in found.items()}
    return {**found, COLUMNS[metric][-1]: weighted_score(tensors, METRICS[metric]).numpy()}


def stamp(tokens=TOKENS, **changes):
    values = {
        "devkit": "v2.2",
        "metric": "epdms",
        "backend": "batched",
        "dtype": "float64",
        "vocabulary_digest": vocabulary().digest,
        "num_trajectories": NUM_TRAJECTORIES,
        "interval_s": 0.5,
        "threshold": 0.95,
        "package_version": "0.0.1",
        "scenes_digest": scenes_digest(tokens),
        "num_scenes": len(tokens),
        "shard_size": 2,
    }
    return LabelStamp(**{**values, **changes})
