"""The wheel is built, installed elsewhere and used there: configs and the Hydra plugin must travel with it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git tracks, so that a forgotten file cannot ride along."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    tracked = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
        ".",
        cwd=source,
    )
    (found,) = out.glob("navsim_drive_jepa-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel), cwd=target)
    return target


def test_wheel_has_every_yaml_and_package(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = ("navsim_agents", "navsim_configs", "cache_tools", "training", "hydra_plugins")
    expected = {
        name
        for name in run("git", "ls-files", *packages, cwd=ROOT).splitlines()
        if name.endswith((".py", ".yaml", "py.typed"))
    }
    assert expected - names == set()
    assert "hydra_plugins/__init__.py" not in names, "hydra_plugins must stay a namespace package"


def test_navsim_is_not_a_requirement(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith("METADATA")]
    required = [line for line in archive.read(metadata).decode().splitlines() if line.startswith("Requires-Dist")]
    assert required
    assert not [line for line in required if "navsim" in line.lower() or "nuplan" in line.lower()]


def test_foreign_hydra_application_finds_our_agent(installed: Path, tmp_path: Path) -> None:
    """A stand-in for NAVSIM's run_training: its own primary config, our agent by name."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "main.yaml").write_text("defaults:\n  - agent: ???\n  - _self_\n", encoding="utf-8")
    (tmp_path / "app.py").write_text(
        textwrap.dedent(
            """
            import hydra
            from hydra.utils import instantiate

            @hydra.main(version_base=None, config_path="conf", config_name="main")
            def main(cfg):
                agent = instantiate(cfg.agent)
                import navsim_agents
                print(agent.name(), navsim_agents.__file__)

            main()
            """
        ),
        encoding="utf-8",
    )
    env = {**os.environ, "PYTHONPATH": str(installed)}
    out = run(
        sys.executable, "app.py", "agent=drive_jepa_perception_free_small", "hydra.run.dir=.", cwd=tmp_path, env=env
    )
    assert str(installed) in out
