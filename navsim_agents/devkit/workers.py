"""The devkit's own worker pools."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf


def build_devkit_worker(worker: Any, output_dir: str) -> Any:
    """The devkit's ``WorkerPool`` of a config of its group ``worker``, built by the devkit's builder.

    Args:
        output_dir: where Ray's workers write their logs.
    """
    from navsim.planning.script.builders.worker_pool_builder import build_worker

    config = OmegaConf.create({"worker": worker, "output_dir": output_dir})
    assert isinstance(config, DictConfig)
    return build_worker(config)
