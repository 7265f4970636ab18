"""Every kind of installation, in fresh environments and seen from another folder: commands, agents, Hydra groups."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import pytest

from navsim_agents.common.extras import EXTRAS, NOT_OF_DEMO
from tests.door import confusing_folder, environment
from tests.environments import Environment, layered

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("navsim_agents", "navsim_configs", "cache_tools", "training", "hydra_plugins")
KINDS = ("editable", "folder", "wheel", "sdist")

# Stands in for NAVSIM's run_training: a primary config of its own that knows nothing of this package.
PRIMARY = "defaults:\n  - agent: ???\n  - _self_\nbuilds: false\n"
APPLICATION = """
import importlib.util
import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

@hydra.main(version_base=None, config_path="conf", config_name="main")
def main(cfg):
    print(*sorted(GlobalHydra.instance().config_loader().get_group_options("agent")))
    print(importlib.util.find_spec("navsim_agents").origin)
    if cfg.builds:
        print(instantiate(cfg.agent).name())

main()
"""
AGENT = "agent=drive_jepa_perception_free_small"

# One more plugin in another place: the namespace must hold both.
NEIGHBOUR = """
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

class Neighbour(SearchPathPlugin):
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        print("neighbour was asked")
"""


def run(*command: str, cwd: Path, env: Optional[Mapping[str, str]] = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tracked(*folders: str) -> set[str]:
    return set(filter(None, run("git", "ls-files", "-z", *folders, cwd=ROOT).split("\0")))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks, so that a forgotten file cannot ride along."""
    folder = tmp_path_factory.mktemp("source")
    for name in tracked():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(out), ".", cwd=source)
    (found,) = out.glob("*.tar.gz")
    return found


