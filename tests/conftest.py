"""Shapes and dtypes in the annotations of tensor code are checked while the tests run."""

from __future__ import annotations

import pytest
from jaxtyping import install_import_hook

install_import_hook(
    ["navsim_agents.models", "navsim_agents.scoring", "navsim_agents.distillation"], "beartype.beartype"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-devkit", action="store_true", help="fail, instead of skipping, where there is no NAVSIM devkit"
    )
