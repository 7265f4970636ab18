"""Makes a world, trains agents, evaluates them and writes a report, with nothing downloaded.

The stages are the package's own commands, printed as they run. An interrupted demo goes on where it stopped.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from navsim_agents.common.command import command
from navsim_agents.common.extras import require_extras
from navsim_agents.common.files import read_json, write_json
from navsim_agents.drive_jepa.runs import RESULT_FILE
from navsim_agents.evaluation.table import summary_table
from training.ablation.config import ABLATION_FILE
from training.demo_config import DemoConfig
from training.demo_stages import ABLATION, EVALUATION, demo_stages, training_folder
from training.report.provenance import git_revision, machine, versions
from training.stages import StageResult, run_stages
from training.world_stages import PRETRAINING

PRETRAINED = ("steps", "clips", "seconds")
TRAINED = ("epochs", "steps", "num_scenes", "num_parameters")
EXTRAS = ("world", "report", "labels", "video")
"""Optional packages that some stage needs; better told at the start than after minutes."""


@command(DemoConfig, "training.conf.demo")
def main(config: DemoConfig) -> None:
    """Run the demo and print its table."""
    start = time.monotonic()
    require_extras(*EXTRAS)
    results = run_stages(
        Path(config.output), demo_stages(config), versions().get("navsim-drive-jepa", ""), _environment(config)
    )
    summary = write_summary(config, results)
    print(closing_words(config, summary, time.monotonic() - start))


def write_summary(config: DemoConfig, results: list[StageResult]) -> dict[str, Any]:
    """``summary.json``: the evaluation's, with what is needed to repeat it."""
    output = Path(config.output)
    evaluated = read_json(output / EVALUATION / "summary.json")
    trainings = {name: read_json(training_folder(config, name) / RESULT_FILE) for name in config.trainings}
    pretraining = read_json(output / PRETRAINING / RESULT_FILE) if config.pretraining.steps else {}
    ablation = read_json(output / ABLATION / ABLATION_FILE)
    summary = {
        "agents": evaluated["agents"],
        "scenes": evaluated["scenes"],
        "differences": ablation["differences"],
        "meta": {
            "config": asdict(config),
            "pretraining": {key: pretraining[key] for key in PRETRAINED if key in pretraining},
            "trainings": {name: {key: result[key] for key in TRAINED} for name, result in trainings.items()},
            "seconds": {result.name: result.seconds for result in results},
            "processor_seconds": {result.name: result.processor_seconds for result in results},
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
    ratio = agents[config.imitating]["ade_m"] / agents["constant_velocity"]["ade_m"]
    meta = summary["meta"]
    stages = ", ".join(f"{name} {spent:.0f} s" for name, spent in meta["seconds"].items())
    processor = sum(meta["processor_seconds"].values())
    return "\n".join(
        [
            "",
            summary_table(summary),
            "",
            summary["differences"],
            "",
            f"ADE of {config.imitating} is {ratio:.2f} of constant velocity's, in towns it has not seen.",
            f"Time: {stages}; this call {seconds:.0f} s. Of processors, all stages: {processor:.0f} s.",
            f"Pictures: {output / 'report.html'}   numbers: {output / 'summary.json'}",
        ]
    )


def _environment(config: DemoConfig) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(config.threads)}


if __name__ == "__main__":
    main()
