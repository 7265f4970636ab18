"""Scores a file of trajectories on one scoring scene.

    drive-jepa score-trajectories scene=SCENE.npz trajectories=T.npy metric=epdms output=OUT.npz

``trajectories`` [N, P, 3] (x, y, heading in the ego frame; m, rad), the first pose one ``interval_length`` after t0.
``output`` receives one float64 [N] array per sub-score under the devkit's names, ``simulated_states`` [N, 41, 11],
``collision_step`` and ``ttc_step`` [N] (inf if none). With ``traffic=reactive`` vehicles react to each trajectory.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from navsim_agents.common.command import command
from navsim_agents.common.conventions import EPDMS_NAME, POSE_INTERVAL_S
from navsim_agents.common.devices import named_device
from navsim_agents.common.files import whole_file
from navsim_agents.common.settings import READS, at_least, writes_file
from navsim_agents.errors import TrajectoryError
from navsim_agents.scoring import ScoringScene, score_trajectories
from navsim_agents.scoring.aggregate import SCORE
from navsim_agents.scoring.config import LOG_REPLAY

DTYPES = {"float64": torch.float64, "float32": torch.float32}


@dataclass(frozen=True)
class ScoreTrajectoriesConfig:
    """Options of the command; paths are relative to the working directory."""

    scene: str = field(metadata=READS)
    trajectories: str = field(metadata=READS)
    output: str = field(metadata=writes_file(".npz"))
    interval_length: float = POSE_INTERVAL_S
    metric: str = EPDMS_NAME
    human_penalty_filter: bool = False
    traffic: str = LOG_REPLAY
    device: str = "cpu"
    dtype: str = "float64"
    chunk: int = field(default=2048, metadata=at_least(1))  # trajectories at once


def score_file(config: ScoreTrajectoriesConfig) -> dict[str, npt.NDArray[np.float64]]:
    """Score, write ``config.output`` whole or not at all, and return what was written.

    Raises:
        SceneError, TrajectoryError: the scene, the trajectories or an option breaks a rule.
    """
    if config.dtype not in DTYPES:
        raise TrajectoryError(f"dtype is {config.dtype!r}, but must be one of {', '.join(DTYPES)}")
    scores = score_trajectories(
        ScoringScene.load(config.scene).to(named_device(config.device, TrajectoryError)),
        _load_trajectories(Path(config.trajectories)),
        interval_length=config.interval_length,
        metric=config.metric,
        human_penalty_filter=config.human_penalty_filter,
        dtype=DTYPES[config.dtype],
        chunk=config.chunk,
        traffic=config.traffic,
    )
    arrays = {name: value.double().cpu().numpy() for name, value in scores.items()}
    _write(Path(config.output), arrays)
    return arrays


def _load_trajectories(path: Path) -> torch.Tensor:
    try:
        poses = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise TrajectoryError(
            f"{path} is not a readable .npy of numbers ({error}); save trajectories [N, P, 3] with numpy.save"
        ) from error
    if isinstance(poses, np.ndarray):
        poses = poses.astype(poses.dtype.newbyteorder("="), copy=False)
    if not isinstance(poses, np.ndarray) or poses.dtype not in (np.float32, np.float64):
        found = getattr(poses, "dtype", type(poses).__name__)
        raise TrajectoryError(f"{path} holds {found}, but trajectories must be one array of float32 or float64")
    return torch.from_numpy(poses)


def _write(path: Path, arrays: dict[str, npt.NDArray[np.float64]]) -> None:
    """As np.savez, which leaves its archive open where the disk is full: Python then complains after our message."""
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(values), allow_pickle=False)


@command(ScoreTrajectoriesConfig, "cache_tools.conf.score_trajectories")
def main(config: ScoreTrajectoriesConfig) -> None:
    """Score as configured and print the mean."""
    scores = score_file(config)
    final = scores[SCORE[config.metric]]
    print(f"scored {len(final)} trajectories with {config.metric}, mean {final.mean():.4f}: {config.output}")


if __name__ == "__main__":
    main()
