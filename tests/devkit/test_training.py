"""Dataset caching and training by NAVSIM's own scripts."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import torch

from navsim_agents.data.logs import SceneLoader
from tests.devkit.scripts import AGENT, CPU_TRAINER, Devkit

MAX_FEATURE_BYTES = 800_000


def test_ray_caches_every_scene(devkit: Devkit, training_cache: Path) -> None:
    loader = SceneLoader(devkit.world, "trainval", log_names=devkit.train_logs + devkit.val_logs, frame_interval=1)
    cached = {path.parent.name for path in training_cache.glob("*/*/*.gz")}
    assert cached == set(loader.tokens)
    assert len({path.name for path in training_cache.glob("*/*/*.gz")}) == 3


def test_full_size_features_stay_under_the_limit(devkit: Devkit) -> None:
    """The default agent's 512x256, which the small one does not show."""
    path = devkit.experiments / "full_size_cache"
    devkit.run(
        "run_dataset_caching",
        *devkit.train_split,
        f"train_test_split.scene_filter.log_names=[{devkit.val_logs[0]}]",
        "agent=drive_jepa_perception_free",
        "agent.config.encoder.name=tiny",
        "experiment_name=full_size",
        f"cache_path={path}",
        "worker=sequential",
    )
    scenes = sorted(path.glob("*/*"))
    assert scenes
    for scene in scenes:
        tensors = [
            value for name in scene.glob("*.gz") for value in pickle.loads(gzip.decompress(name.read_bytes())).values()
        ]
        assert 0 < sum(value.nbytes for value in tensors) <= MAX_FEATURE_BYTES


def test_training_from_cache_writes_the_weights(checkpoint: Path) -> None:
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    assert all(name.startswith("agent.") for name in state)
    assert all(torch.isfinite(value).all() for value in state.values())


def test_training_without_cache(devkit: Devkit) -> None:
    out = devkit.run(
        "run_training",
        *devkit.train_split,
        AGENT,
        "experiment_name=no_cache",
        "cache_path=null",
        *CPU_TRAINER,
        "trainer.params.strategy=auto",
        "trainer.params.limit_train_batches=2",
        "trainer.params.limit_val_batches=1",
    )
    assert devkit.outputs("no_cache", "best*.ckpt"), out[-2000:]


def test_two_processes_train_together(devkit: Devkit, training_cache: Path) -> None:
    """DDP without ``find_unused_parameters``: every trainable parameter must have a gradient."""
    out = devkit.run(
        "run_training",
        *devkit.train_split,
        AGENT,
        "experiment_name=two_processes",
        f"cache_path={training_cache}",
        "use_cache_without_dataset=true",
        "force_cache_computation=false",
        *CPU_TRAINER,
        "trainer.params.strategy=ddp",
        "+trainer.params.devices=2",
    )
    assert "All distributed processes registered. Starting with 2 processes" in out
    assert devkit.outputs("two_processes", "last*.ckpt")
