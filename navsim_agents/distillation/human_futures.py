"""Where a vocabulary's training trajectories come from: logs on disk, or the devkit's own loader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64
from tqdm import tqdm

from navsim_agents.common.conventions import NUM_POSES
from navsim_agents.data.logs import SceneLoader, find_logs
from navsim_agents.errors import LabelError, WorldDataError


@dataclass(frozen=True)
class Futures:
    """Human futures of a split's scenes."""

    poses: Float64[np.ndarray, "N 8 3"]  # ego frame at t0; m, m, rad; 0.5 s apart
    num_logs: int
    skipped: Mapping[str, str] = field(default_factory=dict)  # log, or token of one scene -> reason


def futures_of_logs(root: str, split: str, log_names: Optional[list[str]], frame_interval: int) -> Futures:
    """Every scene's future in logs of NAVSIM's format, the built-in world's or the real ones, without the devkit.

    A log or a scene that cannot be read is left out and listed.

    Raises:
        WorldDataError: there is no such folder or named log.
        LabelError: no scene is left.
    """
    logs = find_logs(Path(root) / "navsim_logs" / split, log_names)
    found: list[npt.NDArray[np.float64]] = []
    skipped: dict[str, str] = {}
    for path in tqdm(logs, desc="futures", unit="log"):
        try:
            found += _futures_of_log(root, split, path.stem, frame_interval, skipped)
        except WorldDataError as error:
            skipped[path.stem] = str(error)
    return _collected(found, len(logs), skipped, f"{root}, split {split}")


def _futures_of_log(
    root: str, split: str, log_name: str, frame_interval: int, skipped: dict[str, str]
) -> list[npt.NDArray[np.float64]]:
    loader = SceneLoader(
        root, split, sensors=(), log_names=[log_name], num_future_frames=NUM_POSES, frame_interval=frame_interval
    )
    found = []
    for token in loader.tokens:
        try:
            found.append(np.asarray(loader.get_scene(token).get_future_trajectory(NUM_POSES).poses, dtype=np.float64))
        except WorldDataError as error:
            skipped[token] = str(error)
    return found


def futures_of_devkit(train_test_split: str, log_names: Optional[list[str]]) -> Futures:
    """Every scene's future of one of the devkit's splits (such as ``navtrain``), through its own loader and filter.

    Raises:
        DevkitError: there is no devkit, or it has no such split.
        LabelError: no scene is left.
    """
    from navsim_agents.devkit.futures import iterate_futures

    scenes: Iterator[tuple[str, Any]] = iterate_futures(train_test_split, log_names, NUM_POSES)
    rows = [(log, np.asarray(poses, dtype=np.float64)) for log, poses in tqdm(scenes, desc="futures", unit="scene")]
    skipped = {log: "a scene's future is not finite; it is left out" for log, poses in rows if not _is_finite(poses)}
    found = [poses for _, poses in rows if _is_finite(poses)]
    return _collected(found, len({log for log, _ in rows}), skipped, f"split {train_test_split}")


def _is_finite(poses: npt.NDArray[np.float64]) -> bool:
    return bool(np.isfinite(poses).all())


def _collected(found: list[npt.NDArray[np.float64]], num_logs: int, skipped: Mapping[str, str], where: str) -> Futures:
    if not found:
        reason = next(iter(skipped.values()), "no scene has a route and enough frames")
        raise LabelError(f"{where} gives 0 trajectories ({reason}), but a vocabulary needs some; check the split")
    return Futures(np.stack(found), num_logs, skipped)
