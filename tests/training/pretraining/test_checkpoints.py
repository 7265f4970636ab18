"""Checkpoints: V-JEPA 2's layout, read by our own encoder loader, and started from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.checkpoint import load_encoder_weights
from navsim_agents.models.presets import encoder_preset
from navsim_agents.models.video_encoder import VideoEncoder
from navsim_agents.models.video_jepa import VideoJepa
from tests.models.hub_files import in_hub_names, write_hub
from tests.training.pretraining.tiny_runs import pretrainer, tiny_config
from training.pretraining.checkpoints import (
    Progress,
    keep_newest,
    load_checkpoint,
    load_initial_weights,
    save_checkpoint,
)
from training.pretraining.config import ModelConfig, OptimiserConfig
from training.pretraining.optimiser import build_optimiser

LAYOUT = ["encoder", "predictor", "target_encoder", "opt", "scaler", "epoch", "loss", "batch_size", "world_size", "lr"]
SIZES = ModelConfig("tiny", "tiny", num_mask_tokens=3)


def differing_jepa(seed: int) -> VideoJepa:
    """Networks whose moving average is not a copy."""
    torch.manual_seed(seed)
    jepa = SIZES.build()
    for parameter in jepa.target_encoder.parameters():
        parameter.data += 0.1
    return jepa


def write(path: Path, jepa: VideoJepa) -> Path:
    progress = Progress(7, 1, 2, 5, {"clips": 3}, [0.5, 0.25])
    save_checkpoint(path, jepa, build_optimiser(jepa, OptimiserConfig()), progress, epoch=2, lr=0.1)
    return path


def assert_same(first: torch.nn.Module, second: torch.nn.Module) -> None:
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_layout_is_vjepas_and_loads_without_running_code(tmp_path: Path) -> None:
    contents = torch.load(write(tmp_path / "step_00000007.pt", differing_jepa(1)), weights_only=True)
    assert sorted(contents) == sorted([*LAYOUT, "navsim_drive_jepa"])
    for part in ("encoder", "predictor", "target_encoder"):
        assert all(name.startswith("module.backbone.") for name in contents[part])
    assert "module.backbone.mask_tokens.2" in contents["predictor"]
    assert (contents["epoch"], contents["loss"], contents["batch_size"]) == (2, 0.375, 2)
    assert (contents["world_size"], contents["lr"]) == (5, 0.1)
    assert [len(group["params"]) for group in contents["opt"]["param_groups"]] == [9, 13, 19, 20]


def test_losses_that_an_earlier_version_kept_of_skipped_steps_are_dropped(tmp_path: Path) -> None:
    jepa = differing_jepa(1)
    optimiser = build_optimiser(jepa, OptimiserConfig())
    progress = Progress(7, 1, 2, 5, {"clips": 3}, [0.5, float("nan"), 0.25])
    save_checkpoint(tmp_path / "step_00000007.pt", jepa, optimiser, progress, epoch=2, lr=0.1)
    assert load_checkpoint(tmp_path / "step_00000007.pt", jepa, optimiser).losses == [0.5, 0.25]


def test_our_encoder_loader_reads_the_moving_average(tmp_path: Path) -> None:
    jepa, encoder = differing_jepa(1), VideoEncoder(encoder_preset("tiny"))
    assert load_encoder_weights(encoder, write(tmp_path / "weights.pt", jepa)) == "target_encoder"
    assert_same(encoder, jepa.target_encoder)


def test_a_checkpoint_gives_back_networks_optimiser_and_progress(tmp_path: Path) -> None:
    run = pretrainer(tiny_config(tmp_path))
    run.run()
    path = tmp_path / "checkpoints/step_00000012.pt"
    other = tiny_config(tmp_path).model.build()
    optimiser = build_optimiser(other, OptimiserConfig())
    progress = load_checkpoint(path, other, optimiser)
    assert progress[:4] == (12, 3, 2, 1)
    assert progress.data == {"clips": 24}
    assert_same(other, run.jepa)
    wanted, found = run.optimiser.state_dict(), optimiser.state_dict()
    assert found["param_groups"] == wanted["param_groups"]
    for number, state in wanted["state"].items():
        assert torch.equal(state["exp_avg_sq"], found["state"][number]["exp_avg_sq"])


def test_a_run_starts_from_all_three_networks_of_a_file(tmp_path: Path) -> None:
    source, jepa = differing_jepa(1), differing_jepa(2)
    words = load_initial_weights(jepa, write(tmp_path / "weights.pt", source), predictor=True)
    assert words == "encoder from encoder, moving average from target_encoder, predictor too"
    assert_same(jepa, source)


def test_the_entry_can_be_chosen(tmp_path: Path) -> None:
    source, jepa = differing_jepa(1), differing_jepa(2)
    path = write(tmp_path / "weights.pt", source)
    words = load_initial_weights(jepa, path, predictor=False, entry="target_encoder")
    assert words == "encoder from target_encoder, moving average from target_encoder, predictor fresh"
    assert_same(jepa.encoder, source.target_encoder)
    assert_same(jepa.target_encoder, source.target_encoder)
    with pytest.raises(InputError, match=r"model\.init_entry='opt', but must be one of ema_encoder, target_encoder"):
        ModelConfig(init_entry="opt")


def test_a_distilled_file_starts_the_average_from_its_average(tmp_path: Path) -> None:
    source, jepa = differing_jepa(1), differing_jepa(2)
    contents = {"ema_encoder": source.target_encoder.state_dict(), "encoder": source.encoder.state_dict()}
    torch.save({**contents, "target_encoder": {"norm.weight": torch.zeros(64)}}, tmp_path / "vitl.pt")
    load_initial_weights(jepa, tmp_path / "vitl.pt", predictor=False)
    assert_same(jepa.encoder, source.encoder)
    assert_same(jepa.target_encoder, source.target_encoder)


def test_a_run_starts_from_a_folder_of_the_hub_layout(tmp_path: Path) -> None:
    source, jepa = differing_jepa(1), differing_jepa(2)
    folder = write_hub(tmp_path, in_hub_names(source.encoder, source.predictor))
    words = load_initial_weights(jepa, folder, predictor=True)
    assert words == "encoder from the whole file, moving average from the whole file, predictor too"
    for part, wanted in (("encoder", "encoder"), ("target_encoder", "encoder"), ("predictor", "predictor")):
        assert_same(getattr(jepa, part), getattr(source, wanted))


def test_the_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, load, read = write(tmp_path / "weights.pt", differing_jepa(1)), torch.load, []
    monkeypatch.setattr(torch, "load", lambda *given, **settings: read.append(given[0]) or load(*given, **settings))
    load_initial_weights(differing_jepa(2), path, predictor=True)
    assert read == [path]


def test_the_average_starts_as_a_copy_where_the_file_has_none(tmp_path: Path) -> None:
    source, jepa = differing_jepa(1), differing_jepa(2)
    fresh = {name: tensor.clone() for name, tensor in jepa.predictor.state_dict().items()}
    torch.save({"encoder": source.encoder.state_dict()}, tmp_path / "vitl.pt")
    load_initial_weights(jepa, tmp_path / "vitl.pt", predictor=False)
    assert_same(jepa.encoder, source.encoder)
    assert_same(jepa.target_encoder, source.encoder)
    for name, tensor in fresh.items():
        assert torch.equal(jepa.predictor.state_dict()[name], tensor)


def test_a_run_is_told_to_start_from_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = differing_jepa(1)
    path = write(tmp_path / "weights.pt", source)
    model = ModelConfig("tiny", "tiny", 3, activation_checkpointing=False, init_from=str(path))
    assert_same(pretrainer(tiny_config(tmp_path / "run", model=model)).jepa, source)
    words = "encoder from encoder, moving average from target_encoder, predictor too"
    assert f"{path}: {words}\n" in capsys.readouterr().out


def other_predictor(contents: dict[str, Any]) -> None:
    contents["predictor"]["module.backbone.mask_tokens.3"] = torch.zeros(1, 1, 24)


def no_predictor(contents: dict[str, Any]) -> None:
    del contents["predictor"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_predictor, r"1 unexpected: mask_tokens\.3\. It holds 4 mask tokens: set model\.num_mask_tokens to that"),
        (no_predictor, r"no entry predictor; .* or model\.init_predictor=false"),
    ],
)
def test_a_predictor_that_does_not_fit_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    path = write(tmp_path / "weights.pt", differing_jepa(1))
    contents = torch.load(path, weights_only=True)
    change(contents)
    torch.save(contents, path)
    with pytest.raises(CheckpointError, match=message):
        load_initial_weights(differing_jepa(2), path, predictor=True)


def test_a_foreign_checkpoint_is_no_run_to_go_on_with(tmp_path: Path) -> None:
    jepa = differing_jepa(1)
    torch.save({"encoder": {}, "epoch": 3}, tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match=r"holds encoder, epoch but no navsim_drive_jepa.*model\.init_from="):
        load_checkpoint(tmp_path / "foreign.pt", jepa, build_optimiser(jepa, OptimiserConfig()))


def test_keeping_the_newest_counts_whole_files_only(tmp_path: Path) -> None:
    for name in ("step_00000002.pt", "step_00000010.pt", "step_00000030.pt", ".0a1b2c3d.step_00000040.pt", "own.pt"):
        (tmp_path / name).touch()
    keep_newest(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.pt", "step_00000010.pt", "step_00000030.pt"]
