"""The demo's chain of commands: worlds, pretraining, labels, one table of all trainings, report."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from training.demo_config import DemoConfig, TrainingRun
from training.stages import Stage, in_hydra
from training.world_stages import (
    LABELS,
    PRETRAINING,
    TEST_FOLDER,
    TEST_LABELS,
    TEST_WORLD,
    TRAIN_FOLDER,
    TRAIN_WORLD,
    WorldStages,
)

TRAININGS, EVALUATION, CACHE, ABLATION, REPORT = "trainings", "evaluation", "cache", "ablation", "report"
NOTE = (
    "Neither the drives nor the towns are those of the training: the built-in world was made twice, with two seeds. "
    "Style, traffic rules and the driver who is imitated are the same."
)


def demo_stages(config: DemoConfig) -> list[Stage]:
    """All stages: a world to train on, a world of other towns for the test, and everything from there to the report."""
    world = world_stages(config)
    stages = [*world.stages(), _ablation_stage(config, world)]
    return [*stages, _report_stage(config, world, stages)]


def world_stages(config: DemoConfig) -> WorldStages:
    """What makes the worlds, the encoder and the labels."""
    return WorldStages(
        output=Path(config.output),
        train_world=config.train_world,
        test_world=config.test_world,
        pretraining=config.pretraining,
        vocabulary_size=config.vocabulary_size,
        seed=config.seed,
        workers=config.workers,
        threads=config.threads,
        needs_labels=config.needs_labels,
    )


def training_folder(config: DemoConfig, name: str) -> Path:
    """Where a training lies."""
    return Path(config.output) / TRAININGS / name


def _ablation_stage(config: DemoConfig, world: WorldStages) -> Stage:
    output = Path(config.output)
    arguments = [
        f"output={output / ABLATION}",
        *(f"{name}={output / name}" for name in (TRAININGS, EVALUATION, CACHE)),
        f"given.root={output / TRAIN_WORLD}",
        f"given.split={TRAIN_FOLDER}",
        f"given.test_root={output / TEST_WORLD}",
        f"given.test_split={TEST_FOLDER}",
        f"seeds=[{config.seed}]",
        "training=[]",
    ]
    if config.needs_labels:
        arguments += [
            f"given.scenes={world.scenes}",
            f"given.labels={output / LABELS}",
            f"given.vocabulary={world.vocabulary}",
        ]
    if world.encoder is not None:
        arguments.append(f"given.encoder={world.encoder}")
    arguments += ["~rows", f"+rows={in_hydra(_rows(config))}"]  # a mapping would be merged with the rows that are there
    running = (f"workers={config.workers}", f"threads={max(1, config.threads // config.workers)}")
    purpose = f"train {', '.join(config.trainings)}; plan and score every scene of the towns that were kept back"
    return Stage(ABLATION, purpose, "training.ablate", (*arguments, *config.evaluate), output / ABLATION, running)


def _rows(config: DemoConfig) -> dict[str, dict[str, Any]]:
    """The trainings, and what else is done with their weights, as the ablation's rows."""
    rows = {name: _row(config, run, run.when_planning) for name, run in config.trainings.items()}
    for name, variant in config.variants.items():
        its = _row(config, config.trainings[variant.training], variant.when_planning)
        rows[name] = {**its, "in_sequence": variant.in_sequence}
    return rows


def _row(config: DemoConfig, run: TrainingRun, when_planning: dict[str, Any]) -> dict[str, Any]:
    budget = [f"dataloader.params.batch_size={run.batch_size}", f"trainer.params.max_epochs={run.epochs}"]
    return {
        "agent": run.agent,
        "overrides": [*budget, *run.settings],
        "needs_labels": run.needs_labels,
        "is_pretrained": config.pretraining.steps > 0,
        "when_planning": when_planning,
    }


def _report_stage(config: DemoConfig, world: WorldStages, stages: list[Stage]) -> Stage:
    output = Path(config.output)
    arguments = [
        f"evaluation={output / EVALUATION}",
        *(f"+trainings.{name}={training_folder(config, name)}" for name in config.trainings),
        f"data_root={output / TEST_WORLD}",
        f"agent_name={config.shown}",
        f"output={output / 'report.html'}",
        f"notes={in_hydra([NOTE])}",
        f"repeat={in_hydra([shlex.join(stage.command) for stage in stages])}",
    ]
    if config.pretraining.steps:
        arguments.append(f"pretraining={output / PRETRAINING}")
    if config.needs_labels:
        arguments += [f"labels={output / TEST_LABELS}", f"vocabulary={world.vocabulary}"]
    return Stage(REPORT, "draw curves and scenes", "training.report", tuple(arguments), output / REPORT)
