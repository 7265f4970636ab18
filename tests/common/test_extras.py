"""Every command where optional packages are missing, alone and all together: one line that names the extra."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import pytest

from navsim_agents.common.extras import (
    EXTRAS,
    OLDEST_PYTHON,
    MissingPackageError,
    explain_missing_module,
    require_extras,
)
from tests.common.commands import COMMANDS, places
from tests.common.in_one_process import Told, Work, run_all
from tests.demo import ROOT
from training import demo

ALL = [module for modules in EXTRAS.values() for module in modules]
OF_DEMO = [module for extra in demo.EXTRAS for module in EXTRAS[extra]]
NEEDED = {
    "navsim_agents.world.__main__": "shapely is not installed",
    "training.recoveries": "shapely is not installed",
    "training.report.__main__": "matplotlib is not installed",
    "training.demo": "shapely is not installed",
}
"""Commands that can do nothing at all without an extra, and what they say."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """Inputs are missing too, so that nothing succeeds; what is said is about them, or about the extra."""
    folder = tmp_path_factory.mktemp("nothing")
    works = [Work(name, command.overrides(places(folder / name))) for name, command in COMMANDS.items()]
    return run_all(works, folder, [*ALL, "navsim", "nuplan"])


@pytest.mark.parametrize("module", list(COMMANDS))
def test_command_without_any_optional_package(module: str, told: dict[str, Told]) -> None:
    code, words, printed = told[module]
    assert code == 1
    assert "Traceback" not in printed + words
    assert len(words.strip().splitlines()) == 1
    assert NEEDED.get(module, "") in words
    if module in NEEDED:
        assert "; pip install 'navsim-drive-jepa[" in words


@pytest.mark.parametrize("module", OF_DEMO)
def test_demo_names_each_package_before_it_begins(module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("navsim_agents.common.extras.find_spec", lambda name: None if name == module else found(name))
    extra = next(extra for extra, modules in EXTRAS.items() if module in modules)
    ended = COMMANDS["training.demo"].run(f"output={tmp_path / 'out'}")
    assert ended.words == (
        f"MissingPackageError: {module} is not installed, but this command needs it; "
        f"pip install 'navsim-drive-jepa[{extra}]' brings it"
    )
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_not_asked_for() -> None:
    require_extras(*EXTRAS)


def test_what_nobody_may_lack_is_a_fault() -> None:
    assert explain_missing_module(ModuleNotFoundError("x", name="navsim_agents.nothing")) is None
    assert "docs/devkit.md" in str(explain_missing_module(ModuleNotFoundError("x", name="nuplan.common")))
    with pytest.raises(MissingPackageError, match=r"navsim-drive-jepa\[video\]"):
        raise MissingPackageError(str(explain_missing_module(ModuleNotFoundError("x", name="av.container"))))


@pytest.mark.parametrize(("python", "words"), [((3, 9), "it; under Python 3.10 or newer pip"), ((3, 10), "it; pip")])
def test_an_older_python_is_not_sent_to_an_extra_that_is_empty_there(
    python: tuple[int, int], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("navsim_agents.common.extras.PYTHON", python)
    monkeypatch.setattr("navsim_agents.common.extras.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=rf"{words} install 'navsim-drive-jepa\[alpasim\]'"):
        require_extras("alpasim")


def test_pythons_are_those_of_the_distribution() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.findall(r"^(\w+) = \[.*python_version >= '(\d+)\.(\d+)'", text, re.MULTILINE)
    assert {extra: (int(major), int(minor)) for extra, major, minor in found} == OLDEST_PYTHON
