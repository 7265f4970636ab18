"""The ablation from its inputs to its files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from navsim_agents.common.files import read_json, write_json, write_text
from navsim_agents.drive_jepa.runs import load_agent
from navsim_agents.errors import InputError, NavsimDriveJepaError
from navsim_agents.evaluation.agents import has_momentum
from navsim_agents.evaluation.files import SUMMARY_FILE
from navsim_agents.scenes import open_scenes
from navsim_agents.sources import STORES
from training.ablation.chart import write_chart
from training.ablation.config import ABLATION_FILE, AblateConfig
from training.ablation.identity import logs_hash
from training.ablation.inputs import Inputs, prepare_inputs, version
from training.ablation.results import AblationResults, read_rows
from training.ablation.tables import failures_in_words, in_words, markdown_table
from training.ablation.trainings import Trainings, costs, folder_name, plan_trainings, prepare_caches, run_trainings
from training.config import EvaluateConfig
from training.evaluate import evaluate
from training.report.provenance import git_revision, machine, versions

TABLE_FILE, CHART_FILE = "ablation.md", "ablation.png"
BY_SEED_FILE, BY_ROW_FILE, COMPARISONS_FILE = "seeds.csv", "rows.csv", "comparisons.csv"
STAMP_FILE = "ablation_stamp.json"


def ablate(config: AblateConfig) -> str:
    """Make what is not there yet, write table, chart and csv files, and return the table with what it says.

    Raises:
        InputError: no row could be trained and planned with.
        StageError: a stage that makes the world failed.
    """
    inputs = prepare_inputs(config)
    trainings = plan_trainings(config, inputs)
    prepare_caches(config, trainings)
    run_trainings(config, trainings)
    drop_unfit(config, trainings)
    if not trainings.of_row:
        raise InputError(f"no row is left: {'; '.join(failures_in_words(trainings.failures))}; correct the rows")
    summary = evaluate_rows(config, inputs, trainings)
    names = {row: {seed: folder_name(config, row, seed) for seed in config.seeds} for row, _ in trainings.of_row}
    results = read_rows(config.folder("evaluation"), summary["agents"], names, config.baselines)
    return write_results(config, results, trainings, summary)


def drop_unfit(config: AblateConfig, trainings: Trainings) -> None:
    """Leave out rows whose weights cannot be planned with as the row asks."""
    for name, row in config.all_rows.items():
        training = trainings.of_row.get((name, config.seeds[0]))
        if training is None:
            continue
        try:
            agent = load_agent(training.folder, settings=row.when_planning, weights=config.weights)
            if row.in_sequence and not has_momentum(agent):
                raise InputError("in_sequence=true needs momentum; add momentum.mode=on, or leave it out")
        except NavsimDriveJepaError as error:
            trainings.drop(name, f"when_planning: {error}")


def evaluate_rows(config: AblateConfig, inputs: Inputs, trainings: Trainings) -> dict[str, Any]:
    """The summary of one evaluation of all rows, which is kept where nothing has changed."""
    rows = config.all_rows
    agents = {folder_name(config, row, seed): (row, its) for (row, seed), its in trainings.of_row.items()}
    folder = config.folder("evaluation")
    settings = EvaluateConfig(
        output=str(folder),
        data_root=inputs.test_root,
        split=inputs.test_split,
        baselines=config.baselines,
        runs={name: str(training.folder) for name, (_, training) in agents.items()},
        run_settings={name: rows[row].when_planning for name, (row, _) in agents.items() if rows[row].when_planning},
        weights=config.weights,
        sequential=[name for name, (row, _) in agents.items() if rows[row].in_sequence],
        columns=config.columns,
        scenes=inputs.test_scenes,
        max_scenes=config.max_scenes,
        traffic=config.traffic,
        threads=max(1, config.workers) * config.threads,
    )
    stamp = {
        "settings": {name: value for name, value in asdict(settings).items() if name != "threads"},
        "trainings": {name: its.identity for name, (_, its) in agents.items()},
        "version": version(),
        "test": of_test(settings),
    }
    if (folder / STAMP_FILE).exists() and read_json(folder / STAMP_FILE) == stamp:
        return dict(read_json(folder / SUMMARY_FILE))
    summary = evaluate(settings)
    write_json(folder / STAMP_FILE, stamp)
    return summary


def of_test(settings: EvaluateConfig) -> list[str]:
    """What is planned and scored, wherever it lies: hashes of the logs and of their scoring scenes."""
    logs = logs_hash(settings.data_root, settings.split, settings.frame_interval)
    scenes = Path(settings.scenes or Path(settings.data_root) / STORES / settings.split)
    return [logs, open_scenes(str(scenes)).digest if scenes.exists() else "none"]


def write_results(
    config: AblateConfig, results: AblationResults, trainings: Trainings, summary: Mapping[str, Any]
) -> str:
    """All files in ``config.output``; the words that the command prints."""
    output = Path(config.output)
    comparisons = [its for metric in results.metrics for its in results.comparisons(metric)]
    lines = [{**asdict(its), "is_noise": its.is_noise} for its in comparisons]
    write_text(output / BY_SEED_FILE, results.by_seed().to_csv(index=False))
    write_text(output / BY_ROW_FILE, results.by_row().to_csv(index=False))
    write_text(output / COMPARISONS_FILE, pd.DataFrame(lines).to_csv(index=False))
    write_chart(results, output / CHART_FILE)
    scenes, differences = summary["scenes"], in_words(results, config.judged_by)
    words = "\n".join(
        [
            f"{scenes['num_scenes']} scenes of {scenes['num_logs']} drives that no training saw; mean ± standard "
            "deviation over seeds.",
            "",
            markdown_table(results),
            "",
            differences,
            *failures_in_words(trainings.failures),
        ]
    )
    write_text(output / TABLE_FILE, words + "\n")
    write_json(
        output / ABLATION_FILE,
        {
            "rows": {row.name: row.spread for row in results.rows},
            "differences": differences,
            "failures": trainings.failures,
            "scenes": scenes,
            "trainings": costs(trainings.distinct),
            "folders": {row: its.folder.name for (row, _), its in trainings.of_row.items()},
            "config": asdict(config),
            "versions": versions(),
            "machine": machine(),
            "git_revision": git_revision(),
            "written_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    )
    return words
