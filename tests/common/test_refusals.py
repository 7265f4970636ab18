"""Every command x every kind of wrong input: one line that names it, and no traceback."""

from __future__ import annotations

import copy
import functools
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf

from navsim_agents.common.errors import FormerNameError, SettingError
from navsim_agents.common.former_names import RENAMED
from navsim_agents.common.settings import read_settings
from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig
from tests.common.commands import COMMANDS, ROOT, Command, Field, assert_one_line, fields_of, places

NUMBERS = (int, float)
KEPT_FROM_OVERRIDES = ("worker", "agent", "data", "masks")


def pairs(choose: Any) -> Iterator[Any]:
    """(command, field) of every command's settings that ``choose`` takes."""
    for name, command in COMMANDS.items():
        for field in fields_of(command.settings()):
            if choose(field):
                yield pytest.param(command, field, id=f"{name.removesuffix('.__main__')}-{field.key}")


def skip_without_devkit(command: Command) -> None:
    if command.needs_devkit and importlib.util.find_spec("navsim") is None:
        pytest.skip("its settings are partly the devkit's")


def each(choose: Any = lambda command: True) -> list[Any]:
    return [pytest.param(command, id=name) for name, command in COMMANDS.items() if choose(command)]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "command" in request.fixturenames:
        skip_without_devkit(request.getfixturevalue("command"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def overrides(command: Command, folder: Path, **changes: str) -> list[str]:
    return command.overrides(places(folder), **changes)


def with_setting(command: Command, folder: Path, key: str, value: str) -> list[str]:
    """The command's line with one setting replaced or added."""
    kept = [line for line in overrides(command, folder) if line.partition("=")[0].lstrip("+") != key]
    return [*kept, f"++{key}={value}"]


def test_the_list_of_commands_is_complete() -> None:
    found = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in ("navsim_agents", "cache_tools", "training")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"^@command\(|hydra\.main", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found - {"navsim_agents.common.command"} == set(COMMANDS)


@pytest.mark.parametrize("command", each(lambda command: command.module != "navsim_agents.world.__main__"))
def test_nothing_given(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    if command.module == "training.demo":
        pytest.skip("every setting of the demo has a default")
    ended = command.run()
    first = next(
        key for key in sorted(command.needed) if f"{key}: not given" in ended.words or f"{key}," in ended.words
    )
    assert_one_line(ended, capsys, f"{first}", "not given, but needed; add ")


@pytest.mark.parametrize(
    ("command", "field"), list(pairs(lambda field: field.field.default is field.field.default_factory))
)
def test_each_needed_setting_left_out(
    command: Command, field: Field, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    has_worlds = command.module == "training.demo" or (command.module, field.key[:6]) == ("training.ablate", "train_")
    has_worlds |= (command.module, field.key[:5]) == ("training.ablate", "test_")
    has_worlds |= (command.module, field.key[:5]) == ("training.compare_pretrainings", "train")
    has_worlds |= (command.module, field.key[:5]) == ("training.compare_pretrainings", "test_")
    if (field.key.startswith(KEPT_FROM_OVERRIDES) and "." not in field.key) or has_worlds:
        pytest.skip("the file of settings, or of a group, has a default")
    if field.key in ("cache.path", "output_dir", "masks.families"):
        pytest.skip("the file of settings derives it from the output")
    lines = [line for line in overrides(command, tmp_path) if not line.startswith(f"{field.key}=")]
    assert_one_line(command.run(*lines), capsys, field.key, "not given, but needed")


@pytest.mark.parametrize("command", each())
def test_misspelt_key(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_one_line(command.run(*overrides(command, tmp_path), "sed=3"), capsys, "Could not override 'sed'")
    assert_one_line(command.run(*overrides(command, tmp_path), "+sed=3"), capsys, "sed is no setting; there are ")


def renamings() -> Iterator[Any]:
    """(command, former name, what is said of it) where a command has a setting by one of the new names."""
    for name, command in COMMANDS.items():
        known = {field.key for field in fields_of(command.settings())}
        for old, news in RENAMED.items():
            now = " or ".join(new for new in news if new in known)
            if now and old not in known:
                yield pytest.param(command, old, f"{old} is called {now} now", id=f"{name}-{old}")


@pytest.mark.parametrize(("command", "old", "words"), list(renamings()))
def test_former_name(
    command: Command, old: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether Hydra finds it first or we do."""
    for line in (f"{old}=x", f"+{old}=x"):
        assert_one_line(command.run(*overrides(command, tmp_path), line), capsys, f"FormerNameError: {words}; write ")


@pytest.mark.parametrize("old", list(RENAMED))
def test_former_name_among_the_agents_settings(old: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = COMMANDS["training.train"]
    line = f"agent.config.{old}=x"
    words = f"FormerNameError: agent.config.{old} is called agent.config.{RENAMED[old][0]} now; write "
    assert_one_line(command.run(*overrides(command, tmp_path), line), capsys, words)
    now = f"agent.config.{RENAMED[old][0]}"
    with pytest.raises(FormerNameError, match=f"^agent.config.{old} is called {now} now; write {now}="):
        ProposalAgentConfig.from_mapping({old: "x"})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("agent.config.lr=1e-3", "agent.config.lr is called agent.config.optimiser.lr now"),
        ("+agent.config.lr=1e-3", "agent.config.lr is called agent.config.optimiser.lr now"),
        ("agent.config.num_teachers=3", "agent.config.num_teachers is called agent.config.teachers.number now"),
        ("agent.config.steps_per_pose=5", "agent.config.steps_per_pose is no setting any more: "),
        ("agent.config.momentum=off", "agent.config.momentum='off' is called agent.config.momentum.mode now"),
        ("agent.config.encoder=tiny", "agent.config.encoder='tiny' is called agent.config.encoder.name now"),
    ],
)
def test_agents_settings_without_their_group(
    line: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As users of the release before write them, whether Hydra finds it first or the agent does."""
    command, data = COMMANDS["training.train"], tmp_path / "data"
    (data / "navsim_logs" / "trainval").mkdir(parents=True)
    lines = ("agent=drive_jepa_small", f"data.root={data}", f"output={tmp_path / 'out'}", line)
    assert_one_line(command.run(*lines), capsys, f"FormerNameError: {words}")


@pytest.mark.parametrize("command", each())
def test_line_that_hydra_cannot_read(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_one_line(command.run(*overrides(command, tmp_path), "output=[a"), capsys, "SettingError: ", "output=[a: ")


@pytest.mark.parametrize("command", each())
def test_wrong_type_ends_the_command(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = [field for field in fields_of(command.settings()) if field.type in NUMBERS]
    key, value = (numbers[0].key, "abc") if numbers else (next(iter(command.needed)), "[1]")
    ended = command.run(*with_setting(command, tmp_path, key, value))
    assert_one_line(ended, capsys, f"SettingError: {key}=", "but must be ")


@functools.cache
def composed(command: Command) -> DictConfig:
    """Settings with which the command could run."""
    package, _, name = command.config.rpartition(".")
    with initialize_config_module(package, version_base="1.2"):
        return compose(name, overrides(command, Path("anywhere")))


def refusal(command: Command, key: str, value: Any) -> str:
    config = copy.deepcopy(composed(command))
    OmegaConf.update(config, key, value, force_add=True)
    with pytest.raises(SettingError) as caught:
        read_settings(command.settings(), config)
    return str(caught.value)


@pytest.mark.parametrize(("command", "field"), list(pairs(lambda field: field.type in (*NUMBERS, bool))))
def test_text_for_a_number_or_a_truth_value(command: Command, field: Field) -> None:
    kind = {int: "a whole number", float: "a finite number", bool: "true or false"}[field.type]
    assert refusal(command, field.key, "abc").startswith(f"{field.key}='abc', but must be {kind}; ")


@pytest.mark.parametrize(("command", "field"), list(pairs(lambda field: field.least is not None)))
def test_number_that_is_too_small(command: Command, field: Field) -> None:
    value = field.type(field.least - 1) if field.type in NUMBERS else field.least - 1
    assert refusal(command, field.key, value) == f"{field.key}={value}, but must be {field.least:g} or more; raise it"


@pytest.mark.parametrize(("command", "field"), list(pairs(lambda field: field.type is int and "seed" in field.key)))
def test_every_seed_has_a_lower_bound(command: Command, field: Field) -> None:
    assert field.least == 0


@pytest.mark.parametrize(("command", "field"), list(pairs(lambda field: field.is_written)))
class TestOutputs:
    def refused(self, command: Command, field: Field, folder: Path, value: Path, capsys: Any, *parts: str) -> None:
        before = sorted(path for path in folder.rglob("*"))
        assert_one_line(command.run(*with_setting(command, folder, field.key, str(value))), capsys, field.key, *parts)
        assert sorted(path for path in folder.rglob("*")) == before

    def test_below_a_file(self, command: Command, field: Field, tmp_path: Path, capsys: Any) -> None:
        (tmp_path / "file").write_text("kept")
        self.refused(command, field, tmp_path, tmp_path / "file" / "x", capsys, "is a file, but a folder is needed")
        assert (tmp_path / "file").read_text() == "kept"

    def test_of_the_other_kind(self, command: Command, field: Field, tmp_path: Path, capsys: Any) -> None:
        path = tmp_path / "there"
        is_file = field.field.metadata.get("ending") is not None
        if is_file:
            path.mkdir()
            self.refused(command, field, tmp_path, path, capsys, "is a folder, but must be a file")
        else:
            path.write_text("kept")
            self.refused(command, field, tmp_path, path, capsys, "is a file, but a folder is needed")

    @pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
    def test_where_nobody_may_write(self, command: Command, field: Field, tmp_path: Path, capsys: Any) -> None:
        self.refused(
            command, field, tmp_path, Path("/proc/nobody/may/write"), capsys, "nothing can be written to /proc"
        )

    def test_over_what_is_read(self, command: Command, field: Field, tmp_path: Path, capsys: Any) -> None:
        sources = [source for source in fields_of(command.settings()) if source.is_read]
        keys = [key.lstrip("+") for key in command.needed]
        read = [source.key for source in sources if source.key in keys]
        if not read:
            pytest.skip("it reads nothing that must be named")
        for key in read:
            place = places(tmp_path)[command.needed[key][1:-1]]
            Path(place).write_text("kept") if field.field.metadata.get("ending") else None
            ended = command.run(*with_setting(command, tmp_path, field.key, f"{place}"))
            assert_one_line(ended, capsys, field.key, key, "must not be written over")


@pytest.mark.parametrize(("command", "field"), list(pairs(lambda field: field.type is float)))
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_number_that_is_not_finite(command: Command, field: Field, value: float) -> None:
    assert refusal(command, field.key, value).startswith(f"{field.key}={value}, but must be a finite number; ")


@pytest.mark.parametrize(("command", "field"), list(pairs(lambda field: field.most is not None)))
def test_number_that_is_too_large(command: Command, field: Field) -> None:
    value = field.type(field.most + 1)
    assert refusal(command, field.key, value) == f"{field.key}={value}, but must be {field.most} or less; lower it"


@pytest.mark.parametrize(("command", "field"), list(pairs(lambda field: field.is_written or field.is_read)))
def test_empty_path(command: Command, field: Field) -> None:
    if field.type in (str, Optional[str]):
        assert refusal(command, field.key, "") == f"{field.key} is empty, but must be a path; write {field.key}=…"


@pytest.mark.parametrize(
    ("module", "changes", "words"),
    [
        ("training.train", ["agent=null"], "Hydra cannot compose the settings"),
        ("training.evaluate", ["+runs.human=there"], "runs are called ['human'], as are baselines"),
        ("training.evaluate", ["columns=[]"], "columns=[] leaves nothing to measure"),
        ("training.evaluate", ["+checkpoints.b=[x,here]", "output=here"], "output=here is also checkpoints.b[1]"),
        ("training.average_checkpoints", ["checkpoints=[a,b]", "output=b"], "output=b is also checkpoints[1]"),
        ("training.pretrain", ["optimiser.betas=[0.9]"], "optimiser.betas=[0.9] must be two numbers"),
        ("training.pretrain", ["optimiser.betas=[2,3]"], "must be two numbers from 0 to below 1"),
        ("training.pretrain", ["optimiser.eps=-1"], "optimiser.eps=-1.0 not negative"),
        ("training.pretrain", ["optimiser.clip_grad_norm=-1"], "but must be positive, or null"),
        ("cache_tools.score_trajectories", ["output=a b ü"], "put quotes around what has blanks or special signs"),
    ],
)
def test_settings_that_do_not_go_together(
    module: str, changes: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_one_line(COMMANDS[module].run(*overrides(COMMANDS[module], tmp_path), *changes), capsys, words)
