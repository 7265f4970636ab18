"""Checks a NAVSIM submission before the server does, of v1.1 or v2.2, without devkit or network.

    python -m cache_tools.validate_submission submission=submission.pkl tokens=…/scene_filter/navtest.yaml

``tokens``: NAVSIM's scene filter (YAML), or a text file with one token a line. Exit code 1 where the server would
refuse or mis-score the file.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from omegaconf import OmegaConf

from navsim_agents.common.command import command
from navsim_agents.common.settings import READS
from navsim_agents.data.submission import ExpectedTokens, SubmissionReport, check_submission, load_submission
from navsim_agents.errors import InputError

SECOND_STAGE_KEYS = ("reactive_synthetic_initial_tokens", "synthetic_scene_tokens")


@dataclass(frozen=True)
class ValidateSubmissionConfig:
    """Options of the command; paths are relative to the working directory."""

    submission: str = field(metadata=READS)
    tokens: Optional[str] = field(default=None, metadata=READS)


def read_tokens(path: Optional[Path]) -> ExpectedTokens:
    """Tokens of a scene filter in YAML (both stages), or of a text file (the first one).

    Raises:
        InputError: no such file, or it names no token.
    """
    if path is None:
        return ExpectedTokens()
    if not path.is_file():
        raise InputError(f"{path} is not a file; tokens is a scene filter in YAML or a text file with a token a line")
    if path.suffix in (".yaml", ".yml"):
        content: Any = OmegaConf.to_container(OmegaConf.load(path))
        filters = content if isinstance(content, dict) else {"tokens": content}
        second: list[Any] = next((filters[key] for key in SECOND_STAGE_KEYS if filters.get(key)), [])
    else:
        filters, second = {"tokens": path.read_text(encoding="utf-8").split()}, []
    if not filters.get("tokens"):
        raise InputError(f"{path} lists no tokens, so nothing says which scenes the split has; give another filter")
    return ExpectedTokens(frozenset(map(str, filters["tokens"])), frozenset(map(str, second)))


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
    scope = "all scenes of the split" if config.tokens else "completeness not checked: give tokens=…"
    print(f"format {report.version}, {report.num_trajectories} trajectories ({scope})")
    if not report.is_valid:
        sys.exit("not valid: mend the errors above")


if __name__ == "__main__":
    main()
