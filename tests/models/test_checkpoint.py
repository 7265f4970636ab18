"""Encoder checkpoints: V-JEPA 2's layout loads strictly; anything else is refused with a hint."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from navsim_agents.errors import CheckpointError
from navsim_agents.models.checkpoint import WHOLE_FILE, load_encoder_weights
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


WRAPPERS = ["", "module.", "module.backbone.", "backbone.module."]
COMPILED = ["_orig_mod.", "module._orig_mod.backbone.", "_orig_mod.module.backbone._orig_mod."]


@pytest.mark.parametrize("wrappers", [*WRAPPERS, *COMPILED])
def test_drive_jepa_pretraining_loads_its_moving_average(tmp_path: Path, wrappers: str) -> None:
    average, online, encoder = new_encoder(1), new_encoder(2), new_encoder(3)
    contents = {"encoder": wrapped(online, wrappers), "target_encoder": wrapped(average, wrappers), "epoch": 50}
    assert load_encoder_weights(encoder, saved(tmp_path, contents)) == "target_encoder"
    assert_same_weights(encoder, average)


@pytest.mark.parametrize("inside", ["", "backbone."])
def test_the_encoder_of_a_trained_planner_loads(tmp_path: Path, inside: str) -> None:
    """Of the perception-free planner and of the full one, whose scorer may have an encoder of its own beside it."""
    own, other, encoder = new_encoder(1), new_encoder(2), new_encoder(3)
    table = {"agent.planner.head.weight": torch.zeros(2)}
    table.update(wrapped(other, "agent.planner.scorer_backbone.encoder."))
    table.update(wrapped(own, f"agent.planner.{inside}encoder."))
    path = saved(tmp_path, {"state_dict": table, "epoch": 3})
    assert load_encoder_weights(encoder, path) == "state_dict"
    assert_same_weights(encoder, own)
    assert load_encoder_weights(new_encoder(3), path, entry="state_dict") == "state_dict"
    with pytest.raises(CheckpointError, match=r"the file has no entry encoder; it holds state_dict, epoch"):
        load_encoder_weights(encoder, path, entry="encoder")
    with pytest.raises(CheckpointError, match=r"the file holds tiny .*encoder is small"):
        load_encoder_weights(new_encoder(3, "small"), path)


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


@pytest.mark.parametrize("wrappers", [*WRAPPERS, *COMPILED])
def test_a_state_dict_alone_loads(tmp_path: Path, wrappers: str) -> None:
    source, encoder = new_encoder(1), new_encoder(2)
    assert load_encoder_weights(encoder, saved(tmp_path, wrapped(source, wrappers))) == WHOLE_FILE
    assert_same_weights(encoder, source)


def test_one_of_a_module_whose_blocks_are_compiled_loads(tmp_path: Path) -> None:
    source, encoder = new_encoder(1), new_encoder(2)
    compiled = copy.deepcopy(source)
    for number, block in enumerate(compiled.blocks):
        compiled.blocks[number] = torch.compile(block)
    names = torch.compile(compiled).state_dict()
    assert "_orig_mod.blocks.1._orig_mod.norm1.weight" in names
    load_encoder_weights(encoder, saved(tmp_path, names))
    assert_same_weights(encoder, source)


def test_which_entry_was_read_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = saved(tmp_path, {"encoder": wrapped(new_encoder(2)), "target_encoder": wrapped(new_encoder(1))})
    with caplog.at_level("INFO"):
        load_encoder_weights(new_encoder(3), path)
        load_encoder_weights(new_encoder(3), path, entry="encoder")
    first, second = caplog.messages
    assert "weights.pt: target_encoder read for the encoder, which is tiny (width 40, depth 2" in first
    assert "weights.pt: encoder read for the encoder" in second


def test_an_entry_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, {"encoder": wrapped(new_encoder(1)), "epoch": 3})
    with pytest.raises(CheckpointError, match=r"no entry ema_encoder; it holds encoder, epoch"):
        load_encoder_weights(new_encoder(2), path, entry="ema_encoder")


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
HALF_OF_HUB = {"encoder": {"encoder.layer.0.attention.query.weight": torch.zeros(2)}}
TIMM = {"patch_embed.proj.weight": torch.zeros(40, 3, 16, 16), "norm.weight": torch.zeros(40)}
TOO_MANY = {"encoder": {**wrapped(new_encoder(1)), "head.weight": torch.zeros(2)}}
TOO_FEW = {"encoder": dict(list(wrapped(new_encoder(1)).items())[3:])}


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (
            PLANNER,
            r"no entry ema_encoder or target_encoder or encoder; it holds state_dict, epoch\. Hint: .* planner's",
        ),
        (HALF_OF_HUB, r"query\.weight has no encoder\.layer\.0\.attention\.key\.weight and no .*Hint: .*hub layout"),
        (TIMM, r"of another shape: patch_embed\.proj\.weight.*Hint: this looks like an image transformer of timm's"),
        ({**TIMM, "cls_token": torch.zeros(1)}, r"unexpected: cls_token.*Hint: this looks like an image transformer"),
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
