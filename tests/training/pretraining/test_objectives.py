"""``model.objective=vjepa21``: the weight's schedule by hand, a run that goes on as if never stopped, its files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.encoders import load_encoder
from navsim_agents.models.video_encoder_21 import VideoEncoder21
from navsim_agents.models.video_jepa_21 import VideoJepa21
from tests.training.pretraining.tiny_runs import history, pretrainer, tiny_config
from training.pretraining.checkpoints import load_initial_weights
from training.pretraining.config import ContextLossConfig, ModelConfig, PretrainConfig, SavingConfig

MODEL = ModelConfig("vjepa21_tiny", "tiny", num_mask_tokens=2, activation_checkpointing=False, objective="vjepa21")


def config(folder: Path) -> PretrainConfig:
    """Four steps, a checkpoint every second."""
    tiny = tiny_config(folder, model=MODEL, context_loss=ContextLossConfig(start=1, end=3), saving=SavingConfig(2, 2))
    return replace(tiny, schedule=replace(tiny.schedule, epochs=2, iterations_per_epoch=2))


def test_the_weight_grows_between_two_steps() -> None:
    """V-JEPA 2.1 counts from 0: its step 15 000, our 15 001st, is the last of weight 0; 22 500 has half of 0.5."""
    weights = [ContextLossConfig().weight_at(step) for step in (1, 15_001, 22_501, 30_001, 50_000)]
    assert weights == [0.0, 0.0, 0.25, 0.5, 0.5]
    assert ContextLossConfig(start=0, end=0).weight_at(1) == 0.5  # its cool-down
    assert ContextLossConfig(weight=0.2, start=2, end=6).weight_at(4) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: ContextLossConfig(start=3, end=2), r"context_loss\.end=2 lies before context_loss\.start=3"),
        (lambda: ModelConfig(objective="jepa"), r"model\.objective='jepa', but must be one of vjepa2, vjepa21"),
        (lambda: replace(MODEL, encoder="tiny").build(), r"model\.objective=vjepa21 .* set model\.encoder=vjepa21_…"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(wrong: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        wrong()


def test_a_run_learns_goes_on_and_writes_what_planners_read(tmp_path: Path) -> None:
    whole = pretrainer(config(tmp_path / "whole"))
    assert isinstance(whole.jepa, VideoJepa21)
    start = {name: value.clone() for name, value in whole.jepa.encoder.state_dict().items()}
    whole.run()
    assert (whole.jepa.context_weight, whole.jepa.weighs_distance) == (0.5, True)
    learnt = {name for name, value in whole.jepa.encoder.state_dict().items() if not torch.equal(value, start[name])}
    assert set(start) - learnt == {"img_mod_embed", "patch_embed_img.proj.weight", "patch_embed_img.proj.bias"}
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    (tmp_path / "parts/checkpoints/step_00000004.pt").unlink()
    again = pretrainer(config(tmp_path / "parts"))
    assert again.step == 2
    again.run()
    losses = [history(tmp_path / folder)["loss"] for folder in ("whole", "parts")]
    assert losses[0].notna().all()
    pd.testing.assert_series_equal(*losses, atol=1e-6, rtol=0)
    for name, value in again.jepa.state_dict().items():
        torch.testing.assert_close(value, whole.jepa.state_dict()[name], atol=1e-6, rtol=0, msg=name)
    encoder = load_encoder("vjepa21_tiny", tmp_path / "whole/checkpoints/step_00000004.pt")
    assert isinstance(encoder, VideoEncoder21)
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, whole.jepa.target_encoder.state_dict()[name]), name


def test_it_starts_from_a_file_of_its_own_with_the_predictor(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source, jepa = MODEL.build(), MODEL.build()
    parts = {part: getattr(source, part).state_dict() for part in ("encoder", "target_encoder", "predictor")}
    torch.save(parts, tmp_path / "vjepa2_1.pt")
    load_initial_weights(jepa, tmp_path / "vjepa2_1.pt", predictor=True)
    for name, value in source.state_dict().items():
        assert torch.equal(value, jepa.state_dict()[name]), name


def test_the_older_objective_takes_the_newer_encoder_but_not_its_predictor(tmp_path: Path) -> None:
    source, jepa = MODEL.build(), replace(MODEL, objective="vjepa2").build()
    parts = {part: getattr(source, part).state_dict() for part in ("target_encoder", "predictor")}
    torch.save(parts, tmp_path / "vjepa2_1.pt")
    assert "fresh" in load_initial_weights(jepa, tmp_path / "vjepa2_1.pt", predictor=False)
    assert torch.equal(jepa.encoder.norms_block[3].weight, source.target_encoder.norms_block[3].weight)
    with pytest.raises(CheckpointError, match=r"entry predictor: .*missing.*model\.init_predictor=false"):
        load_initial_weights(jepa, tmp_path / "vjepa2_1.pt", predictor=True)
