"""Compares the scorer with the devkit's own, on scenes of your metric cache.

    drive-jepa compare-with-devkit scenes=CACHE output=parity.json

Exit code 1 where anything differs: states, progress and scores beyond ``tolerance``, discrete sub-scores at all. With
``traffic=64`` so many plans more are scored in traffic that reacts to them: every box at every step, and every column.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.command import command
from navsim_agents.common.conventions import NUM_STEPS
from navsim_agents.common.settings import READS, SEED, at_least, writes_file
from navsim_agents.devkit.variant import Variant, detect_host
from navsim_agents.errors import DevkitError, TrajectoryError

VOCABULARY_SHAPE = (NUM_STEPS, 3)


@dataclass(frozen=True)
class CompareConfig:
    """Options of the command; paths are relative to the working directory."""

    scenes: str = field(metadata=READS)
    output: str = field(metadata=writes_file(".json"))
    vocabulary: Optional[str] = field(default=None, metadata=READS)
    navsim_log_path: Optional[str] = field(default=None, metadata=READS)
    max_scenes: int = field(default=50, metadata=at_least(1))
    trajectories: int = field(default=512, metadata=at_least(1))
    alone: int = field(default=8, metadata=at_least(0))
    traffic: int = field(default=0, metadata=at_least(0))
    tolerance: float = field(default=1e-6, metadata=at_least(0.0))
    seed: int = field(default=0, metadata=SEED)


def compare(config: CompareConfig) -> bool:
    """Compare, write the report and print its summary; returns whether everything is equal.

    Raises:
        DevkitError: no devkit or no metric cache, or v1.1's, which has no reactive traffic.
        TrajectoryError: ``vocabulary`` is no [V, 40, 3] array.
    """
    if detect_host().variant is Variant.NONE:
        raise DevkitError("no NAVSIM devkit is on the path to compare with; see drive-jepa doctor")
    from navsim_agents.devkit.logged_future import LoggedFutures
    from navsim_agents.devkit.parity_run import ParityOptions, measure_parity

    options = ParityOptions(
        config.max_scenes, config.trajectories, config.alone, config.tolerance, config.seed, config.traffic
    )
    futures = LoggedFutures(config.navsim_log_path) if config.navsim_log_path else None
    vocabulary = load_vocabulary(config.vocabulary)
    report = measure_parity(Path(config.scenes), options, vocabulary, futures)
    report.write(Path(config.output))
    print(json.dumps(report.summary(), indent=1))
    return report.num_different == 0


def load_vocabulary(path: Optional[str]) -> Optional[Float64[np.ndarray, "V 40 3"]]:
    """Trajectories of a ``.npy``; None without a path.

    Raises:
        TrajectoryError: another shape.
    """
    if path is None:
        return None
    vocabulary = np.load(path, allow_pickle=False)
    if vocabulary.ndim != 3 or vocabulary.shape[1:] != VOCABULARY_SHAPE:
        raise TrajectoryError(
            f"{path} has shape {vocabulary.shape}, but a vocabulary is [V, 40, 3] at 0.1 s; make one with "
            "drive-jepa build-vocabulary"
        )
    return vocabulary.astype(np.float64)


@command(CompareConfig, "cache_tools.conf.compare_with_devkit")
def main(config: CompareConfig) -> None:
    """Compare as configured; exit code 1 where anything differs."""
    if not compare(config):
        sys.exit(f"the scorers differ; see {config.output}")


if __name__ == "__main__":
    main()
