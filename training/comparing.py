"""The comparison of pretrainings from its worlds to its table: every row a chain of stages of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from navsim_agents.common.files import read_json, write_json, write_text
from navsim_agents.evaluation.encoder_weights import RANDOM
from navsim_agents.evaluation.seeds import seeded
from navsim_agents.evaluation.table import is_headline
from training.ablation.identity import content_hash, logs_hash
from training.ablation.inputs import version
from training.comparison_config import ComparisonConfig
from training.pretraining.loop import RESULT_FILE
from training.probe_config import LINEAR_FIT
from training.probing import SUMMARY_FILE, probe_table
from training.report.provenance import git_revision, machine, versions
from training.stages import Stage, in_hydra, run_stages
from training.world_stages import clips_stage, manifest_path, pretraining_stage

PRETRAININGS, PROBES, CACHE = "pretrainings", "probes", "cache"
COMPARISON_FILE, TABLE_FILE, BY_SEED_FILE = "comparison.json", "comparison.txt", "seeds.csv"
MEASURED = {"metrics": "planner", LINEAR_FIT: LINEAR_FIT}
"""Key of an encoder in the probe's summary -> what was measured."""


def compare(config: ComparisonConfig) -> str:
    """Make what is not there yet, write table, csv and json, and return the table.

    A row keeps its pretrainings while its own settings, the clips and the logs stay the same, whatever becomes of the
    others; a seed more adds to them.

    Raises:
        StageError: a stage failed.
    """
    origin = prepare_clips(config)
    summaries = [probe_row(config, name, pretrain_row(config, name, origin), origin) for name in config.rows]
    if config.has_random_row:
        summaries.append(probe_row(config, RANDOM, RANDOM, origin))
    return write_comparison(config, summaries)


def prepare_clips(config: ComparisonConfig) -> str:
    """Make the worlds unless they are given, list their pictures as clips; a short hash of what there is to learn."""
    output, (root, split, test_root, test_split) = Path(config.output), config.logs
    worlds = config.worlds.stages() if config.given.root is None else []
    stages = [*worlds, clips_stage(output, Path(root), split, config.workers)]
    run_stages(output, stages, version(), environment(config))
    clips = manifest_path(output).read_text(encoding="utf-8")
    return content_hash([version(), clips, logs_hash(root, split, 1), logs_hash(test_root, test_split, 1)])


def pretrain_row(config: ComparisonConfig, name: str, origin: str) -> list[str]:
    """Pretrain with every seed; the checkpoints."""
    output = Path(config.output)
    stages = [
        pretraining_stage(
            seeded(name, seed),
            output / PRETRAININGS / seeded(name, seed),
            manifest_path(output),
            Path(config.logs[0]),
            (f"seed={seed}", *config.pretraining, *config.rows[name]),
            config.threads,
        )
        for seed in config.seeds
    ]
    run_stages(output, stages, origin, environment(config))
    return [str(stage.folder / read_json(stage.folder / RESULT_FILE)["checkpoint"]) for stage in stages]


def probe_row(config: ComparisonConfig, name: str, weights: Any, origin: str) -> dict[str, Any]:
    """Plan on a row's encoders, frozen: the probe's summary."""
    root, split, test_root, test_split = config.logs
    folder = Path(config.output) / PROBES / name
    arguments = (
        f"output={folder}",
        f"data.root={root}",
        f"data.split={split}",
        f"test.root={test_root}",
        f"test.split={test_split}",
        f"cache.path={Path(config.output) / CACHE}",
        f"+encoders.{name}={in_hydra(weights)}",
        f"seeds={in_hydra(config.seeds)}",
        *config.probe,
    )
    purpose = f"plan on the encoders of {name}, frozen"
    running = (f"threads={config.threads}", f"cache.workers={config.workers}")
    learnt = [weights, config.pretraining, config.rows.get(name)]
    stage = Stage(f"probe-{name}", purpose, "training.probe", arguments, folder, running)
    run_stages(Path(config.output), [stage], content_hash([origin, learnt]), environment(config))
    return dict(read_json(folder / SUMMARY_FILE))


def environment(config: ComparisonConfig) -> Mapping[str, str]:
    """Of the stages' processes."""
    return {"OMP_NUM_THREADS": str(config.threads)}


def write_comparison(config: ComparisonConfig, summaries: list[dict[str, Any]]) -> str:
    """All files in ``config.output``; the table that the command prints."""
    output = Path(config.output)
    encoders = {name: encoder for summary in summaries for name, encoder in summary["encoders"].items()}
    joined = {**summaries[0], "encoders": encoders, "config": asdict(config)}
    table = probe_table(joined)
    lines = [
        {"row": name, "seed": seed, "measure": measure, "metric": metric, "value": value}
        for name, encoder in encoders.items()
        for key, measure in MEASURED.items()
        for metric, its in encoder.get(key, {}).items()
        if is_headline(metric)
        for seed, value in zip(encoder["seeds"], its["values"])
    ]
    write_text(output / BY_SEED_FILE, pd.DataFrame(lines).to_csv(index=False))
    write_text(output / TABLE_FILE, table + "\n")
    origin = {"versions": versions(), "machine": machine(), "git_revision": git_revision()}
    write_json(output / COMPARISON_FILE, {**joined, **origin})
    return table
