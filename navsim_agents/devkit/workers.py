"""The devkit's own worker pools: Ray on one machine or many, threads, sequential."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, TypeVar

from omegaconf import DictConfig, OmegaConf

from navsim_agents.devkit.variant import INSTALLATION_PAGE, detect_host
from navsim_agents.errors import DevkitError

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

CONFIG_FOLDER = Path("planning", "script", "config", "common", "worker")


def build_devkit_worker(worker: Any, output_dir: str) -> Any:
    """The devkit's ``WorkerPool`` of a config of its group ``worker``, built by the devkit's builder.

    Args:
        output_dir: where Ray's workers write their logs.
    """
    from navsim.planning.script.builders.worker_pool_builder import build_worker

    config = OmegaConf.create({"worker": worker, "output_dir": output_dir})
    assert isinstance(config, DictConfig)
    return build_worker(config)


def map_with_worker(
    name: str,
    options: Mapping[str, Any],
    output_dir: str,
    work: Callable[[list[JobT]], list[ResultT]],
    jobs: list[JobT],
) -> list[ResultT]:
    """Map ``jobs`` through a worker of the devkit, for commands that must also start where there is no devkit.

    Args:
        name: of the devkit's config group ``worker``, such as ``ray_distributed``.
        options: what that config says otherwise, such as ``master_node_ip`` or ``threads_per_node``.
        output_dir: where Ray's workers write their logs.
        work: takes some of the jobs and gives one result each; importable by name, for other machines.
        jobs: anything that pickle can send.

    Raises:
        DevkitError: there is no devkit, no such worker, or the worker has no such option.
    """
    config = read_worker_config(name, options)
    from nuplan.planning.utils.multithreading.worker_utils import worker_map

    return list(worker_map(build_devkit_worker(config, output_dir), work, jobs))


def read_worker_config(name: str, options: Mapping[str, Any]) -> Any:
    """The devkit's config of a worker with ``options`` in it; raises DevkitError as :func:`map_with_worker` does."""
    location = detect_host().location
    if location is None:
        raise DevkitError(
            f"worker={name} is one of NAVSIM's, but no devkit is on the path; install it ({INSTALLATION_PAGE}), "
            "or leave worker out and use workers=<processes>"
        )
    files = {path.stem: path for path in sorted((location / CONFIG_FOLDER).glob("*.yaml"))}
    if name not in files:
        raise DevkitError(
            f"worker is {name!r}, but the devkit at {location} has {', '.join(files)}; choose one of them"
        )
    config = OmegaConf.load(files[name])
    unknown = sorted(set(options) - set(config))
    if unknown:
        known = ", ".join(str(key) for key in config if not str(key).startswith("_"))
        raise DevkitError(f"worker_options has {unknown}, but {name} has {known}; correct or leave them out")
    return OmegaConf.merge(config, dict(options))