def build_wheel(what: Path, out: Path) -> Path:
    pip_wheel = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(sys.executable, *pip_wheel, "--wheel-dir", str(out), str(what), cwd=out)
    (found,) = out.glob("navsim_drive_jepa-*.whl")
    return found


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A foreign Hydra application's folder."""
    folder = tmp_path_factory.mktemp("application")
    (folder / "conf").mkdir()
    (folder / "conf" / "main.yaml").write_text(PRIMARY, encoding="utf-8")
    (folder / "app.py").write_text(APPLICATION, encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=KINDS)
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A fresh environment with the package installed, each kind once."""
    environment = layered(tmp_path_factory.mktemp(request.param))
    if request.param == "editable":
        what: tuple[str, ...] = ("--editable", str(request.getfixturevalue("source")))
    elif request.param == "folder":
        what = (str(request.getfixturevalue("source")),)
    else:
        what = (str(request.getfixturevalue(request.param)),)
    environment.pip(*what, cwd=environment.folder)
    return environment


def home(environment: Environment, source: Path) -> Path:
    """The folder that holds the packages there."""
    return environment.site_packages if (environment.site_packages / "navsim_agents").is_dir() else source


def test_environments_of_these_tests_do_not_see_the_package(application: Path, tmp_path: Path) -> None:
    """Else nothing below would prove anything. (It holds where the tests' own interpreter has it as editable.)"""
    bare = layered(tmp_path / "bare")
    assert bare.run("-c", "import navsim_agents", cwd=application).returncode == 1
    refused = bare.run("app.py", AGENT, "hydra.run.dir=.", cwd=application)
    assert refused.returncode == 1
    assert "Available options:\n\n" in refused.stderr


def test_foreign_hydra_application_finds_our_agents(installed: Environment, source: Path, application: Path) -> None:
    """From another folder, and with nothing on ``PYTHONPATH``."""
    agents, origin = installed.output("app.py", AGENT, "hydra.run.dir=.", cwd=application).splitlines()
    assert set(agents.split()) == {Path(name).stem for name in tracked("navsim_configs") if name.endswith(".yaml")}
    assert Path(origin) == home(installed, source) / "navsim_agents" / "__init__.py"


def test_foreign_hydra_application_builds_our_agent(wheel: Path, application: Path, tmp_path: Path) -> None:
    environment = layered(tmp_path)
    environment.pip(str(wheel), cwd=tmp_path)
    printed = environment.output("app.py", AGENT, "builds=true", "hydra.run.dir=.", cwd=application)
    assert printed.splitlines()[-1] == "drive_jepa_perception_free"


def test_commands_run_from_another_folder(installed: Environment, tmp_path: Path) -> None:
    assert "layout: ???" in installed.output("-m", "cache_tools.index_videos", "--cfg", "job", cwd=tmp_path)


@pytest.mark.parametrize("init", [True, False], ids=["packages", "folders"])
def test_console_script_runs_beside_packages_of_the_same_names(
    installed: Environment, init: bool, tmp_path: Path
) -> None:
    """In a folder with the user's own ``training/`` and ``cache_tools/``, which is on ``PYTHONPATH`` too."""
    folder = confusing_folder(tmp_path / "users", init)
    script = str(installed.folder / "bin" / "drive-jepa")
    for command, setting in (("index-videos", "layout: ???"), ("report", "evaluation: ???")):
        assert setting in run(script, command, "--cfg", "job", cwd=folder, env=environment(folder))


def test_nothing_but_our_packages_can_be_imported(installed: Environment, tmp_path: Path) -> None:
    """The checkout's other folders have names that users' own have too."""
    program = "import importlib.util, sys; print([name for name in sys.argv[1:] if importlib.util.find_spec(name)])"
    assert installed.output("-c", program, *PACKAGES, cwd=tmp_path).strip() == str(list(PACKAGES))
    others = ("tests", "benchmarks", "examples", "docs", "findings", "requirements", "setup")
    assert installed.output("-c", program, *others, cwd=tmp_path).strip() == "[]"


def test_plugin_of_another_distribution_stays(installed: Environment, application: Path) -> None:
    neighbour = installed.site_packages / "hydra_plugins" / "neighbour"
    neighbour.mkdir(parents=True)
    (neighbour / "__init__.py").write_text(NEIGHBOUR, encoding="utf-8")
    printed = installed.output("app.py", AGENT, "--cfg", "job", cwd=application)
    assert "neighbour was asked" in printed
    assert "_target_: navsim_agents.drive_jepa.PerceptionFreeAgent" in printed


def test_editable_installs_of_the_devkit_are_seen_where_they_are_wanted(tmp_path: Path) -> None:
    """As ``make test-devkit`` layers an environment on the user's."""
    user, mine = layered(tmp_path / "user"), tmp_path / "mine"
    (tmp_path / "devkit").mkdir()
    (tmp_path / "devkit" / "their_devkit.py").write_text("", encoding="utf-8")
    (user.site_packages / "__editable__.devkit.pth").write_text(f"{tmp_path / 'devkit'}\n", encoding="utf-8")
    for make, seen in (("layered", 1), ("layered_with_editables", 0)):
        program = f"import sys; from pathlib import Path; from tests.environments import *; {make}(Path(sys.argv[1]))"
        user.output("-c", program, str(mine), cwd=ROOT)
        assert Environment(mine).run("-c", "import their_devkit", cwd=tmp_path).returncode == seen
    assert "pip" in Environment(mine).output("-m", "pip", "--version", cwd=tmp_path)


def test_hidden_modules_cannot_be_imported(tmp_path: Path) -> None:
    environment = layered(tmp_path, hidden=["scipy"])
    assert "No module named 'scipy'" in environment.run("-c", "import scipy.optimize", cwd=tmp_path).stderr
    environment.output("-c", "import numpy", cwd=tmp_path)


def test_wheel_has_every_yaml_and_package(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {name for name in tracked(*PACKAGES) if name.endswith((".py", ".yaml", "py.typed"))}
    assert expected - names == set()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
    assert "hydra_plugins/__init__.py" not in names, "hydra_plugins must stay a namespace package"


def test_sdist_has_what_the_wheel_needs_and_builds_the_same(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        top = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert top - {"navsim_drive_jepa.egg-info", "PKG-INFO", "setup.cfg"} <= {path.split("/")[0] for path in tracked()}
    assert top & {"tests", "benchmarks", "examples", "docs", "findings"} == set()
    ours, theirs = (zipfile.ZipFile(path) for path in (wheel, build_wheel(sdist, tmp_path)))
    assert sorted(ours.namelist()) == sorted(theirs.namelist())
    assert [name for name in ours.namelist() if ours.read(name) != theirs.read(name)] == []


def required(wheel: Path) -> list[str]:
    """The wheel's requirements, each with the extra that asks for it."""
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith("METADATA")]
    lines = archive.read(metadata).decode().splitlines()
    return [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist")]


def test_navsim_is_not_a_requirement(wheel: Path) -> None:
    assert required(wheel)
    assert not [line for line in required(wheel) if "navsim" in line.lower() or "nuplan" in line.lower()]


def test_extras_that_repeat_others_repeat_them_whole(wheel: Path) -> None:
    asked: dict[str, set[str]] = {}
    for line in required(wheel):
        # Of what a Python is too old for, the marker says that first.
        what, _, extra = line.replace(" ", "").replace("andextra==", ";extra==").partition(";extra==")
        asked.setdefault(extra.strip("\"'"), set()).add(what)
    assert set(asked) == {"", *EXTRAS, *NOT_OF_DEMO, "demo", "test"}
    assert asked["demo"] == set().union(*(asked[extra] for extra in EXTRAS))
    assert asked["labels"] | asked["video"] | asked["alpasim"] <= asked["test"]
