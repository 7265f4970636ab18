"""The comparison of encoders: a planner trained on each of them, with each seed, and all of them evaluated."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Optional

import pytorch_lightning as pl

from navsim_agents.common.files import read_json, write_json, write_text
from navsim_agents.common.settings import changed
from navsim_agents.data.logs import sensors_of
from navsim_agents.drive_jepa.runs import RESULT_FILE, build_agent
from navsim_agents.errors import InputError
from navsim_agents.evaluation.encoder_weights import RANDOM, weights_stamp
from navsim_agents.evaluation.planning import choose_scenes
from navsim_agents.evaluation.seeds import seeded, spread, spread_table
from navsim_agents.sources import LoggedScenes, SceneSource, split_logs
from training.config import BESIDE_LEARNING, EvaluateConfig, TrainConfig
from training.dataset import CachedScenes
from training.evaluate import evaluate
from training.fitting import fill_cache, train
from training.linear_fit import Encoded, encode, fit_and_test
from training.probe_config import LINEAR_FIT, PLANNER, ProbeConfig

PICTURES = "pictures"
RUN_FILE = "probe_run.json"
SUMMARY_FILE = "probe.json"
TABLE_FILE = "probe.txt"
COMMAND_ALONE = "command alone"
LinearFit = tuple[dict[str, float], float]
"""Metrics, and the strength of the penalty."""


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
    evaluation = evaluate_planners(config, train_source, test_source) if PLANNER in config.measures else None
    fits = fit_linearly(config, train_source, test_source) if LINEAR_FIT in config.measures else None
    summary = summarise(config, evaluation, fits)
    write_json(output / SUMMARY_FILE, summary)
    write_text(output / TABLE_FILE, probe_table(summary) + "\n")
    return summary


def evaluate_planners(
    config: ProbeConfig, train_source: Optional[SceneSource] = None, test_source: Optional[SceneSource] = None
) -> dict[str, Any]:
    """Train the planners that are not there yet, and evaluate all of them; the evaluation's summary.

    Raises:
        InputError: a kept run has other settings.
    """
    runs = {
        seeded(name, seed): str(train_one(config, name, seed, train_source))
        for name in config.encoders
        for seed in config.seeds
    }
    return evaluate(
        EvaluateConfig(
            output=str(Path(config.output) / "evaluation"),
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


def train_one(config: ProbeConfig, encoder: str, seed: int, source: Optional[SceneSource] = None) -> Path:
    """Train the planner on one frozen encoder with one seed, unless that was done before; the run's folder.

    Raises:
        InputError: the folder holds a run with other settings.
    """
    folder = Path(config.output) / "runs" / seeded(encoder, seed)
    settings = run_config(config, encoder, seed, folder)
    told = {name: value for name, value in asdict(settings).items() if name not in BESIDE_LEARNING}
    record = {"config": told, "weights": weights_stamp(weights_of(config, encoder, seed))}
    path = folder / RUN_FILE
    if path.exists() and read_json(path) != record:
        raise InputError(
            f"{folder} holds a run with other settings or weights; choose another output, or delete that folder"
        )
    write_json(path, record)
    if not (folder / RESULT_FILE).exists():
        train(settings, source)
    return folder


def weights_of(config: ProbeConfig, encoder: str, seed: int) -> str:
    """Checkpoint of an encoder in the runs of one seed, or random."""
    return config.candidate(encoder).weights_of(config.seeds.index(seed))


def run_config(config: ProbeConfig, encoder: str, seed: int, folder: Path) -> TrainConfig:
    """Settings of the training of one encoder with one seed."""
    agent = copy.deepcopy(dict(config.agent))
    candidate = config.candidate(encoder)
    frozen = {"optimiser": {"freeze_encoder": True}}
    agent["config"] = changed(changed(agent.get("config", {}), candidate.settings), frozen)
    weights = weights_of(config, encoder, seed)
    agent["encoder_checkpoint_path"] = None if weights == RANDOM else weights
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


def fit_linearly(
    config: ProbeConfig, train_source: Optional[SceneSource] = None, test_source: Optional[SceneSource] = None
) -> dict[str, LinearFit]:
    """The linear fit on every encoder with every seed, by :func:`seeded` name, and one on the command alone.

    Raises:
        InputError: the agent has no features to fit to.
        CheckpointError: weights are not of its encoder.
    """
    fits: dict[str, LinearFit] = {}
    for name in config.encoders:
        for seed in config.seeds:
            train, test = encode_scenes(config, name, seed, train_source, test_source)
            fits[seeded(name, seed)] = fit_and_test(train, test)
            if COMMAND_ALONE not in fits:
                fits[COMMAND_ALONE] = fit_and_test(train.free_alone(), test.free_alone())
    return fits


def encode_scenes(
    config: ProbeConfig,
    encoder: str,
    seed: int,
    train_source: Optional[SceneSource] = None,
    test_source: Optional[SceneSource] = None,
) -> tuple[Encoded, Encoded]:
    """What one frozen encoder tells of the planners' scenes, those that validate too, and of the test's."""
    settings = run_config(config, encoder, seed, Path(config.output))
    pl.seed_everything(seed, workers=True)  # as a training: random weights are the same
    agent = build_agent(settings.agent)
    if not hasattr(agent, "frozen_features"):
        raise InputError(
            f"measures={config.measures}, but {type(agent).__name__} has no frozen_features to fit to; leave "
            f"{LINEAR_FIT} out, or take agent=drive_jepa_perception_free_small"
        )
    data, test, sensors = config.data, config.test, sensors_of([agent])
    source = train_source or LoggedScenes(data.root, data.split, sensors, data.frame_interval)
    logs = split_logs(source.log_names(), data.train_logs, data.val_logs, data.val_fraction)
    unseen = test_source or LoggedScenes(test.root, test.split, sensors, test.frame_interval)
    of_test = replace(settings, cache=replace(settings.cache, path=f"{settings.cache.path}_test"))
    parts = (
        (settings, source, choose_scenes(source, [*logs[0], *logs[1]])),
        (of_test, unseen, choose_scenes(unseen, None, test.max_scenes)),
    )
    train_part, test_part = (_encode(agent, *part) for part in parts)
    return train_part, test_part


def _encode(agent: Any, settings: TrainConfig, source: SceneSource, tokens: Mapping[str, Sequence[str]]) -> Encoded:
    """Scenes by log, through the cache of ``settings``."""
    logs = [name for name, its in tokens.items() if its]
    fill_cache(settings, source, agent, logs)
    return encode(
        agent, CachedScenes(Path(settings.cache.path), logs), [token for its in tokens.values() for token in its]
    )


def summarise(
    config: ProbeConfig, evaluation: Optional[Mapping[str, Any]], fits: Optional[Mapping[str, LinearFit]]
) -> dict[str, Any]:
    """Mean and standard deviation over the seeds of every metric of every encoder; baselines as they are."""
    encoders: dict[str, dict[str, Any]] = {}
    for name in config.encoders:
        candidate, runs = config.candidate(name), [seeded(name, seed) for seed in config.seeds]
        encoders[name] = {"weights": candidate.weights, "settings": candidate.settings, "seeds": config.seeds}
        if evaluation is not None:
            encoders[name]["metrics"] = spread([evaluation["agents"][run] for run in runs])
        if fits is not None:
            encoders[name][LINEAR_FIT] = spread([fits[run][0] for run in runs])
            encoders[name]["strengths"] = [fits[run][1] for run in runs]
    summary: dict[str, Any] = {"encoders": encoders, "baselines": {}}
    if evaluation is not None:
        summary["baselines"] = {name: evaluation["agents"][name] for name in config.baselines}
        summary["scenes"] = evaluation["scenes"]
    if fits is not None:
        summary[f"{LINEAR_FIT}_baselines"] = {COMMAND_ALONE: fits[COMMAND_ALONE][0]}
    return {**summary, "config": asdict(config)}


def probe_table(summary: Mapping[str, Any]) -> str:
    """A table for each measure: one line an encoder, mean ± standard deviation over its seeds; then the baselines."""
    tables = []
    for key, baselines, title in (
        ("metrics", "baselines", ""),
        (LINEAR_FIT, f"{LINEAR_FIT}_baselines", "Linear fit of the plan on command and frozen tokens\n"),
    ):
        spreads = {name: encoder[key] for name, encoder in summary["encoders"].items() if key in encoder}
        if spreads:
            tables.append(title + spread_table("encoder", spreads, summary[baselines]))
    return "\n\n".join(tables)
