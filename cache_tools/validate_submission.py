"""Checks a submission of NAVSIM v1.1 or v2.2 before the server does, without devkit or network.

    drive-jepa validate-submission submission=submission.pkl tokens=…/scene_filter/navtest.yaml
    drive-jepa validate-submission submission=submission.pkl tokens=…/train_test_split/navhard_two_stage.yaml

``tokens``: NAVSIM's split or scene filter (YAML), or a text file with one token a line. A two-stage split's file also
says which scenes belong together. Exit code 1 where the server would refuse or mis-score the file.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from navsim_agents.common.command import command
from navsim_agents.common.settings import READS
from navsim_agents.data.names import NameList, quote_hint, read_names, read_nested_names
from navsim_agents.data.split_mapping import MAPPING_KEY, read_two_stage_mapping
from navsim_agents.data.submission import ExpectedTokens, SubmissionReport, check_submission, load_submission
from navsim_agents.errors import InputError

FILTER_GROUP = "scene_filter"
SECOND_STAGE_KEYS = ("reactive_synthetic_initial_tokens", "synthetic_scene_tokens")


@dataclass(frozen=True)
class ValidateSubmissionConfig:
    """Options of the command; paths are relative to the working directory."""

    submission: str = field(metadata=READS)
    tokens: Optional[str] = field(default=None, metadata=READS)


def read_tokens(path: Optional[Path]) -> ExpectedTokens:
    """Tokens of a scene filter in YAML (both stages), or of a text file (the first one), as the text that they are.

    A split's file has them in its mapping, or names the scene filter that lies beside it.

    Raises:
        InputError: no such file, or it names no token, or its mapping breaks a rule.
    """
    if path is None:
        return ExpectedTokens()
    lists = read_names(path)
    first = lists.get("tokens") or lists.get("")
    if first is None:
        of_split = _read_split(path)
        if of_split is not None:
            return of_split
    if first is None or not first.names:
        raise InputError(f"{path} lists no tokens, so nothing says which scenes the split has; give another filter")
    second = next((lists[key] for key in SECOND_STAGE_KEYS if key in lists and lists[key].names), NameList(()))
    note = quote_hint(str(path), first.misread + second.misread)
    return ExpectedTokens(frozenset(first.names), frozenset(second.names), note)


def _read_split(path: Path) -> Optional[ExpectedTokens]:
    """Tokens of a file of the group ``train_test_split``; None where it is no such file."""
    mapping, defaults = read_nested_names(path, MAPPING_KEY), read_nested_names(path, "defaults")
    if mapping is not None and mapping.content is not None:
        pairs = read_two_stage_mapping(path)
        return ExpectedTokens(frozenset(pairs.first_stage), frozenset(pairs.second_stage), pairs.note, pairs)
    entries = defaults.content if defaults is not None and isinstance(defaults.content, list) else []
    names = [entry[FILTER_GROUP] for entry in entries if isinstance(entry, dict) and FILTER_GROUP in entry]
    return read_tokens(path.parent / FILTER_GROUP / f"{names[0]}.yaml") if names else None


def validate(config: ValidateSubmissionConfig) -> SubmissionReport:
    """Check a file.

    Raises:
        WorldDataError: it cannot be read.
        InputError: ``tokens`` cannot be.
    """
    expected = read_tokens(Path(config.tokens) if config.tokens else None)
    return check_submission(load_submission(Path(config.submission)), expected)


@command(ValidateSubmissionConfig, "cache_tools.conf.validate_submission")
def main(config: ValidateSubmissionConfig) -> None:
    """Print every problem."""
    report = validate(config)
    for problem in report.problems:
        print(problem)
    print(f"format {report.version}, {report.num_trajectories} trajectories ({report.scope})")
    if not report.is_valid:
        sys.exit("not valid: mend the errors above")


if __name__ == "__main__":
    main()
