"""NAVSIM's worker pools (Ray on one machine or many, threads, sequential) for our own commands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, TypeVar

from omegaconf import OmegaConf

from navsim_agents.devkit.variant import INSTALLATION_PAGE, detect_host
from navsim_agents.errors import DevkitError

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

CONFIG_FOLDER = Path("planning", "script", "config", "common", "worker")


def map_with_worker(
    name: str,
    options: Mapping[str, Any],
    output: Path,
    work: Callable[[list[JobT]], list[ResultT]],
    jobs: list[JobT],
) -> list[ResultT]:
    """Map ``jobs`` through the worker ``name`` (``ray_distributed``, ``sequential``, …) of the devkit's config group.

    Args:
        name: file of the group ``worker``.
        options: what the file says otherwise, such as ``master_node_ip`` or ``threads_per_node``.
        output: where the worker keeps its logs.
        work: takes some of the jobs and gives one result each; importable by name, for other machines.
        jobs: anything that pickle can send.

    Raises:
        DevkitError: there is no devkit, no such worker, or the worker has no such option.
    """
    config = read_worker_config(name, options)
    from navsim.planning.script.builders.worker_pool_builder import build_worker
    from nuplan.planning.utils.multithreading.worker_utils import worker_map

    worker = build_worker(OmegaConf.create({"worker": config, "output_dir": str(output)}))
    return list(worker_map(worker, work, jobs))


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
