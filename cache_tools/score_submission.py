"""Scores a submission offline, as NAVSIM's server does, without devkit or network.

    drive-jepa score-submission submission=submission.pkl tokens=…/train_test_split/navhard_two_stage.yaml \\
        scenes=STORE output=SCORES.csv

v2.2's format (two stages) needs the split's file, whose mapping says which scenes belong together. Of v1.1's (PDMS)
``tokens`` may be a scene filter or a list; without it, all of ``scenes`` are the split. ``output`` is the table that
``run_pdm_score_from_submission.py`` writes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from cache_tools.validate_submission import read_tokens
from navsim_agents.common.command import command
from navsim_agents.common.files import write_text
from navsim_agents.common.settings import READS, writes_file
from navsim_agents.data.split_mapping import read_two_stage_mapping
from navsim_agents.data.submitted_plans import read_submitted_plans
from navsim_agents.errors import InputError
from navsim_agents.evaluation.submission_scores import SubmissionScores, score_one_stage, score_two_stages
from navsim_agents.scenes import open_scenes
from navsim_agents.scoring.config import LOG_REPLAY, PDMS, REACTIVE, refuse_traffic

NUM_SHOWN = 5


@dataclass(frozen=True)
class ScoreSubmissionConfig:
    """Options of the command; paths are relative to the working directory."""

    submission: str = field(metadata=READS)
    scenes: str = field(metadata=READS)  # a scene store, a folder of stores, or beside the devkit a metric cache
    output: str = field(metadata=writes_file(".csv"))
    tokens: Optional[str] = field(default=None, metadata=READS)
    traffic: Optional[str] = None  # of two stages: null is reactive, as NAVSIM's script has it; log_replay is possible
    incomplete: bool = False  # score what is whole where NAVSIM's script would end without any score


def score_submission(config: ScoreSubmissionConfig) -> SubmissionScores:
    """Score, write ``config.output``, and return what was written.

    Raises:
        WorldDataError: the submission cannot be read.
        InputError: scenes have no plan or no score, or ``tokens`` or ``scenes`` break a rule.
        SceneError, DevkitError: the scenes cannot be opened.
        TrajectoryError: there is no such traffic, or v1.1 knows none.
    """
    submitted = read_submitted_plans(Path(config.submission))
    scenes = open_scenes(config.scenes)
    if submitted.is_two_stage:
        if config.tokens is None:
            raise InputError(
                f"{config.submission} is of two stages, but nothing says which of its scenes belong together; give "
                "tokens=<the split's YAML>, such as train_test_split/navhard_two_stage.yaml"
            )
        mapping = read_two_stage_mapping(Path(config.tokens))
        found = score_two_stages(submitted, mapping, scenes, config.traffic or REACTIVE, config.incomplete)
    else:
        refuse_traffic(config.traffic or LOG_REPLAY, PDMS)
        split = read_tokens(Path(config.tokens) if config.tokens else None)
        if split.second_stage:
            raise InputError(
                f"{config.submission} is of one stage (v1.1), but {config.tokens} has {len(split.second_stage)} scenes "
                "of a second one; write it by v2.2's run_create_submission_pickle, or for PDMS alone give tokens=<a "
                "text file of scenes>"
            )
        of_split = split.first_stage
        tokens = sorted(of_split) if of_split is not None else scenes.tokens
        found = score_one_stage(submitted, tokens, scenes, config.incomplete)
    write_text(Path(config.output), found.table.to_csv())
    return found


@command(ScoreSubmissionConfig, "cache_tools.conf.score_submission")
def main(config: ScoreSubmissionConfig) -> None:
    """Score as configured, and print the averages and what has no score."""
    found = score_submission(config)
    for name, value in found.averages.items():
        print(f"{name:>10}  {value:.6f}")
    for token, why in list(found.left_out.items())[:NUM_SHOWN]:
        print(f"left out: {token}: {why}")
    if found.left_out:
        print(f"{len(found.left_out)} left out: NAVSIM's script would end without any score")
    print(f"wrote {config.output}")


if __name__ == "__main__":
    main()
