"""Schedules at steps that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from navsim_agents.errors import InputError
from navsim_agents.models.video_jepa import VideoJepa
from training.pretraining.config import ModelConfig, OptimiserConfig
from training.pretraining.optimiser import apply_settings, build_optimiser
from training.pretraining.schedules import ScheduleConfig, StepSettings, settings_at

STOCK = ScheduleConfig()
SHORT = ScheduleConfig(
    epochs=4,
    iterations_per_epoch=10,
    stretch=1.5,
    warmup_epochs=2,
    lr_start=0.1,
    lr=0.5,
    lr_end=0.1,
    weight_decay=0.0,
    weight_decay_end=0.4,
    ema_start=0.9,
    ema_end=0.96,
)


def test_stock_recipe_only_rises_within_ten_epochs() -> None:
    """1e-4 + 3000 / 12000 · 4.25e-4 (design/interop.md)."""
    assert settings_at(STOCK, 3000).lr == pytest.approx(2.0625e-4)
    assert settings_at(STOCK, 1).lr == pytest.approx(1e-4 + 4.25e-4 / 12000)
    assert settings_at(STOCK, 3000)[1:] == (0.04, 0.99925)


@pytest.mark.parametrize(("step", "lr"), [(1, 0.12), (10, 0.3), (19, 0.48), (20, 0.5), (40, 0.3), (60, 0.1), (75, 0.1)])
def test_warm_up_is_linear_and_the_cosine_ends_at_the_horizon(step: int, lr: float) -> None:
    assert SHORT.horizon == 60
    assert settings_at(SHORT, step).lr == pytest.approx(lr)


def test_decay_follows_a_cosine_and_the_momentum_a_line() -> None:
    assert settings_at(SHORT, 30).weight_decay == pytest.approx(0.2)
    assert settings_at(SHORT, 60).weight_decay == pytest.approx(0.4)
    assert settings_at(SHORT, 1).ema == 0.9
    assert settings_at(SHORT, 31).ema == pytest.approx(0.93)


def test_a_rate_after_the_warm_up_that_ends_where_it_starts_is_constant() -> None:
    constant = replace(SHORT, lr_end=0.5)
    assert {settings_at(constant, step).lr for step in (20, 33, 40)} == {0.5}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"stretch": 0.9}, r"stretch=0\.9 would end the schedules before the training"),
        ({"ema_end": 1.1}, r"ema_end=1\.1; a moving average needs momenta within 0 … 1"),
    ],
)
def test_impossible_schedules_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(SHORT, **changes)


def tiny_jepa() -> VideoJepa:
    return ModelConfig("tiny", "tiny", num_mask_tokens=3).build()


def test_optimiser_groups_are_vjepas_and_hold_every_trained_parameter_once() -> None:
    jepa = tiny_jepa()
    groups = build_optimiser(jepa, OptimiserConfig()).param_groups
    name_of = {id(parameter): name for name, parameter in jepa.named_parameters()}
    names = [[name_of[id(parameter)] for parameter in group["params"]] for group in groups]
    assert [{name.split(".")[0] for name in group} for group in names] == [{"encoder"}, {"predictor"}] * 2
    trained = [name for name in name_of.values() if not name.startswith("target_encoder.")]
    assert sorted(name for group in names for name in group) == sorted(trained)
    assert "predictor.mask_tokens.2" in names[1]
    assert all(name.endswith("bias") or ".norm" in name or "_norm" in name for name in names[2] + names[3])


def test_rates_reach_all_groups_and_decay_only_the_matrices() -> None:
    optimiser = build_optimiser(tiny_jepa(), OptimiserConfig())
    apply_settings(optimiser, StepSettings(lr=0.3, weight_decay=0.02, ema=0.5))
    assert [group["lr"] for group in optimiser.param_groups] == [0.3] * 4
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.02, 0.02, 0.0, 0.0]
