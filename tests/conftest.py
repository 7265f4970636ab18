"""Shapes and dtypes in the annotations of tensor code are checked while the tests run."""

from __future__ import annotations

from pathlib import Path

import pytest
from jaxtyping import install_import_hook

from tests import shape_checks
from tests.demo import DemoRun, run_demo

install_import_hook(shape_checks.CHECKED, shape_checks.NAME)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-devkit", action="store_true", help="fail, instead of skipping, where there is no NAVSIM devkit"
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """The demo's whole output, of a tiny world."""
    return run_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def demo_folder(demo: DemoRun) -> Path:
    """Where it lies; a demo that failed says why."""
    assert demo.finished.returncode == 0, demo.finished.stdout
    return demo.output
