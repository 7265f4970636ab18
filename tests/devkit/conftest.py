"""A small world, and the devkit that is on the path."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from navsim_agents.devkit.variant import Host, Variant, detect_host
from tests.devkit.scripts import AGENT, CPU_TRAINER, RAY, SEQUENTIAL, TEST_SPLIT, Devkit


@pytest.fixture(scope="session")
def host(request: pytest.FixtureRequest) -> Host:
    found = detect_host()
    if found.variant is Variant.NONE:
        reason = "no NAVSIM devkit on the path; see `make test-devkit` in the README"
        if request.config.getoption("--require-devkit"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
def world(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four logs of 10 s: 2 to train, 1 to validate, 1 to test."""
    output = tmp_path_factory.mktemp("world")
    command = [sys.executable, "-m", "navsim_agents.world", f"output={output}", "logs=4", "seed=7", "duration_s=10"]
    splits = ["splits.train=2", "splits.val=1", "splits.test=1", "cameras=[cam_f0]"]
    subprocess.run([*command, *splits], check=True, cwd=output)
    return output


@pytest.fixture(scope="session")
def devkit(host: Host, world: Path, tmp_path_factory: pytest.TempPathFactory) -> Devkit:
    logs = json.loads((world / "world.json").read_text(encoding="utf-8"))["logs"]
    train, val = (tuple(log["name"] for log in logs if log["split"] == split) for split in ("train", "val"))
    assert host.location is not None
    return Devkit(host.variant, host.location, world, tmp_path_factory.mktemp("exp"), train, val)


@pytest.fixture(scope="session")
def training_cache(devkit: Devkit) -> Path:
    """Features and targets of the training scenes, cached by Ray's workers."""
    path = devkit.experiments / "training_cache"
    devkit.run("run_dataset_caching", *devkit.train_split, AGENT, "experiment_name=caching", f"cache_path={path}", RAY)
    return path


@pytest.fixture(scope="session")
def checkpoint(devkit: Devkit, training_cache: Path) -> Path:
    """The last weights of one epoch from the cache."""
    devkit.run(
        "run_training",
        *devkit.train_split,
        AGENT,
        "experiment_name=from_cache",
        f"cache_path={training_cache}",
        "use_cache_without_dataset=true",
        "force_cache_computation=false",
        *CPU_TRAINER,
        "trainer.params.strategy=auto",
    )
    return devkit.outputs("from_cache", "last*.ckpt")[-1]


@pytest.fixture(scope="session")
def metric_cache(devkit: Devkit) -> Path:
    """Metric caches of the test scenes, at the place where both devkits look by default."""
    devkit.run("run_metric_caching", *TEST_SPLIT, SEQUENTIAL)
    return devkit.experiments / "metric_cache"
