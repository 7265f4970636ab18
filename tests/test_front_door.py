"""``drive-jepa <command>``: one table of all commands, light, and right from folders that would lead imports astray."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from navsim_agents import commands
from navsim_agents.commands import COMMANDS, DOOR, command_line, executable_line, overview, summary, unknown
from navsim_agents.common import own_packages
from tests.common.commands import COMMANDS as TESTED
from tests.door import ROOT, answers, confusing_folder, environment

HYDRAS = [name for name in COMMANDS if name != "doctor"]


def test_every_command_is_behind_the_door() -> None:
    listed = {commands.entry_module(module) for module in COMMANDS.values()}
    assert listed == {*TESTED, "navsim_agents.devkit.__main__"}
    files = [path for folder in own_packages.NAMES for path in (ROOT / folder).rglob("*.py")]
    decorated = {path for path in files if re.search(r"^@command\(", path.read_text("utf-8"), re.MULTILINE)}
    assert decorated == {ROOT.joinpath(*module.split(".")).with_suffix(".py") for module in TESTED}


def test_names_are_the_modules_own() -> None:
    named = {name: module.rpartition(".")[2].replace("_", "-") for name, module in COMMANDS.items()}
    assert {name: own for name, own in named.items() if name != own} == {"doctor": "devkit"}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_a_command_does_in_one_sentence(name: str) -> None:
    words = summary(COMMANDS[name])
    assert re.fullmatch(r"[A-Z][^`]{10,98}\.", words)
    assert f"\n  {name} " in overview()
    assert words in overview()


def test_help_imports_nothing_heavy() -> None:
    program = "import sys; from navsim_agents.commands import main; main(['--help']); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    *printed, modules = done.stdout.splitlines()
    assert "\n".join(printed) + "\n" == overview()
    assert not {"torch", "numpy", "hydra", "pandas", "omegaconf"} & set(modules.split())


@pytest.mark.parametrize(
    ("name", "meant"),
    [("trian", "train"), ("score", "score-trajectories"), ("build_vocabulary", "build-vocabulary"), ("zzz", "")],
)
def test_an_unknown_name_ends_in_one_line(name: str, meant: str) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.main([name, "a=b"])
    assert str(ended.value) == unknown(name)
    assert len(unknown(name).splitlines()) == 1
    assert unknown(name).endswith("drive-jepa --help lists all")
    assert (f"did you mean {meant}" if meant else f"{name!r}; drive-jepa") in unknown(name)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Exit status and printed text of command lines beside packages of the same names as ours."""
    lines = [[name, "--cfg", "job"] for name in HYDRAS]
    lines += [
        ["train", "--help"],
        ["doctor", "--help"],
        ["--help"],
        ["world", "output=x", "sneed=3"],
        ["world", "--zz"],
    ]
    folder = confusing_folder(tmp_path_factory.mktemp("users"))
    return dict(zip(map(" ".join, lines), answers(folder, lines)))


@pytest.mark.parametrize("name", HYDRAS)
def test_every_command_answers_beside_packages_of_the_same_names(name: str, told: dict[str, tuple[int, str]]) -> None:
    status, text = told[f"{name} --cfg job"]
    if status and name == "export-scenes":
        assert "DevkitError: no NAVSIM devkit is on the path" in text
        return
    assert status == 0, text[-500:]
    assert re.search(r"^\w+: ", text, re.MULTILINE)


def test_help_of_one_command_is_its_own(told: dict[str, tuple[int, str]]) -> None:
    assert told["train --help"][1].startswith("train is powered by Hydra.")
    assert told["doctor --help"][1].startswith("usage: drive-jepa doctor ")
    assert told["--help"] == (0, overview())


def test_a_wrong_setting_ends_in_one_line_that_shows_the_command(told: dict[str, tuple[int, str]]) -> None:
    status, text = told["world output=x sneed=3"]
    assert status == 1
    assert "sneed" in text
    assert "Traceback" not in text
    assert told["world --zz"][0] == 2
    assert "drive-jepa world: error: unrecognized arguments: --zz" in told["world --zz"][1]


def test_mere_folders_of_the_same_names_do_not_mislead_either(tmp_path: Path) -> None:
    folder = confusing_folder(tmp_path / "users", init=False)
    assert "layout: ???" in run(folder, "cache_tools.index_videos", "--cfg", "job")


def test_beside_such_folders_others_modules_are_found_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our home comes right before the first folder that has others of our names, and nowhere where none has."""
    (tmp_path / "harmless").mkdir()
    path = [str(tmp_path / "harmless"), str(confusing_folder(tmp_path / "users")), str(ROOT)]
    monkeypatch.setattr(sys, "path", [*path])
    own_packages.put_own_packages_first()
    assert sys.path == [path[0], str(ROOT), *path[1:]]
    own_packages.put_own_packages_first()
    assert sys.path[1:3] == [str(ROOT)] * 2
    monkeypatch.setattr(sys, "path", [path[0], str(ROOT)])
    own_packages.put_own_packages_first()
    assert sys.path == [path[0], str(ROOT)]


def test_two_processes_train_beside_such_folders(demo_folder: Path, tmp_path: Path) -> None:
    """Lightning runs the command line again for the second one; it has to come through the same door."""
    folder = confusing_folder(tmp_path / "users")
    size = ("encoder.name=tiny", "pictures.width=64", "pictures.height=64", "planner.model_dim=16")
    agent = [f"agent.config.{key}" for key in size]
    trainer = ("max_epochs=1", "accelerator=cpu", "devices=2", "strategy=ddp", "log_every_n_steps=1")
    settings = [f"data.root={demo_folder / 'world'}", "output=run", "cache.workers=0", *agent]
    told = run(folder, "training.train", *settings, *(f"trainer.params.{setting}" for setting in trainer))
    assert "Starting with 2 processes" in told
    assert json.loads((folder / "run" / "result.json").read_text("utf-8"))["epochs"] == 1


def run(folder: Path, module: str, *arguments: str) -> str:
    done = subprocess.run(
        executable_line(module, *arguments),
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_lines_to_type_and_to_run_are_of_one_command() -> None:
    assert command_line("training.report", "a=1") == ["drive-jepa", "report", "a=1"]
    assert executable_line("training.report", "a=1") == [sys.executable, str(DOOR), "report", "a=1"]
    assert DOOR.is_file()
