"""Builds a trajectory vocabulary: k-means over the human futures of a split.

    drive-jepa build-vocabulary source=logs root=WORLD split=trainval k=512 output=V.npy

A future is eight poses at 0.5 s, all that logs hold; it is sampled linearly every 0.1 s, as the devkit samples a plan.
Clusters are of x [m], y [m] and heading [rad] of the 40 poses alike, 120 numbers a trajectory. ``source=V.npy`` checks
and copies an existing vocabulary, such as the public one. ``source=bench2drive root=CLIPS`` takes the futures of clips
of Bench2Drive: 4 s like all others, of which its planners learn 3 s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from omegaconf import MISSING

from navsim_agents.bench2drive.clip_source import futures_of_clips
from navsim_agents.common.command import command
from navsim_agents.common.files import write_json
from navsim_agents.common.settings import READS, SEED, at_least, writes_file
from navsim_agents.distillation import load_vocabulary, save_vocabulary
from navsim_agents.distillation.clustering import Clustering, cluster_futures
from navsim_agents.distillation.human_futures import Futures, futures_of_devkit, futures_of_logs
from navsim_agents.errors import LabelError

NUM_SHOWN = 5
BENCH2DRIVE = "bench2drive"


@dataclass(frozen=True)
class BuildVocabularyConfig:
    """Options of the command, explained in ``conf/build_vocabulary.yaml``."""

    source: str = field(default="logs", metadata=READS)
    output: str = field(default=MISSING, metadata=writes_file(".npy"))
    k: int = field(default=8192, metadata=at_least(1))
    root: Optional[str] = field(default=None, metadata=READS)
    split: str = "trainval"
    train_test_split: str = "navtrain"
    log_names: Optional[list[str]] = None
    frame_interval: int = field(default=1, metadata=at_least(1))
    kmeans: str = "sklearn"
    seed: int = field(default=0, metadata=SEED)
    max_iterations: int = field(default=100, metadata=at_least(1))
    iterations_per_round: int = field(default=5, metadata=at_least(1))

    def check(self) -> None:
        """Raises LabelError at the first option that breaks a rule."""
        for name in ("k", "frame_interval", "max_iterations", "iterations_per_round"):
            if getattr(self, name) < 1:
                raise LabelError(f"{name} is {getattr(self, name)}, but must be 1 or more; raise it")
        if self.source == "logs" and self.root is None:
            raise LabelError("root is null, but source=logs reads <root>/navsim_logs/<split>; give the data's root")
        if self.source == BENCH2DRIVE and self.root is None:
            raise LabelError(f"root is null, but source={BENCH2DRIVE} reads the clips in <root>; give the data's root")
        if self.source not in ("logs", "devkit", BENCH2DRIVE) and not self.source.endswith(".npy"):
            raise LabelError(
                f"source is {self.source!r}, but must be logs, devkit, {BENCH2DRIVE}, or the path of a .npy"
            )


def build_vocabulary(config: BuildVocabularyConfig) -> dict[str, Any]:
    """Write the vocabulary and its report, and return the report.

    Raises:
        NavsimDriveJepaError: an option or the data break a rule, or what a source needs is not installed.
    """
    config.check()
    how: dict[str, Any] = {}
    if config.source.endswith(".npy"):
        vocabulary = load_vocabulary(config.source)
    else:
        vocabulary, how = cluster_futures(
            _futures(config),
            Clustering(config.k, config.kmeans, config.seed, config.max_iterations, config.iterations_per_round),
        )
        how = {**_split(config), **how}
    report = {"source": config.source, "digest": vocabulary.digest, "size": len(vocabulary), **how}
    save_vocabulary(vocabulary, config.output)
    write_json(Path(config.output).with_suffix(".json"), report)
    return report


def _split(config: BuildVocabularyConfig) -> dict[str, str]:
    """What the report says of the split; clips have none."""
    if config.source == BENCH2DRIVE:
        return {}
    return {"split": config.train_test_split if config.source == "devkit" else config.split}


def _futures(config: BuildVocabularyConfig) -> Futures:
    if config.source == "devkit":
        return futures_of_devkit(config.train_test_split, config.log_names)
    assert config.root is not None
    if config.source == BENCH2DRIVE:
        return futures_of_clips(config.root, config.log_names, config.frame_interval)
    return futures_of_logs(config.root, config.split, config.log_names, config.frame_interval)


@command(BuildVocabularyConfig, "cache_tools.conf.build_vocabulary")
def main(config: BuildVocabularyConfig) -> None:
    """Build as configured and print a summary."""
    report = build_vocabulary(config)
    for name, reason in list(report.get("skipped", {}).items())[:NUM_SHOWN]:
        print(f"left out: {name}: {reason}")
    origin = f" of {report['trajectories']} trajectories" if "trajectories" in report else ""
    offset = f", {report['mean_offset_m']:.3f} m from them on average" if "mean_offset_m" in report else ""
    print(f"{report['size']} centres{origin}{offset}: {config.output} ({report['digest'][:12]})")


if __name__ == "__main__":
    main()
