"""A tiny store of scenes and a tiny vocabulary, on disk."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from cache_tools.score_vocabulary import ScoreVocabularyConfig, plan_run
from navsim_agents.distillation import Vocabulary, labelling, resample, save_vocabulary
from navsim_agents.scoring import SceneStoreWriter
from tests.scenes.metric_caches import write_metric_cache
from tests.scoring.tiny import plan, scene, track
from tests.scoring.traffic.roads import scene_of, vehicle, way

NUM_SCENES = 7
SPEEDS = (0.0, 2.0, 4.0, 7.0, 10.0)
OFFSETS = (0.0, 1.5)


def tokens(count=NUM_SCENES):
    return [f"{number:016x}" for number in range(count)]


def make_vocabulary():
    """Ten straight trajectories: five speeds, with and without a drift to the left."""
    plans = np.stack([plan(speed, offset) for speed in SPEEDS for offset in OFFSETS])
    return Vocabulary(torch.from_numpy(resample(plans).astype(np.float32)))


def make_scenes(folder, count=NUM_SCENES, **changes):
    """A car stands ahead, in each scene farther away."""
    with SceneStoreWriter(folder) as writer:
        for number, token in reversed(list(enumerate(tokens(count)))):
            made = scene(tracks=[track(12.0 + 5.0 * number, 0.0)], speed=5.0)
            writer.add(dataclasses.replace(made, token=token, **changes))


def make_reacting_scenes(folder, count=NUM_SCENES):
    """A car ahead stands in the log, in each scene farther away; in traffic it starts to drive."""
    road = way(0.0, 0.0, 200.0, 0.0, points=201)
    with SceneStoreWriter(folder) as writer:
        for number, token in enumerate(tokens(count)):
            place = 12.0 + 5.0 * number
            made = scene_of(vehicle(road, progress=place, speed=4.0), tracks=[track(place, 0.0)], speed=5.0)
            writer.add(dataclasses.replace(made, token=token))


def make_inputs(folder, count=NUM_SCENES):
    make_scenes(folder / "scenes", count)
    save_vocabulary(make_vocabulary(), folder / "v.npy")


def options(folder, **changes):
    values = {
        "scenes": str(folder / "scenes"),
        "vocabulary": str(folder / "v.npy"),
        "output": str(folder / "labels"),
        "shard_size": 2,
        "workers": 0,
    }
    return ScoreVocabularyConfig(**{**values, **changes})


def bytes_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def devkit_scorer(folder):
    """The devkit's scorer, without a devkit, of one scene's metric cache."""
    write_metric_cache(folder / "cache", {"t": b"x"})
    job = plan_run(options(folder))[1][0]
    settings = dataclasses.replace(job.settings, devkit_scenes=str(folder / "cache"))
    return labelling.DevkitScorer(dataclasses.replace(job, settings=settings))
