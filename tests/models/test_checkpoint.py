"""Encoder checkpoints: V-JEPA 2's layout loads strictly; anything else is refused with a hint."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from navsim_agents.errors import CheckpointError
from navsim_agents.models.checkpoint import load_encoder_weights
from navsim_agents.models.checkpoint_file import read_checkpoint
from navsim_agents.models.presets import encoder_preset
from navsim_agents.models.video_encoder import VideoEncoder

CAN_ALLOW_GLOBALS = hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint")


def new_encoder(seed: int, preset: str = "tiny") -> VideoEncoder:
    torch.manual_seed(seed)
    return VideoEncoder(encoder_preset(preset))


def wrapped(encoder: VideoEncoder, wrappers: str = "module.backbone.") -> dict[str, Tensor]:
    return {wrappers + name: tensor for name, tensor in encoder.state_dict().items()}


def saved(folder: Path, contents: Any, **options: Any) -> Path:
    path = folder / "weights.pt"
    torch.save(contents, path, **options)
    return path


def assert_same_weights(first: VideoEncoder, second: VideoEncoder) -> None:
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


@pytest.mark.parametrize("wrappers", ["", "module.", "module.backbone.", "backbone.module."])
def test_drive_jepa_pretraining_loads_its_moving_average(tmp_path: Path, wrappers: str) -> None:
    average, online, encoder = new_encoder(1), new_encoder(2), new_encoder(3)
    contents = {"encoder": wrapped(online, wrappers), "target_encoder": wrapped(average, wrappers), "epoch": 50}
    assert load_encoder_weights(encoder, saved(tmp_path, contents)) == "target_encoder"
    assert_same_weights(encoder, average)


def test_the_online_encoder_can_be_asked_for(tmp_path: Path) -> None:
    online, encoder = new_encoder(2), new_encoder(3)
    contents = {"encoder": wrapped(online), "target_encoder": wrapped(new_encoder(1))}
    assert load_encoder_weights(encoder, saved(tmp_path, contents), entry="encoder") == "encoder"
    assert_same_weights(encoder, online)


def test_public_vjepa_file_with_sine_tables_loads(tmp_path: Path) -> None:
    source, encoder = new_encoder(1), new_encoder(2)
    tables = {"module.backbone.pos_embed": torch.zeros(1, 8, 40), "predictor_pos_embed": torch.zeros(1, 8, 24)}
    path = saved(tmp_path, {"encoder": {**wrapped(source), **tables}, "lr": 1e-4})
    assert load_encoder_weights(encoder, path) == "encoder"
    assert_same_weights(encoder, source)


def test_old_file_format_and_half_precision_load(tmp_path: Path) -> None:
    source, encoder = new_encoder(1).half(), new_encoder(2)
    path = saved(tmp_path, {"encoder": wrapped(source)}, _use_new_zipfile_serialization=False)
    load_encoder_weights(encoder, path)
    assert encoder.norm.weight.dtype == torch.float32
    torch.testing.assert_close(encoder.patch_embed.proj.weight, source.patch_embed.proj.weight.float())


PLAIN_OBJECTS = {
    "loss": np.float64(0.5),
    "meters": np.arange(3.0),
    "folder": Path("runs"),
    "config": OmegaConf.create({"lr": 1e-4, "sizes": [256, "512"], "resume": None}),
}


@pytest.mark.skipif(not CAN_ALLOW_GLOBALS, reason="torch before 2.6 takes no allow-list")
def test_plain_objects_beside_the_weights_are_let_through(tmp_path: Path) -> None:
    contents = read_checkpoint(saved(tmp_path, {"encoder": {}, **PLAIN_OBJECTS}))
    assert contents["loss"] == 0.5
    assert contents["meters"].tolist() == [0.0, 1.0, 2.0]
    assert contents["config"].sizes == [256, "512"]


@pytest.mark.skipif(CAN_ALLOW_GLOBALS, reason="torch from 2.6 on takes an allow-list")
def test_old_torch_names_the_object_that_it_cannot_let_through(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"Unsupported class numpy.*pass from torch 2\.6 on"):
        read_checkpoint(saved(tmp_path, {"encoder": {}, **PLAIN_OBJECTS}))


@pytest.mark.parametrize("zipped", [True, False])
def test_objects_that_could_run_code_are_refused_by_name(tmp_path: Path, zipped: bool) -> None:
    contents = {"encoder": wrapped(new_encoder(1)), "args": argparse.Namespace(lr=1)}
    path = saved(tmp_path, contents, _use_new_zipfile_serialization=zipped)
    advice = (
        r"argparse\.Namespace.*[Ii]f you trust its source, load it once.*'state_dict' of a planner.*'target_encoder'"
    )
    with pytest.raises(CheckpointError, match=advice):
        load_encoder_weights(new_encoder(2), path)


PLANNER = {"state_dict": {"agent._model.vit.norm.weight": torch.zeros(2)}, "epoch": 3}
HUGGING_FACE = {"encoder": {"encoder.layer.0.attention.query.weight": torch.zeros(2)}}
TOO_MANY = {"encoder": {**wrapped(new_encoder(1)), "head.weight": torch.zeros(2)}}
TOO_FEW = {"encoder": dict(list(wrapped(new_encoder(1)).items())[3:])}


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (
            PLANNER,
            r"no entry target_encoder or encoder; it holds state_dict, epoch\. Hint: .* planner's",
        ),
        (HUGGING_FACE, r"28 missing: patch_embed\.proj\.weight.*1 unexpected: encoder\.layer.*Hint: .*Hugging Face"),
        (TOO_MANY, r"1 unexpected: head\.weight\. Hint: the size is right, tiny"),
        (TOO_FEW, r"3 missing: patch_embed\.proj\.weight, patch_embed\.proj\.bias, blocks\.0\.norm1\.weight\. Hint"),
        ({"encoder": {"norm.weight": 3}}, r"its entry 'encoder' is not a table of tensors"),
        ([1, 2], r"holds a list, but a checkpoint is a dictionary"),
    ],
)
def test_wrong_files_are_refused_with_a_hint(tmp_path: Path, contents: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_encoder_weights(new_encoder(1), saved(tmp_path, contents))


def test_another_size_is_named(tmp_path: Path) -> None:
    encoder, path = new_encoder(1, "small"), saved(tmp_path, {"encoder": wrapped(new_encoder(1))})
    before = encoder.norm.weight.clone()
    message = r"24 missing: blocks\.2\..*the file holds tiny \(width 40, depth 2.*encoder is small \(width 128"
    with pytest.raises(CheckpointError, match=message):
        load_encoder_weights(encoder, path)
    assert torch.equal(encoder.norm.weight, before)


def test_absent_foreign_and_cut_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"absent\.pt is not a file"):
        load_encoder_weights(new_encoder(1), tmp_path / "absent.pt")
    page = tmp_path / "page.pt"
    page.write_text("<html>404</html>")
    with pytest.raises(CheckpointError, match=r"page\.pt holds more than weights and plain data, or is no checkpoint"):
        load_encoder_weights(new_encoder(1), page)
    whole = saved(tmp_path, {"encoder": wrapped(new_encoder(1))})
    cut = tmp_path / "cut.pt"
    cut.write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"cut\.pt cannot be read as a checkpoint .* is the file whole\?"):
        load_encoder_weights(new_encoder(1), cut)
