"""Names of foreign checkpoints become ours, or are refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from navsim_agents.errors import CheckpointError
from navsim_agents.models.key_table import KeyTable, load_strictly

TABLE = KeyTable(entries=("ema", "model"), prefixes=("module.", "backbone."), ignored=("extra",))


@pytest.mark.parametrize("wrappers", ["", "module.", "backbone.", "module.backbone.", "backbone.module.module."])
def test_wrappers_come_off_in_any_nesting(wrappers: str) -> None:
    assert TABLE.own_name(wrappers + "norm.weight") == "norm.weight"


def test_wrapper_names_inside_a_name_stay() -> None:
    assert TABLE.own_name("head.module.weight") == "head.module.weight"


@pytest.mark.parametrize("name", ["_orig_mod.norm.weight", "module._orig_mod.norm.weight", "norm._orig_mod.weight"])
def test_marks_of_compilation_come_off_anywhere(name: str) -> None:
    assert TABLE.own_name(name) == "norm.weight"


def test_ignored_names_are_dropped_after_translation() -> None:
    tensors = {"module.extra": torch.zeros(1), "module.weight": torch.ones(2)}
    assert list(TABLE.translate(tensors)) == ["weight"]


def test_two_names_for_one_tensor_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"two tensors of the file would be 'weight', one is 'module.weight'"):
        TABLE.translate({"weight": torch.zeros(1), "module.weight": torch.zeros(1)})


def test_first_entry_of_the_table_wins() -> None:
    assert TABLE.choose_entry({"model": {}, "ema": {}, "epoch": 3}) == "ema"
    assert TABLE.choose_entry({"model": {}, "ema": None}) == "model"
    with pytest.raises(CheckpointError, match=r"no entry ema or model; it holds epoch, lr"):
        TABLE.choose_entry({"epoch": 3, "lr": 0.1})


def test_a_misfit_is_described_and_changes_nothing() -> None:
    module = nn.Linear(2, 3)
    before = module.weight.clone()
    given = {"weight": torch.zeros(3, 2), "bias": torch.zeros(4), "a": torch.zeros(1), "b": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"2 unexpected: a, b; 1 of another shape: bias \[4\] instead of \[3\]"):
        load_strictly(module, given)
    assert torch.equal(module.weight, before)
