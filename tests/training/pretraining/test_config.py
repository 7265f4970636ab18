"""The command's YAML: it composes with every group, states the paper's settings, and refuses misspelt keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

import training.conf
from navsim_agents.common.errors import SettingError
from navsim_agents.common.settings import read_settings
from navsim_agents.errors import InputError
from navsim_agents.models.masks import sample_masks
from navsim_agents.models.transformer import TokenGrid
from navsim_agents.video.config import ClipDataConfig
from tests.training.pretraining.tiny_runs import Bars, tiny_config
from training.pretrain import pretrain
from training.pretraining.config import PretrainConfig
from training.pretraining.schedules import ScheduleConfig

MANIFESTS = [
    f"data.data_sets.{name}.{key}=x" for name in ("openscene", "covla", "drivingdojo") for key in ("manifest", "root")
]
WORLD = ["data=world", "data.data_sets.world.manifest=m.jsonl", "data.data_sets.world.root=w"]


def composed(*overrides: str) -> PretrainConfig:
    folder = str(Path(training.conf.__file__).parent.resolve())
    with initialize_config_dir(folder, version_base="1.2"):
        return read_settings(PretrainConfig, compose("pretrain", ["output=run", *overrides]))


def test_the_paper_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    config = composed(*MANIFESTS)
    assert (config.batch_size, config.precision, config.schedule.epochs) == (64, "bf16", 50)
    (family,) = config.masks.families
    assert (family.num_blocks, family.min_scale, family.max_scale) == (8, 0.15, 0.15)
    assert (family.min_aspect, family.max_aspect, family.min_duration) == (0.75, 1.5, 1.0)
    data = ClipDataConfig.of(config.data)
    assert {name: part.weight for name, part in data.data_sets.items()} == {
        "openscene": 0.5,
        "covla": 0.2,
        "drivingdojo": 0.3,
    }
    assert (data.num_frames, data.fps, data.height, data.width) == (8, 2.0, 256, 512)
    assert (config.processes.rank, config.processes.world_size) == (0, 1)
    assert (config.model.encoder, config.model.predictor) == ("vit_l", "stock")


def test_what_the_paper_leaves_open_is_the_stock_recipe() -> None:
    schedule = composed(*MANIFESTS).schedule
    assert schedule == ScheduleConfig(epochs=50)  # whose other defaults are the stock recipe's


def test_torchrun_says_which_process_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "5"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "8")):
        monkeypatch.setenv(name, value)
    processes = composed(*WORLD).processes
    assert (processes.rank, processes.local_rank, processes.world_size) == (5, 1, 8)


def test_vjepas_two_families_and_the_world_compose() -> None:
    config = composed(*WORLD, "masks=vjepa2", "masks.cut=first")
    assert [(family.name, family.num_blocks, family.max_scale) for family in config.masks.families] == [
        ("short_range", 8, 0.15),
        ("long_range", 2, 0.7),
    ]
    assert (config.masks.cut, config.masks.cut_over) == ("first", "process")


@pytest.mark.parametrize(("rows", "columns"), [(6, 12), (16, 32)])
def test_temporal_masks_hide_whole_frames_for_half_of_the_clip(rows: int, columns: int) -> None:
    config = composed(*WORLD, "masks=temporal")
    grid, frame = TokenGrid(4, rows, columns), rows * columns
    for seed in range(5):
        (masks,) = sample_masks(config.masks.families, grid, 8, torch.Generator().manual_seed(seed))
        assert masks.target.shape == (8, 2 * frame)
        hidden = (masks.target // frame).reshape(8, 2, frame)
        assert bool((hidden == hidden[..., :1]).all())  # each half of the targets is one moment
        assert bool((hidden[:, 1, 0] == hidden[:, 0, 0] + 1).all())


@pytest.mark.parametrize("override", ["+sed=1", "+model.encodr=tiny", "+masks.cutt=first", "+health.evry=2"])
def test_misspelt_keys_are_refused(override: str) -> None:
    with pytest.raises(SettingError, match="is no setting"):
        composed(*WORLD, override)


def test_a_data_set_without_its_manifest_is_named() -> None:
    with pytest.raises(SettingError, match=r"data_sets\.world\.manifest"):
        composed("data=world")


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(InputError, match="precision='int8', but must be one of bf16, float32"):
        composed(*WORLD, "precision=int8")


def test_the_command_builds_its_loader_from_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader is handed what it needs, and what comes out of it is trained on."""
    seen: dict[str, Any] = {}

    def loader(data: Any, **options: Any) -> Bars:
        seen.update(options, data=data)
        return Bars(options["batch_size"])

    monkeypatch.setattr("training.pretrain.build_clip_loader", loader)
    short = ScheduleConfig(epochs=1, iterations_per_epoch=2)
    assert pretrain(tiny_config(tmp_path, schedule=short, data="clips"))["is_complete"]
    assert seen == {"data": "clips", "batch_size": 2, "rank": 0, "world_size": 1, "seed": 3, "workers": 0}
