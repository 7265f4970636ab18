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


@dataclass(frozen=True)
class DemoConfig:
    """Configuration of ``python -m training.demo``."""

    output: str
    agent: str  # group file of navsim_configs/agent
    logs: int  # drives in the world
    train_logs_per_test_log: int
    duration_s: float  # of one drive
    epochs: int
    batch_size: int
    seed: int = 0
    workers: int = 2  # processes that render and cache
    threads: int = 2  # of torch
    world: list[str] = field(default_factory=list)  # further settings of the commands, as on their command lines
    train: list[str] = field(default_factory=list)
    evaluate: list[str] = field(default_factory=list)


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
    """World, training, evaluation on drives that the training has not seen, report."""
    output = Path(config.output)
    world, training, evaluation = (output / name for name in ("world", "training", "evaluation"))
    stages = [
        Stage(
            "world",
            f"simulate and render {config.logs} drives through four towns",
            "navsim_agents.world",
            (
                f"output={world}",
                f"logs={config.logs}",
                f"seed={config.seed}",
                f"duration_s={config.duration_s}",
                f"splits={{train:{config.train_logs_per_test_log},val:0,test:1}}",
                "cameras=[cam_f0]",
                "skip_unseen_frames=true",
                *config.world,
            ),
            world,
            (f"workers={config.workers}",),
        ),
        Stage(
            "training",
            f"train {config.agent} for {config.epochs} epochs",
            "training.train",
            (
                f"agent={config.agent}",
                f"data.root={world}",
                f"output={training}",
                f"seed={config.seed}",
                f"dataloader.params.batch_size={config.batch_size}",
                f"trainer.params.max_epochs={config.epochs}",
                *config.train,
            ),
            training,
            (f"cache.workers={config.workers}", f"threads={config.threads}"),
        ),
        Stage(
            "evaluation",
            "plan every scene of the drives that were kept back",
            "training.evaluate",
            (
                f"data_root={world}",
                "split=test",
                f"output={evaluation}",
                f"+runs.{AGENT_NAME}={training}",
                *config.evaluate,
            ),
            evaluation,
            (f"threads={config.threads}",),
        ),
    ]
    return [*stages, _report_stage(config, stages)]


def _report_stage(config: DemoConfig, stages: list[Stage]) -> Stage:
    output = Path(config.output)
    repeat = ",".join(f'"{shlex.join(stage.command)}"' for stage in stages)
    return Stage(
        "report",
        "draw curves and scenes",
        "training.report",
        (
            f"evaluation={output / 'evaluation'}",
            f"training={output / 'training'}",
            f"data_root={output / 'world'}",
            f"agent_name={AGENT_NAME}",
            f"output={output / 'report.html'}",
            f"repeat=[{repeat}]",
        ),
        output / "report",
    )


def write_summary(config: DemoConfig, results: list[StageResult]) -> dict[str, Any]:
    """``summary.json``: the evaluation's, with what is needed to repeat it."""
    output = Path(config.output)
    evaluated = read_json(output / "evaluation" / "summary.json")
    training = read_json(output / "training" / "result.json")
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
            f"The trained agent's ADE is {ratio:.2f} of constant velocity's, on drives it has not seen.",
            f"Time: {stages}; this call {seconds:.0f} s.",
            f"Pictures: {output / 'report.html'}   numbers: {output / 'summary.json'}",
        ]
    )


def _environment(config: DemoConfig) -> dict[str, str]:
    # Threads that wait without spinning leave the cores to whoever else needs them.
    return {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(config.threads)}


if __name__ == "__main__":
    main()
