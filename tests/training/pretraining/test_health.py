"""What goes wrong in a run: losses that are no numbers, features that collapse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from navsim_agents.common.files import read_json
from navsim_agents.errors import TrainingError
from tests.training.pretraining.tiny_runs import history, pretrainer, tiny_config
from training.pretraining.config import HealthConfig
from training.pretraining.health import CollapseAlarm, FeatureHealth, measure_features


def spoil(run: Any, first: int, last: int) -> None:
    """Make the loss of steps ``first`` to ``last`` not a number."""
    forward = run.jepa.forward

    def spoilt(clip: Tensor, masks: Any) -> Any:
        losses, targets = forward(clip, masks)
        return (losses * torch.nan if first <= run.step <= last else losses), targets

    run.jepa.forward = spoilt


def test_a_step_that_is_not_finite_is_skipped_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = pretrainer(tiny_config(tmp_path))
    spoil(run, 4, 5)
    run.run()
    assert list(history(tmp_path)["is_skipped"]) == [0, 0, 0, 1, 1, *[0] * 7]
    assert history(tmp_path)["loss"][5:].notna().all()
    assert "step 4: losses [nan, nan], gradient norm nan; skipped, not finite" in capsys.readouterr().out


def test_features_that_are_not_finite_at_a_measured_step_cost_that_step_and_no_alarm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Step 6 is one of those whose features are measured."""
    run = pretrainer(tiny_config(tmp_path, health=HealthConfig(every=3, max_tokens=50, on_collapse="stop")))
    forward = run.jepa.forward

    def spoilt(clip: Tensor, masks: Any) -> Any:
        losses, targets = forward(clip, masks)
        return (losses * torch.nan, targets * torch.nan) if run.step == 6 else (losses, targets)

    run.jepa.forward = spoilt  # type: ignore[method-assign]
    run.run()
    assert list(history(tmp_path)["is_skipped"]) == [*[0] * 5, 1, *[0] * 6]
    assert history(tmp_path)["effective_rank"][[2, 8]].notna().all()
    printed = capsys.readouterr().out
    assert "step 6: losses [nan, nan], gradient norm nan; skipped, not finite" in printed
    assert "collapse" not in printed


@pytest.mark.parametrize("first", [11, 9])
def test_steps_skipped_in_the_last_epoch_do_not_spoil_the_result(tmp_path: Path, first: int) -> None:
    run = pretrainer(tiny_config(tmp_path, health=HealthConfig(max_skipped_steps=4)))
    spoil(run, first, 12)
    run.run()
    rest = history(tmp_path)["loss"][8 : first - 1]
    wanted = pytest.approx(rest.mean()) if len(rest) else None
    assert read_json(tmp_path / "result.json")["epoch_loss"] == wanted


def test_too_many_steps_that_are_not_finite_end_the_run(tmp_path: Path) -> None:
    run = pretrainer(tiny_config(tmp_path, health=HealthConfig(max_skipped_steps=2)))
    spoil(run, 6, 99)
    with pytest.raises(TrainingError, match=r"step 8: losses \[nan, nan\].*not finite for 3 steps in a row; lower"):
        run.run()
    assert all(bool(parameter.isfinite().all()) for parameter in run.jepa.parameters())
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_00000005.pt"]


def collapse(run: Any) -> None:
    """Features of every token become the same."""
    with torch.no_grad():
        run.jepa.target_encoder.patch_embed.proj.weight.zero_()


def test_collapsed_features_raise_an_alarm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = replace(tiny_config(tmp_path).schedule, epochs=1, ema_start=1.0, ema_end=1.0)
    run = pretrainer(tiny_config(tmp_path, schedule=short, health=HealthConfig(every=1)))
    collapse(run)
    run.run()
    output = capsys.readouterr().out
    assert output.count("ALARM") == 1
    assert "ALARM: step 1: features collapse: feature_std=" in output


def test_collapse_can_stop_the_run(tmp_path: Path) -> None:
    run = pretrainer(tiny_config(tmp_path, health=HealthConfig(every=1, on_collapse="stop")))
    collapse(run)
    with pytest.raises(TrainingError, match=r"step 1: features collapse: .* is below 0\.05.*lower schedule\.lr"):
        run.run()


def test_health_is_measured_all_over_the_picture() -> None:
    """Tokens of a picture 8 wide whose left edge is alike everywhere: every eighth token would say collapse."""
    targets = torch.randn(2, 5 * 8, 6, generator=torch.Generator().manual_seed(1))
    targets[:, ::8] = 1.0
    health = measure_features(targets, 10)
    assert health.feature_std > 0.5
    assert health == measure_features(targets, 10)
    assert measure_features(targets, 80) == pytest.approx(measure_features(targets.flip(0), 80), rel=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_health_of_features_that_are_not_finite_is_nan(value: float) -> None:
    targets = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))
    targets[1, 2, 3] = value
    assert all(np.isnan(measure_features(targets, 10)))


def test_the_alarm_sounds_once_for_each_collapse() -> None:
    alarm = CollapseAlarm(HealthConfig(min_feature_std=0.1, min_effective_rank=4.0))
    well, thin = FeatureHealth(0.5, 9.0), FeatureHealth(0.5, 3.9)
    sounds = [alarm.check(health, step) for step, health in enumerate((well, thin, thin, well, thin))]
    assert [sound is not None for sound in sounds] == [False, True, False, False, True]
    assert str(sounds[1]).startswith("step 1: features collapse: effective_rank=3.9 is below 4;")
    assert alarm.check(FeatureHealth(float("nan"), 9.0), 7) is None  # still on
    assert alarm.is_on
