"""The program of docs/alpasim.md runs, and its table names every refusal."""

from __future__ import annotations

import re
from typing import Any

import pytest

from navsim_agents.alpasim import faults
from navsim_agents.evaluation.baselines import ConstantVelocity
from tests.alpasim.package import needing_package
from tests.demo import ROOT

PAGE = (ROOT / "docs" / "alpasim.md").read_text(encoding="utf-8")


def test_every_code_stands_in_the_table() -> None:
    codes = {value for name, value in vars(faults).items() if name.isupper()}
    rows = set(re.findall(r"\b[A-Z]+_[A-Z]+\b|\bINTERNAL\b", "".join(re.findall(r"^\|.*$", PAGE, re.MULTILINE))))
    assert codes == rows


def test_the_program_runs(capsys: pytest.CaptureFixture[str]) -> None:
    rollouts: Any = needing_package("tests.alpasim.rollouts")
    (program,) = re.findall(r"^```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    driver = rollouts.Driver(ConstantVelocity(), "told")
    with rollouts.serving(driver, rollouts.Limits()) as (port, _):
        exec(program.replace("50051", str(port)), {})
    assert capsys.readouterr().out.splitlines()[-1].split()[:2] == ["5000000", "[25."]
