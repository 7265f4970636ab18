"""The public names: importable, documented, on the page, and the only ones that examples use."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import navsim_agents

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^- `([\w.]+)[^`]*`: (\S.*)$", PAGE, re.MULTILINE)
COMMANDS_NAMES = [name for name, _ in ENTRIES if name.startswith("training.")]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def found(name: str) -> Any:
    """The object behind a full name."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module or "navsim_agents"), attribute)


def imports(tree: ast.AST) -> list[str]:
    """Full names that a file imports; ``import a.b`` counts as a.b."""
    nodes = list(ast.walk(tree))
    whole = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named = [
        f"{node.module}.{alias.name}" for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    return whole + named


@pytest.mark.parametrize("name", [*navsim_agents.__all__, *COMMANDS_NAMES])
def test_public_name_is_importable_and_has_a_docstring(name: str) -> None:
    value = found(name)
    if not name.endswith(".metrics.Columns"):  # a name for a type has none in Python 3.9
        assert (value.__doc__ or "").strip()
        assert value.__doc__ != object.__doc__
    assert callable(value)


def test_the_page_has_every_public_name_once_and_an_example_of_each() -> None:
    listed = [name.partition(".")[0] for name, _ in ENTRIES if name not in COMMANDS_NAMES]
    assert sorted(listed) == sorted(navsim_agents.__all__)
    shown = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    assert [name for name in navsim_agents.__all__ if not re.search(rf"\b{name}\b", shown)] == []
    own_column = imports(ast.parse((ROOT / "examples" / "own_column.py").read_text(encoding="utf-8")))
    assert [name for name in COMMANDS_NAMES if name not in own_column] == []


def test_what_is_loaded_is_what_type_checkers_see() -> None:
    tree = ast.parse(Path(navsim_agents.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = sorted(imports(block))
    loaded = sorted(f"navsim_agents.{place}.{name}" for place, names in navsim_agents._PLACES.items() for name in names)
    assert seen == loaded
    assert sorted(name.rpartition(".")[2] for name in loaded) == sorted(navsim_agents.__all__)
    assert set(navsim_agents.__all__) <= set(dir(navsim_agents))


def test_importing_the_package_imports_nothing_else() -> None:
    program = "import sys; before = {*sys.modules}; import navsim_agents; print(*sorted({*sys.modules} - before))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded & {"torch", "numpy", "hydra", "omegaconf", "pandas"} == set()
    assert {name for name in done.stdout.split() if name.startswith("navsim_agents")} == {"navsim_agents"}


def test_a_name_that_is_not_offered_is_refused_with_the_page() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'load_agents'; docs/api\.md lists"):
        _ = navsim_agents.load_agents


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_import_public_names_only(path: Path) -> None:
    public = {f"navsim_agents.{name}" for name in navsim_agents.__all__} | set(COMMANDS_NAMES)
    ours = ("navsim_agents", "navsim_configs", "cache_tools", "training", "hydra_plugins")
    used = [name for name in imports(ast.parse(path.read_text(encoding="utf-8"))) if name.split(".")[0] in ours]
    assert used
    assert [name for name in used if name not in public] == []


def test_an_encoder_is_loaded_with_its_weights_ready_for_inference(tmp_path: Path) -> None:
    trained = navsim_agents.load_encoder("tiny")
    torch.save({"target_encoder": trained.state_dict()}, tmp_path / "weights.pt")
    loaded = navsim_agents.load_encoder("tiny", tmp_path / "weights.pt")
    assert not loaded.training
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in trained.state_dict().items())
    random = navsim_agents.load_encoder("tiny").state_dict()
    assert not all(torch.equal(value, random[name]) for name, value in trained.state_dict().items())
