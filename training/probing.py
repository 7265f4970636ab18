"""The comparison of encoders: a planner trained on each of them, with each seed, and all of them evaluated."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Optional

from navsim_agents.common.files import read_json, write_json, write_text
from navsim_agents.common.settings import changed
from navsim_agents.drive_jepa.runs import RESULT_FILE
from navsim_agents.errors import InputError
from navsim_agents.evaluation.encoder_weights import RANDOM, weights_stamp
from navsim_agents.evaluation.seeds import seeded, spread, spread_table
from navsim_agents.sources import SceneSource
from training.config import EvaluateConfig, TrainConfig
from training.evaluate import evaluate
from training.fitting import train
from training.probe_config import ProbeConfig

PICTURES = "pictures"
RUN_FILE = "probe_run.json"
SUMMARY_FILE = "probe.json"
TABLE_FILE = "probe.txt"


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
    """Settings of the training of one encoder with one seed."""
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
