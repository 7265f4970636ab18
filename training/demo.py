"""``python -m training.demo``: a world, a trained agent, its evaluation and a report, with nothing downloaded.

The stages are the package's own commands, printed as they run. An interrupted demo goes on where it stopped.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from navsim_agents.errors import NavsimDriveJepaError
from training.config import read_config
from training.files import read_json, write_json
from training.report.provenance import git_revision, machine, versions
from training.stages import Stage, StageResult, run_stages
from training.table import summary_table

AGENT_NAME = "drive_jepa_perception_free"
TRAIN_WORLD, TEST_WORLD, TRAINING, EVALUATION = "world", "unseen_world", "training", "evaluation"
NOTE = (
    "'Neither the drives nor the towns are those of the training: the built-in world was made twice, with two seeds. "
    "Style, traffic rules and the driver who is imitated are the same.'"
)


@dataclass(frozen=True)
class WorldSize:
    """How much to drive and render."""

    logs: int  # drives
    duration_s: float  # of each
    scoring_scenes: bool = True  # make what PDMS and EPDMS need


@dataclass(frozen=True)
class DemoConfig:
    """Configuration of ``python -m training.demo``."""

    output: str
    agent: str  # group file of navsim_configs/agent
    train_world: WorldSize
    test_world: WorldSize
    epochs: int
    batch_size: int
    seed: int = 0  # of the training's world; the test's has the next one, so it has other towns and other drives
    workers: int = 2  # processes that render and cache
    threads: int = 2  # of torch
    train: list[str] = field(default_factory=list)  # further settings of training.train, as on its command line
    evaluate: list[str] = field(default_factory=list)  # further settings of training.evaluate


@hydra.main(version_base="1.2", config_path="conf", config_name="demo")
def main(composed: DictConfig) -> None:
    """Run the demo and print its table."""
    config = read_config(DemoConfig, composed)
    start = time.monotonic()
    try:
        results = run_stages(
            Path(config.output), demo_stages(config), versions().get("navsim-drive-jepa", ""), _environment(config)
        )
    except KeyboardInterrupt:
        raise SystemExit("\ninterrupted; run the same command to go on from here") from None
    except NavsimDriveJepaError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from None
    summary = write_summary(config, results)
    print(closing_words(config, summary, time.monotonic() - start))


def demo_stages(config: DemoConfig) -> list[Stage]:
    """A world to learn from, a world of other towns to be tested in, training, evaluation, report."""
    stages = [
        _world_stage(config, TRAIN_WORLD, config.train_world, config.seed, "train"),
        _world_stage(config, TEST_WORLD, config.test_world, config.seed + 1, "test"),
        _training_stage(config),
        _evaluation_stage(config),
    ]
    return [*stages, _report_stage(config, stages)]


def _world_stage(config: DemoConfig, name: str, size: WorldSize, seed: int, split: str) -> Stage:
    folder = Path(config.output) / name
    shares = {share: int(share == split) for share in ("train", "val", "test")}
    arguments = (
        f"output={folder}",
        f"logs={size.logs}",
        f"seed={seed}",
        f"duration_s={size.duration_s:g}",
        "splits={" + ",".join(f"{share}:{count}" for share, count in shares.items()) + "}",
        "cameras=[cam_f0]",
        "skip_unseen_frames=true",
        f"scoring_scenes={str(size.scoring_scenes).lower()}",
    )
    purpose = f"drive {size.logs} times {size.duration_s:g} s through towns of seed {seed}, rendering the front camera"
    return Stage(name, purpose, "navsim_agents.world", arguments, folder, (f"workers={config.workers}",))


def _training_stage(config: DemoConfig) -> Stage:
    folder = Path(config.output) / TRAINING
    arguments = (
        f"agent={config.agent}",
        f"data.root={Path(config.output) / TRAIN_WORLD}",
        f"output={folder}",
        f"seed={config.seed}",
        f"dataloader.params.batch_size={config.batch_size}",
        f"trainer.params.max_epochs={config.epochs}",
        *config.train,
    )
    running = (f"cache.workers={config.workers}", f"threads={config.threads}")
    return Stage(
        TRAINING, f"train {config.agent} for {config.epochs} epochs", "training.train", arguments, folder, running
    )


def _evaluation_stage(config: DemoConfig) -> Stage:
    output = Path(config.output)
    arguments = (
        f"data_root={output / TEST_WORLD}",
        "split=test",
        f"output={output / EVALUATION}",
        f"+runs.{AGENT_NAME}={output / TRAINING}",
        *config.evaluate,
    )
    purpose = "plan and score every scene of the towns that were kept back"
    return Stage(
        EVALUATION, purpose, "training.evaluate", arguments, output / EVALUATION, (f"threads={config.threads}",)
    )


def _report_stage(config: DemoConfig, stages: list[Stage]) -> Stage:
    output = Path(config.output)
    repeat = ",".join(f'"{shlex.join(stage.command)}"' for stage in stages)
    arguments = (
        f"evaluation={output / EVALUATION}",
        f"training={output / TRAINING}",
        f"data_root={output / TEST_WORLD}",
        f"agent_name={AGENT_NAME}",
        f"output={output / 'report.html'}",
        f"notes=[{NOTE}]",
        f"repeat=[{repeat}]",
    )
    return Stage("report", "draw curves and scenes", "training.report", arguments, output / "report")


def write_summary(config: DemoConfig, results: list[StageResult]) -> dict[str, Any]:
    """``summary.json``: the evaluation's, with what is needed to repeat it."""
    output = Path(config.output)
    evaluated = read_json(output / EVALUATION / "summary.json")
    training = read_json(output / TRAINING / "result.json")
    summary = {
        "agents": evaluated["agents"],
        "scenes": evaluated["scenes"],
        "meta": {
            "config": asdict(config),
            "training": {key: training[key] for key in ("epochs", "steps", "num_scenes", "num_parameters")},
            "seconds": {result.name: result.seconds for result in results},
            "versions": versions(),
            "machine": machine(),
            "git_revision": git_revision(),
        },
    }
    write_json(output / "summary.json", summary)
    return summary


def closing_words(config: DemoConfig, summary: dict[str, Any], seconds: float) -> str:
    """The table and where everything is."""
    agents, output = summary["agents"], Path(config.output)
    ratio = agents[AGENT_NAME]["ade_m"] / agents["constant_velocity"]["ade_m"]
    stages = ", ".join(f"{name} {spent:.0f} s" for name, spent in summary["meta"]["seconds"].items())
    return "\n".join(
        [
            "",
            summary_table(summary),
            "",
            f"The trained agent's ADE is {ratio:.2f} of constant velocity's, in towns it has not seen.",
            f"Time: {stages}; this call {seconds:.0f} s.",
            f"Pictures: {output / 'report.html'}   numbers: {output / 'summary.json'}",
        ]
    )


def _environment(config: DemoConfig) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(config.threads)}


if __name__ == "__main__":
    main()
