"""Plans every scene of a split with each agent and measures the plans."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Optional

import torch

from navsim_agents.common.command import command
from navsim_agents.common.files import write_json
from navsim_agents.data.logs import sensors_of
from navsim_agents.data.split_mapping import TwoStageMapping, read_two_stage_mapping
from navsim_agents.errors import InputError
from navsim_agents.evaluation.agents import load_agents
from navsim_agents.evaluation.choice_run import ChoiceLabels, choice_table, write_choice
from navsim_agents.evaluation.files import SUMMARY_FILE, write_evaluation
from navsim_agents.evaluation.planning import choose_scenes, plan_scenes
from navsim_agents.evaluation.seeds import spread_table
from navsim_agents.evaluation.table import summary_table
from navsim_agents.evaluation.two_stage_files import groups_in_words, refuse_without_group, write_two_stage
from navsim_agents.sources import LoggedScenes, SceneSource, TwoStageScenes
from training.config import TWO_STAGE, EvaluateConfig

NUM_SHOWN = 5
CHOICE = "choice"


@command(EvaluateConfig, "training.conf.evaluate")
def main(config: EvaluateConfig) -> None:
    """Evaluate as configured and print the table."""
    summary = evaluate(config)
    _say_failures(summary["scenes"]["failures"], Path(config.output) / SUMMARY_FILE)
    print(summary_table(summary))
    if TWO_STAGE in summary:
        print("\n".join(["", *groups_in_words(summary[TWO_STAGE])]))
    if CHOICE in summary:
        print("\n" + choice_table(summary[CHOICE]))
    if summary["seeds"]:
        print("\n" + spread_table("over seeds", summary["seeds"], {}))


def _say_failures(failures: Sequence[Mapping[str, str]], path: Path) -> None:
    for failure in failures[:NUM_SHOWN]:
        who = failure["agent"] or "the scene is left out"
        print(f"failed: {failure['token']} of {failure['log_name']} ({who}): {failure['reason']}")
    if failures:
        print(f"{len(failures)} scenes or plans failed; {path} names them all")


def evaluate(config: EvaluateConfig, source: Optional[SceneSource] = None) -> dict[str, Any]:
    """Write plans, one csv an agent and the summary into ``config.output``; return the summary.

    ``source`` stands in for the logs at ``config.data_root``.

    Raises:
        InputError: a setting breaks a rule, or no scene can be read.
        CheckpointError: weights are damaged, or not of their agent.
    """
    if not config.columns:
        raise InputError("columns=[] leaves nothing to measure; name displacement, pdms or epdms")
    config.check_traffic()
    if config.threads:
        torch.set_num_threads(config.threads)
    start = time.monotonic()
    agents = load_agents(config.contestants)
    mapping = read_two_stage_mapping(Path(config.tokens)) if config.tokens else None
    source = source or _source(config, sensors_of(agents.values()), mapping)
    tokens = choose_scenes(source, config.log_names, config.max_scenes)
    asked_for = _asked_for(mapping, config, tokens) if mapping is not None else None
    if asked_for is not None:
        refuse_without_group(asked_for, source, config.traffic_in_use)
    result = plan_scenes(agents, source, tokens)
    if not result.scenes:
        raise InputError(f"no scene of {config.data_root} ({config.split}) could be read: {result.failures[:3]}")
    output = Path(config.output)
    summary = write_evaluation(result, source, config.columns, output, config.traffic_in_use)
    if asked_for is not None:
        averages, summary[TWO_STAGE] = write_two_stage(result, source, asked_for, output, config.traffic_in_use)
        for name, values in averages.items():
            summary["agents"][name] = {**values, **summary["agents"][name]}
    if config.choice:
        labels = ChoiceLabels(config.labels, config.vocabulary) if config.labels and config.vocabulary else None
        summary[CHOICE] = write_choice(agents, result, source, output, labels)
    summary["meta"] = {"config": asdict(config), "seconds": round(time.monotonic() - start, 1)}
    write_json(output / SUMMARY_FILE, summary)
    return summary


def _source(
    config: EvaluateConfig, sensors: Mapping[str, tuple[int, ...]], mapping: Optional[TwoStageMapping]
) -> SceneSource:
    if mapping is None:
        return LoggedScenes(config.data_root, config.split, sensors, config.frame_interval, config.scenes)
    return TwoStageScenes(
        config.data_root, config.split, mapping, *config.synthetic_paths, sensors=sensors, scenes=config.scenes
    )


def _asked_for(
    mapping: TwoStageMapping, config: EvaluateConfig, tokens: Mapping[str, Sequence[str]]
) -> TwoStageMapping:
    """All groups, or those of the logs that were named."""
    found = {token for of_log in tokens.values() for token in of_log}
    return mapping if config.log_names is None else mapping.of_scenes(found)


if __name__ == "__main__":
    main()
