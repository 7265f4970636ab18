"""The demo's chain of commands: worlds, pretraining, labels, trainings, evaluation, report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from navsim_agents.common.conventions import EPDMS_NAME, FRONT_CAMERA
from training.demo_config import DemoConfig, TrainingRun, WorldSize
from training.pretraining.checkpoints import checkpoint_path
from training.pretraining.loop import CHECKPOINT_FOLDER
from training.stages import Stage

TRAIN_WORLD, TEST_WORLD = "world", "unseen_world"
TRAIN_FOLDER, TEST_FOLDER = "trainval", "test"  # of a world's logs and scoring scenes
MANIFEST, PRETRAINING = "clips", "pretraining"
VOCABULARY, LABELS, TEST_LABELS = "vocabulary", "labels", "unseen_labels"
TRAININGS, EVALUATION, REPORT = "trainings", "evaluation", "report"
LABELLED_METRIC = EPDMS_NAME
NOTE = (
    "Neither the drives nor the towns are those of the training: the built-in world was made twice, with two seeds. "
    "Style, traffic rules and the driver who is imitated are the same."
)


def demo_stages(config: DemoConfig) -> list[Stage]:
    """All stages: a world to train on, a world of other towns for the test, and everything from there to the report."""
    stages = [
        _world_stage(config, TRAIN_WORLD, config.train_world, config.seed, "train"),
        _world_stage(config, TEST_WORLD, config.test_world, config.seed + 1, "test"),
    ]
    if config.pretraining.steps:
        stages += [_manifest_stage(config), _pretraining_stage(config)]
    if config.needs_labels:
        stages += [
            _vocabulary_stage(config),
            _labels_stage(config, LABELS, TRAIN_WORLD, TRAIN_FOLDER),
            _labels_stage(config, TEST_LABELS, TEST_WORLD, TEST_FOLDER),
        ]
    stages += [_training_stage(config, name, run) for name, run in config.trainings.items()]
    stages.append(_evaluation_stage(config))
    return [*stages, _report_stage(config, stages)]


def training_folder(config: DemoConfig, name: str) -> Path:
    """Where a training lies."""
    return Path(config.output) / TRAININGS / name


def _world_stage(config: DemoConfig, name: str, size: WorldSize, seed: int, split: str) -> Stage:
    folder = Path(config.output) / name
    shares = {share: int(share == split) for share in ("train", "val", "test")}
    arguments = (
        f"output={folder}",
        f"logs={size.logs}",
        f"seed={seed}",
        f"duration_s={size.duration_s:g}",
        f"splits={in_hydra(shares)}",
        f"cameras=[{FRONT_CAMERA}]",
        "skip_unseen_frames=true",
    )
    purpose = f"drive {size.logs} times {size.duration_s:g} s through towns of seed {seed}, rendering the front camera"
    return Stage(name, purpose, "navsim_agents.world", arguments, folder, (f"workers={config.workers}",))


def _manifest_stage(config: DemoConfig) -> Stage:
    output = Path(config.output)
    arguments = (
        "layout=navsim",
        "data_set=world",
        f"root={output / TRAIN_WORLD}",
        f"split={TRAIN_FOLDER}",
        f"output={output / MANIFEST / 'manifest.jsonl'}",
    )
    purpose = "list the drives' pictures as videos"
    running = (f"workers={config.workers}",)
    return Stage(MANIFEST, purpose, "cache_tools.index_videos", arguments, output / MANIFEST, running)


def _pretraining_stage(config: DemoConfig) -> Stage:
    output = Path(config.output)
    arguments = (
        f"output={output / PRETRAINING}",
        "data=world",
        f"data.data_sets.world.manifest={output / MANIFEST / 'manifest.jsonl'}",
        f"data.data_sets.world.root={output / TRAIN_WORLD}",
        f"seed={config.seed}",
        "schedule.epochs=1",
        f"schedule.iterations_per_epoch={config.pretraining.steps}",
        *config.pretraining.settings,
    )
    purpose = "teach the video encoder on the drives' pictures, without labels (V-JEPA)"
    running = (f"processes.threads={config.threads}",)
    return Stage(PRETRAINING, purpose, "training.pretrain", arguments, output / PRETRAINING, running)


def _vocabulary_stage(config: DemoConfig) -> Stage:
    output = Path(config.output)
    arguments = (
        "source=logs",
        f"root={output / TRAIN_WORLD}",
        f"split={TRAIN_FOLDER}",
        f"k={config.vocabulary_size}",
        f"seed={config.seed}",
        f"output={_vocabulary(config)}",
    )
    purpose = f"cluster the driven trajectories into {config.vocabulary_size}"
    return Stage(VOCABULARY, purpose, "cache_tools.build_vocabulary", arguments, output / VOCABULARY)


def _vocabulary(config: DemoConfig) -> Path:
    return Path(config.output) / VOCABULARY / "vocabulary.npy"


def _labels_stage(config: DemoConfig, name: str, world: str, folder: str) -> Stage:
    output = Path(config.output)
    arguments = (
        f"scenes={output / world / 'scoring_scenes' / folder}",
        f"vocabulary={_vocabulary(config)}",
        f"metric={LABELLED_METRIC}",
        f"output={output / name}",
    )
    purpose = f"score the vocabulary in every scene of {world}: trajectories that score well are pseudo-teachers"
    running = (f"workers={config.workers}",)
    return Stage(name, purpose, "cache_tools.score_vocabulary", arguments, output / name, running)


def _training_stage(config: DemoConfig, name: str, run: TrainingRun) -> Stage:
    output, folder = Path(config.output), training_folder(config, name)
    arguments = [
        f"agent={run.agent}",
        f"data.root={output / TRAIN_WORLD}",
        f"output={folder}",
        f"seed={config.seed}",
        f"dataloader.params.batch_size={run.batch_size}",
        f"trainer.params.max_epochs={run.epochs}",
    ]
    if config.pretraining.steps:
        weights = checkpoint_path(output / PRETRAINING / CHECKPOINT_FOLDER, config.pretraining.steps)
        arguments.append(f"agent.encoder_checkpoint_path={weights}")
    if run.needs_labels:
        first = next(other for other, its in config.trainings.items() if its.needs_labels and its.agent == run.agent)
        arguments += [
            f"agent.config.scenes={output / TRAIN_WORLD / 'scoring_scenes'}",
            f"agent.config.teachers.label_store={output / LABELS}",
            f"agent.config.teachers.vocabulary={_vocabulary(config)}",
            f"cache.path={training_folder(config, first) / 'cache'}",  # the same features and targets
        ]
    running = (f"cache.workers={config.workers}", f"threads={config.threads}")
    purpose = f"train {run.agent} for {run.epochs} epochs"
    return Stage(name, purpose, "training.train", (*arguments, *run.settings), folder, running)


def _evaluation_stage(config: DemoConfig) -> Stage:
    output = Path(config.output)
    runs = {name: (name, run.when_planning) for name, run in config.trainings.items()}
    runs.update({name: (variant.training, variant.when_planning) for name, variant in config.variants.items()})
    arguments = [f"data_root={output / TEST_WORLD}", f"split={TEST_FOLDER}", f"output={output / EVALUATION}"]
    arguments += [f"+runs.{name}={training_folder(config, training)}" for name, (training, _) in runs.items()]
    arguments += [f"+run_settings.{name}={in_hydra(settings)}" for name, (_, settings) in runs.items() if settings]
    purpose = "plan and score every scene of the towns that were kept back"
    folder, running = output / EVALUATION, (f"threads={config.threads}",)
    return Stage(EVALUATION, purpose, "training.evaluate", (*arguments, *config.evaluate), folder, running)


def _report_stage(config: DemoConfig, stages: list[Stage]) -> Stage:
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
        arguments += [f"labels={output / TEST_LABELS}", f"vocabulary={_vocabulary(config)}"]
    return Stage(REPORT, "draw curves and scenes", "training.report", tuple(arguments), output / REPORT)


def in_hydra(value: Any) -> str:
    """``value`` as Hydra's command line reads it: words bare or in double quotes, no space outside of them."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{in_hydra(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(in_hydra, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower()
