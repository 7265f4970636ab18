"""Finds out which encoder is the better one to plan on.

The perception-free planner is trained on each encoder, frozen, for the same budget and evaluated on unseen logs, over
several seeds: the paper's comparison of encoders. ``random`` stands for weights that are drawn from the seed. Encoders
of other architectures bring the agent's settings that differ: ``+encoders.dino={weights: …, encoder: {name: timm:…}}``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Optional

from navsim_agents.common.command import command
from navsim_agents.common.files import read_json, write_json, write_text
from navsim_agents.common.settings import READS, WRITES_FOLDER, at_least, changed
from navsim_agents.errors import InputError
from training.config import CacheConfig, DataConfig, EvaluateConfig, ParamsConfig, TrainConfig
from training.evaluate import evaluate
from training.seeds import seeded, spread, spread_table
from training.sources import SceneSource
from training.train import RESULT_FILE, train

RANDOM = "random"
WEIGHTS = "weights"
PICTURES = "pictures"
RUN_FILE = "probe_run.json"
SUMMARY_FILE = "probe.json"
TABLE_FILE = "probe.txt"


@dataclass(frozen=True)
class TestConfig:
    """The logs that no planner learns from."""

    root: str = field(metadata=READS)
    split: str = "test"
    frame_interval: int = field(default=1, metadata=at_least(1))
    max_scenes: int = field(default=0, metadata=at_least(0))  # evenly spaced over the split; 0 takes all

    __test__ = False  # not for pytest, in spite of its name


@dataclass(frozen=True)
class Candidate:
    """One encoder of the comparison."""

    weights: str  # checkpoint, or random
    settings: dict[str, Any]  # keys of the agent's config that differ from the other encoders'

    @classmethod
    def of(cls, name: str, entry: Any) -> Candidate:
        """The entry of ``encoders`` that is called ``name``: weights, or a mapping of weights and settings.

        Raises:
            InputError: it is neither.
        """
        if isinstance(entry, str):
            return cls(entry, {})
        if not isinstance(entry, Mapping) or not isinstance(entry.get(WEIGHTS), str):
            raise InputError(
                f"encoders.{name}={entry!r} names no weights; give <checkpoint> or {RANDOM}, or a mapping: "
                f"+encoders.{name}={{{WEIGHTS}: <checkpoint>, encoder: timm:<name>}}"
            )
        return cls(entry[WEIGHTS], {key: value for key, value in entry.items() if key != WEIGHTS})


@dataclass(frozen=True)
class ProbeConfig:
    """Configuration of ``drive-jepa probe``."""

    BELOW: ClassVar[Mapping[str, Any]] = TrainConfig.BELOW

    output: str = field(metadata=WRITES_FOLDER)
    agent: Any  # group of navsim_configs; its encoder is frozen
    data: DataConfig  # what the planners learn from
    test: TestConfig
    cache: CacheConfig  # of pictures, shared by all runs
    encoders: dict[str, Any] = field(default_factory=dict)  # name in the table -> Candidate, as its ``of`` reads it
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    dataloader: ParamsConfig = field(default_factory=ParamsConfig)
    trainer: ParamsConfig = field(default_factory=ParamsConfig)
    baselines: list[str] = field(default_factory=lambda: ["constant_velocity"])
    columns: list[str] = field(default_factory=lambda: ["displacement"])
    threads: int = field(default=0, metadata=at_least(0))

    def __post_init__(self) -> None:
        if not self.encoders or not self.seeds:
            raise InputError(
                f"encoders={self.encoders} and seeds={self.seeds} must both name something: "
                "+encoders.<name>=<checkpoint> or =random, seeds=[0,1,2]"
            )
        for name in self.encoders:
            self.candidate(name)
        if self.test.split == self.data.split and Path(self.test.root).resolve() == Path(self.data.root).resolve():
            raise InputError(
                f"the planners would be tested on what they learn from, {self.data.root} ({self.data.split}); "
                "name another test.root or test.split"
            )

    def candidate(self, name: str) -> Candidate:
        """The encoder called ``name``."""
        return Candidate.of(name, self.encoders[name])


@command(ProbeConfig, "training.conf.probe")
def main(config: ProbeConfig) -> None:
    """Probe as configured and print the table."""
    print(probe_table(probe(config)))


def probe(
    config: ProbeConfig, train_source: Optional[SceneSource] = None, test_source: Optional[SceneSource] = None
) -> dict[str, Any]:
    """Train and test every encoder with every seed; return what is also written to ``<output>/probe.json``.

    Runs that are finished are kept, so an interrupted probe goes on where it stopped. The sources stand in for the logs
    at ``config.data`` and ``config.test``.

    Raises:
        InputError: a kept run has other settings.
    """
    output = Path(config.output)
    runs = {
        seeded(name, seed): str(train_one(config, name, seed, train_source))
        for name in config.encoders
        for seed in config.seeds
    }
    evaluation = evaluate(
        EvaluateConfig(
            output=str(output / "evaluation"),
            data_root=config.test.root,
            split=config.test.split,
            baselines=config.baselines,
            runs=runs,
            columns=config.columns,
            threads=config.threads,
            frame_interval=config.test.frame_interval,
            max_scenes=config.test.max_scenes,
        ),
        test_source,
    )
    summary = summarise(config, evaluation)
    write_json(output / SUMMARY_FILE, summary)
    write_text(output / TABLE_FILE, probe_table(summary) + "\n")
    return summary


def train_one(config: ProbeConfig, encoder: str, seed: int, source: Optional[SceneSource] = None) -> Path:
    """Train the planner on one frozen encoder with one seed, unless that was done before; the run's folder.

    Raises:
        InputError: the folder holds a run with other settings.
    """
    folder = Path(config.output) / "runs" / seeded(encoder, seed)
    settings = run_config(config, encoder, seed, folder)
    record = {"config": asdict(settings), "weights": weights_stamp(config.candidate(encoder).weights)}
    path = folder / RUN_FILE
    if path.exists() and read_json(path) != record:
        raise InputError(
            f"{folder} holds a run with other settings or weights; choose another output, or delete that folder"
        )
    write_json(path, record)
    if not (folder / RESULT_FILE).exists():
        train(settings, source)
    return folder


def run_config(config: ProbeConfig, encoder: str, seed: int, folder: Path) -> TrainConfig:
    """What ``training.train`` is asked for."""
    agent = copy.deepcopy(dict(config.agent))
    candidate = config.candidate(encoder)
    frozen = {"optimiser": {"freeze_encoder": True}}
    agent["config"] = changed(changed(agent.get("config", {}), candidate.settings), frozen)
    agent["encoder_checkpoint_path"] = None if candidate.weights == RANDOM else candidate.weights
    cache = config.cache
    if PICTURES in candidate.settings:  # its pictures are not the others'
        cache = replace(cache, path=f"{cache.path}_{encoder}")
    return TrainConfig(
        output=str(folder),
        agent=agent,
        data=config.data,
        cache=cache,
        dataloader=config.dataloader,
        trainer=config.trainer,
        seed=seed,
        threads=config.threads,
    )


def weights_stamp(checkpoint: str) -> Optional[str]:
    """Changes when the checkpoint does; None for random weights.

    Raises:
        InputError: no such file.
    """
    if checkpoint == RANDOM:
        return None
    path = Path(checkpoint).expanduser()
    if not path.is_file():
        raise InputError(f"encoder checkpoint {path} is no file; give a .pt file of pretraining, or {RANDOM}")
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def summarise(config: ProbeConfig, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Mean and standard deviation over the seeds of every metric of every encoder; baselines as they are."""
    agents = evaluation["agents"]
    candidates = {name: config.candidate(name) for name in config.encoders}
    return {
        "encoders": {
            name: {
                "weights": candidate.weights,
                "settings": candidate.settings,
                "seeds": config.seeds,
                "metrics": spread([agents[seeded(name, seed)] for seed in config.seeds]),
            }
            for name, candidate in candidates.items()
        },
        "baselines": {name: agents[name] for name in config.baselines},
        "scenes": evaluation["scenes"],
        "config": asdict(config),
    }


def probe_table(summary: Mapping[str, Any]) -> str:
    """One line an encoder: mean ± standard deviation over its seeds; below them the baselines."""
    spreads = {name: encoder["metrics"] for name, encoder in summary["encoders"].items()}
    return spread_table("encoder", spreads, summary["baselines"])


if __name__ == "__main__":
    main()
