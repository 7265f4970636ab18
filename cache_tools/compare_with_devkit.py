"""Shows that the batched scorer gives the devkit's own answers, on scenes of your own metric cache.

    python -m cache_tools.compare_with_devkit metric_cache_path=CACHE output=parity.json

Exit code 1 where anything differs: states, progress and scores beyond ``tolerance``, discrete sub-scores at all.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import hydra
import numpy as np
import numpy.typing as npt
from omegaconf import MISSING, DictConfig

from navsim_agents.devkit.variant import Variant, detect_host
from navsim_agents.errors import DevkitError, TrajectoryError, errors_in_one_line
from training.config import read_config

VOCABULARY_SHAPE = (40, 3)


@dataclass(frozen=True)
class CompareConfig:
    """Options of the command; paths are relative to the working directory."""

    metric_cache_path: str = MISSING
    output: str = MISSING
    vocabulary: Optional[str] = None
    navsim_log_path: Optional[str] = None
    scenes: int = 50
    trajectories: int = 512
    alone: int = 8
    tolerance: float = 1e-6
    seed: int = 0


def compare(config: CompareConfig) -> bool:
    """Compare, write the report, print its summary; whether all is equal.

    Raises:
        DevkitError: no devkit or no metric cache.
        TrajectoryError: ``vocabulary`` is no [V, 40, 3] array.
    """
    if detect_host().variant is Variant.NONE:
        raise DevkitError("no NAVSIM devkit is on the path to compare with; see python -m navsim_agents.devkit")
    from navsim_agents.devkit.logged_future import LoggedFutures
    from navsim_agents.devkit.parity_run import ParityOptions, measure_parity

    options = ParityOptions(config.scenes, config.trajectories, config.alone, config.tolerance, config.seed)
    futures = LoggedFutures(config.navsim_log_path) if config.navsim_log_path else None
    vocabulary = load_vocabulary(config.vocabulary)
    report = measure_parity(Path(config.metric_cache_path), options, vocabulary, futures)
    report.write(Path(config.output))
    print(json.dumps(report.summary(), indent=1))
    return report.num_different == 0


def load_vocabulary(path: Optional[str]) -> Optional[npt.NDArray[np.float64]]:
    """Trajectories [V, 40, 3] of a ``.npy``; None without a path.

    Raises:
        TrajectoryError: another shape.
    """
    if path is None:
        return None
    vocabulary = np.load(path, allow_pickle=False)
    if vocabulary.ndim != 3 or vocabulary.shape[1:] != VOCABULARY_SHAPE:
        raise TrajectoryError(
            f"{path} has shape {vocabulary.shape}, but a vocabulary is [V, 40, 3] at 0.1 s; make one with "
            "python -m cache_tools.build_vocabulary"
        )
    return vocabulary.astype(np.float64)


@hydra.main(version_base="1.2", config_path="conf", config_name="compare_with_devkit")
def main(cfg: DictConfig) -> None:
    """Entry point: exit code 1 where anything differs, or with one line where the input breaks a rule."""
    with errors_in_one_line():
        config = read_config(CompareConfig, cfg)
        is_equal = compare(config)
    if not is_equal:
        sys.exit(f"the scorers differ; see {config.output}")


if __name__ == "__main__":
    main()
