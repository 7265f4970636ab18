"""Human futures through the devkit's own ``SceneLoader`` and scene filters."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from navsim_agents.devkit.splits import find_split
from navsim_agents.devkit.variant import INSTALLATION_PAGE, detect_host
from navsim_agents.errors import DevkitError

DATA_ROOT = "OPENSCENE_DATA_ROOT"


def iterate_futures(
    train_test_split: str, log_names: Optional[list[str]], num_poses: int
) -> Iterator[tuple[str, npt.NDArray[np.floating]]]:
    """Name of the log and future poses [num_poses, 3] (ego frame at t0; m, rad; 0.5 s apart) of each scene.

    Args:
        train_test_split: file of the devkit's config group of that name, such as ``navtrain``.
        log_names: only these logs; None takes those of the split's filter.
        num_poses: future frames.

    Raises:
        DevkitError: there is no devkit, no such split, or OPENSCENE_DATA_ROOT is not set.
    """
    data_split, scene_filter = read_split(train_test_split)
    root = os.environ.get(DATA_ROOT)
    if root is None:
        raise DevkitError(f"{DATA_ROOT} is not set, but the devkit finds its data by it; export it first")
    chosen = {} if log_names is None else {"log_names": log_names}
    loader = _scene_loader(Path(root), data_split, instantiate(OmegaConf.merge(scene_filter, chosen)))
    for token in loader.tokens:
        scene = loader.get_scene_from_token(token)
        yield scene.scene_metadata.log_name, scene.get_future_trajectory(num_poses).poses


def read_split(name: str) -> tuple[str, DictConfig]:
    """Folder of the data and config of the scene filter that the devkit's split ``name`` has."""
    location = detect_host().location
    if location is None:
        raise DevkitError(
            f"source=devkit reads the split {name} through NAVSIM, but no devkit is on the path; install it "
            f"({INSTALLATION_PAGE}), or take source=logs, which needs none"
        )
    split = find_split(location, name)
    return split.data_split, split.scene_filter()


def _scene_loader(root: Path, data_split: str, scene_filter: Any) -> Any:
    """The loader of either version, without sensors; v2.2 renamed an argument."""
    from navsim.common.dataclasses import SensorConfig
    from navsim.common.dataloader import SceneLoader

    names = inspect.signature(SceneLoader.__init__).parameters
    blobs = "original_sensor_path" if "original_sensor_path" in names else "sensor_blobs_path"
    return SceneLoader(
        data_path=root / "navsim_logs" / data_split,
        scene_filter=scene_filter,
        sensor_config=SensorConfig.build_no_sensors(),
        **{blobs: root / "sensor_blobs" / data_split},
    )
