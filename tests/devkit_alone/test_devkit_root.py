"""NAVSIM_DEVKIT_ROOT against the devkit that Python imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from navsim_agents.devkit.environment import check_devkit_root
from navsim_agents.devkit.variant import Host, Variant, variant_of_source

AGENTS = {
    Variant.V1_1: "class AbstractAgent:\n    def __init__(self, requires_scene=False): ...\n",
    Variant.V2_2: "class AbstractAgent:\n    def __init__(self, trajectory_sampling, requires_scene=False): ...\n",
}


def checkout(root: Path, variant: Variant) -> Path:
    """The source that tells the version, and nothing that could be imported."""
    path = root / "navsim" / "agents" / "abstract_agent.py"
    path.parent.mkdir(parents=True)
    path.write_text(f"import no_such_requirement\n{AGENTS[variant]}")
    return root


def host(root: Path, variant: Variant) -> Host:
    return Host(variant, root / "navsim")


def test_versions_are_told_without_an_import(tmp_path: Path) -> None:
    for variant in AGENTS:
        assert variant_of_source(checkout(tmp_path / variant.value, variant) / "navsim") is variant
    assert variant_of_source(tmp_path) is Variant.NONE


@pytest.mark.parametrize(("scripts", "imported"), [(Variant.V1_1, Variant.V2_2), (Variant.V2_2, Variant.V1_1)])
def test_scripts_of_one_version_beside_the_other(tmp_path: Path, scripts: Variant, imported: Variant) -> None:
    root, other = checkout(tmp_path / "a", scripts), checkout(tmp_path / "b", imported)
    finding = check_devkit_root({"NAVSIM_DEVKIT_ROOT": str(root)}, host(other, imported))
    assert not finding.is_good
    assert f"NAVSIM_DEVKIT_ROOT={root} holds scripts of {scripts.value}" in finding.text
    assert f"Python imports navsim {imported.value} from {other / 'navsim'}" in finding.text
    assert f"set NAVSIM_DEVKIT_ROOT={other}" in finding.text


@pytest.mark.parametrize("variant", AGENTS)
def test_the_same_version(tmp_path: Path, variant: Variant) -> None:
    root, copy = checkout(tmp_path / "a", variant), checkout(tmp_path / "b", variant)
    (tmp_path / "link").symlink_to(root)
    for value in (root, tmp_path / "link", f"{root}/"):
        finding = check_devkit_root({"NAVSIM_DEVKIT_ROOT": str(value)}, host(root, variant))
        assert (finding.is_good, finding.text.endswith(f"(scripts of {variant.value})")) == (True, True)
    finding = check_devkit_root({"NAVSIM_DEVKIT_ROOT": str(copy)}, host(root, variant))
    assert finding.is_good
    assert f"another copy than {root / 'navsim'}" in finding.text


def test_unset_or_no_checkout(tmp_path: Path) -> None:
    here = host(checkout(tmp_path / "a", Variant.V2_2), Variant.V2_2)
    unset = check_devkit_root({}, here)
    assert (unset.is_good, "is unset; the command lines of docs/devkit.md" in unset.text) == (True, True)
    assert check_devkit_root({}, Host(Variant.NONE)).text == "NAVSIM_DEVKIT_ROOT is unset"
    for value, message in (
        (tmp_path / "none", "is not a folder; it is the checkout"),
        (tmp_path, "has no navsim/agents/abstract_agent.py; it is the checkout"),
        (tmp_path / "a" / "navsim", "has no navsim/agents/abstract_agent.py; it is the checkout"),
    ):
        finding = check_devkit_root({"NAVSIM_DEVKIT_ROOT": str(value)}, here)
        assert (finding.is_good, message in finding.text) == (False, True)


def test_scripts_without_a_devkit_to_import(tmp_path: Path) -> None:
    root = checkout(tmp_path, Variant.V1_1)
    finding = check_devkit_root({"NAVSIM_DEVKIT_ROOT": str(root)}, Host(Variant.NONE))
    assert not finding.is_good
    assert "holds scripts of v1.1, but no navsim can be imported; install it" in finding.text
