"""Every command x everything that it reads x every kind of damage: it goes on without that, or ends in one line."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import torch

from tests.common.commands import COMMANDS, Command, assert_one_line, fields_of

FINE = ("navsim_agents.world.__main__", "training.demo")  # they read nothing
NEED_DEVKIT = ("cache_tools.export_scenes", "cache_tools.compare_with_devkit")
READ_AS_OTHERS = ("training.probe", "training.train", "training.ablate", "training.compare_pretrainings")


def make_missing(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def make_empty(path: Path) -> None:
    make_missing(path)
    path.write_bytes(b"")


def make_junk(path: Path) -> None:
    make_missing(path)
    path.write_bytes(b"\x00\xffjunk\r\n" * 99)


def make_text(path: Path) -> None:
    make_missing(path)
    path.write_text("not what it should be\n")


def make_folder(path: Path) -> None:
    make_missing(path)
    path.mkdir()


def cut_off(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


WHOLE = (make_missing, make_empty, make_junk, make_folder)
Damage = Callable[[Path], None]


@pytest.fixture
def where(tiny_world: dict[str, str]) -> dict[str, str]:
    return tiny_world


def named_inputs(command: Command) -> list[str]:
    """Keys of what it reads and the tiny world has."""
    read = {field.key for field in fields_of(command.settings()) if field.is_read}
    keys = {key.lstrip("+"): value for key, value in command.needed.items()}
    paths = [key for key, value in keys.items() if value.startswith("{") and value not in ("{out}", "{unseen}")]
    return [key for key in paths if key in read or key.rpartition(".")[0] in read or key.startswith("data.data_sets")]


def cases() -> list[Any]:
    chosen = [command for name, command in COMMANDS.items() if name not in (*FINE, *NEED_DEVKIT)]
    return [
        pytest.param(command, key, damage, id=f"{command.module}-{key}-{damage.__name__}")
        for command in chosen
        for key in named_inputs(command)
        for damage in (WHOLE if command.module not in READ_AS_OTHERS else WHOLE[:1])
    ]


def with_copy(command: Command, where: dict[str, str], key: str, folder: Path) -> tuple[Path, list[str]]:
    """A copy of one input to be damaged, and the command line that reads it."""
    source = Path(where[{name.lstrip("+"): value for name, value in command.needed.items()}[key][1:-1]])
    copy = folder / f"copy{source.suffix}"
    shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
    kept = [
        line
        for line in command.overrides({**where, "out": str(folder / "out")})
        if line.partition("=")[0].lstrip("+") != key
    ]
    return copy, [*kept, f"++{key}={copy}"]


@pytest.mark.parametrize(("command", "key", "damage"), cases())
def test_whole_input(
    command: Command, key: str, damage: Damage, where: dict[str, str], tmp_path: Path, capsys: Any
) -> None:
    copy, line = with_copy(command, where, key, tmp_path)
    damage(copy)
    assert_one_line(command.run(*line), capsys)


FILES = [
    ("cache_tools.score_vocabulary", "scenes", "store.json"),
    ("cache_tools.score_vocabulary", "scenes", "index.npy"),
    ("cache_tools.label_statistics", "labels", "store.json"),
    ("training.evaluate", "runs.a", "result.json"),
    ("training.evaluate", "runs.a", "agent.json"),
    ("training.evaluate", "runs.a", "checkpoints/best-epoch000.ckpt"),
    ("training.report.__main__", "evaluation", "summary.json"),
    ("training.report.__main__", "evaluation", "plans.npz"),
    ("training.report.__main__", "evaluation", "a.csv"),
]


@pytest.mark.parametrize("damage", [make_missing, make_junk, make_text, make_folder, cut_off])
@pytest.mark.parametrize(("module", "key", "file"), FILES)
def test_one_file_of_an_input(
    module: str, key: str, file: str, damage: Damage, where: dict[str, str], tmp_path: Path, capsys: Any
) -> None:
    copy, line = with_copy(COMMANDS[module], where, key, tmp_path)
    damage(copy / file)
    assert_one_line(COMMANDS[module].run(*line), capsys, str(copy))


class Unsafe:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("a pickle was run",))


def other_model(path: Path) -> None:
    torch.save({"state_dict": {"agent.planner.x": torch.zeros(2)}, "target_encoder": {"x": torch.zeros(2)}}, path)


def unsafe_pickle(path: Path) -> None:
    torch.save({"state_dict": Unsafe()}, path)


def bare_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"state_dict": {"agent.planner.x": np.zeros(2)}}))


CHECKPOINTS = {
    "agent's": ("training.evaluate", "++agent.checkpoint_path={path}", "agent=drive_jepa_perception_free_small"),
    "encoder's": ("training.train", "++agent.encoder_checkpoint_path={path}"),
    "last of a training": ("training.train", "output={out}"),
    "initial of a pretraining": ("training.pretrain", "model.init_from={path}"),
    "last of a pretraining": ("training.pretrain", "output={out}", "schedule.epochs=2"),
    "converted of a pretraining": ("cache_tools.convert_encoder", "input={path}"),
    "shown encoder's": ("training.feature_pca", "+encoders.a={path}"),
}
DAMAGES = (make_empty, make_junk, make_text, cut_off, other_model, unsafe_pickle, bare_pickle)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", list(CHECKPOINTS))
def test_checkpoint(kind: str, damage: Damage, where: dict[str, str], tmp_path: Path, capsys: Any) -> None:
    module, setting, *more = CHECKPOINTS[kind]
    command, name = COMMANDS[module], "pretraining" if "pretraining" in kind else "run"
    folder = Path(where[name]) / "checkpoints"
    source = folder / "last.ckpt" if name == "run" else next(folder.glob("step_*.pt"))
    if kind.startswith("last"):
        path = tmp_path / "out" / "checkpoints" / source.name
        path.parent.mkdir(parents=True)
    else:
        path = tmp_path / source.name
    shutil.copy(source, path)
    damage(path)
    changed = setting.format(path=path, out=tmp_path / "out")
    key = changed.partition("=")[0].lstrip("+")
    line = [
        part
        for part in command.overrides({**where, "out": str(tmp_path / "out")})
        if part.partition("=")[0].lstrip("+") != key
    ]
    ended = command.run(*line, *more, changed)
    assert_one_line(ended, capsys, "CheckpointError: ", "checkpoints" if "last" in kind else path.name)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("dataloader.params.batch_size=0", "dataloader.params are refused: "),
        ("+dataloader.params.batch_syze=3", "dataloader.params are refused: "),
        ("trainer.params.precision=7", "trainer.params are refused: "),
        ("trainer.params.accelerator=nothing", "trainer.params are refused: "),
        ("trainer.params.devices=[a]", "trainer.params are refused: "),
        ("trainer.params.strategy=nothing", "trainer.params are refused: "),
        ("+trainer.params.max_epoch=3", "trainer.params are refused: "),
        ("trainer.params.accumulate_grad_batches=0", "trainer.params are refused while training"),
        ("trainer.params.check_val_every_n_epoch=0", "trainer.params are refused while training"),
        ("trainer.params.val_check_interval=99", "trainer.params are refused while training"),
        ("+trainer.params.callbacks=[1]", "trainer.params are refused"),
        ("trainer.params.max_epochs=0", "nothing was trained (max_epochs, "),
        pytest.param(
            "trainer.params.accelerator=gpu",
            "trainer.params are refused: ",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_settings_that_lightning_or_torch_refuse(
    setting: str, words: str, where: dict[str, str], tmp_path: Path, capsys: Any
) -> None:
    line = COMMANDS["training.train"].overrides({**where, "out": str(tmp_path / "out")})
    assert_one_line(COMMANDS["training.train"].run(*line, setting), capsys, "InputError: ", words)
