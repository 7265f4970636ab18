"""The hub layout of V-JEPA 2: read as transformers writes it, exact both ways, refused by name where it is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from navsim_agents.errors import CheckpointError
from navsim_agents.models.checkpoint import WHOLE_FILE, load_encoder_weights, parts_of
from navsim_agents.models.hub_layout import from_hub, hub_config, to_hub
from navsim_agents.models.presets import encoder_preset, predictor_preset
from navsim_agents.models.video_encoder import VideoEncoder
from tests.models.hub_files import TINY_CONFIG, in_hub_names, tiny_predictor, write_hub


def new_encoder(seed: int, preset: str = "tiny") -> VideoEncoder:
    torch.manual_seed(seed)
    encoder = encoder_preset(preset).build()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter)  # so that biases differ too
    return encoder


def hub_tensors(seed: int = 1) -> dict[str, Tensor]:
    return in_hub_names(new_encoder(seed), tiny_predictor(seed))


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert sorted(first) == sorted(second)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
        assert tensor.dtype == second[name].dtype


def test_hub_names_are_translated_exactly() -> None:
    """16 tensors a block in the hub layout, 12 in V-JEPA 2's: 2·16 + 4 and 2·12 + 4, the predictor's likewise."""
    tensors = hub_tensors()
    parts = from_hub(tensors)
    assert (len(tensors), len(parts.encoder), len(parts.predictor)) == (36 + 39, 28, 24 + 6 + 3)
    assert_same(parts.encoder, dict(new_encoder(1).state_dict()))
    assert_same(parts.predictor, dict(tiny_predictor(1).state_dict()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_there_and_back_changes_nothing(dtype: torch.dtype) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in hub_tensors().items()}
    assert_same(to_hub(from_hub(tensors)), tensors)


def test_more_than_ten_mask_tokens_keep_their_order() -> None:
    tensors = in_hub_names(new_encoder(1), tiny_predictor(1, num_mask_tokens=12))
    assert_same(to_hub(from_hub(tensors)), tensors)


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_saved_model_loads(tmp_path: Path, is_folder: bool) -> None:
    folder, encoder = write_hub(tmp_path, hub_tensors()), new_encoder(2)
    assert load_encoder_weights(encoder, folder if is_folder else folder / "model.safetensors") == WHOLE_FILE
    assert_same(dict(encoder.state_dict()), dict(new_encoder(1).state_dict()))


def test_a_model_for_classification_loads_without_its_head(tmp_path: Path) -> None:
    head = {"classifier.weight": torch.zeros(5, 40), "pooler.query_tokens": torch.zeros(1, 1, 40)}
    head["pooler.self_attention_layers.0.self_attn.q_proj.weight"] = torch.zeros(40, 40)
    tensors = {f"vjepa2.{name}": tensor for name, tensor in hub_tensors().items()}
    encoder = new_encoder(2)
    load_encoder_weights(encoder, write_hub(tmp_path, {**tensors, **head}))
    assert_same(dict(encoder.state_dict()), dict(new_encoder(1).state_dict()))


def test_weights_without_a_config_load(tmp_path: Path) -> None:
    folder, encoder = write_hub(tmp_path, hub_tensors()), new_encoder(2)
    (folder / "config.json").unlink()
    load_encoder_weights(encoder, folder)
    assert_same(dict(encoder.state_dict()), dict(new_encoder(1).state_dict()))


def test_config_says_the_sizes() -> None:
    config = hub_config(encoder_preset("tiny"), predictor_preset("tiny"), crop_size=64, num_frames=4)
    assert {name: config[name] for name in TINY_CONFIG} == TINY_CONFIG
    assert config["pred_num_mask_tokens"] == 10
    assert (config["pred_hidden_size"], config["pred_mlp_ratio"], config["frames_per_clip"]) == (24, 2.0, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_attention_heads": 4}, r"config\.json is of another architecture: num_attention_heads=4 instead of 2"),
        ({"layer_norm_eps": 1e-5, "patch_size": 14}, r"patch_size=14 instead of 16, layer_norm_eps=1e-05 instead of"),
        ({"mlp_ratio": 4.0}, r"mlp_ratio=4\.0 instead of 2\.4"),
        ({"hidden_act": "silu"}, r"hidden_act='silu' instead of 'gelu'"),
        ({"model_type": "videomae"}, r"says model_type='videomae', but V-JEPA 2's is 'vjepa2'"),
    ],
)
def test_another_architecture_is_refused_though_the_shapes_fit(tmp_path: Path, changes: Any, message: str) -> None:
    encoder = new_encoder(2)
    before = encoder.norm.weight.clone()
    with pytest.raises(CheckpointError, match=message):
        load_encoder_weights(encoder, write_hub(tmp_path, hub_tensors(), **changes))
    assert torch.equal(encoder.norm.weight, before)


def test_a_config_beside_another_layout_is_not_read(tmp_path: Path) -> None:
    folder, encoder = write_hub(tmp_path, dict(new_encoder(1).state_dict()), model_type="dinov2"), new_encoder(2)
    load_encoder_weights(encoder, folder)
    assert_same(dict(encoder.state_dict()), dict(new_encoder(1).state_dict()))


def test_one_of_another_size_is_called_by_its_layout(tmp_path: Path) -> None:
    folder = write_hub(tmp_path, hub_tensors())
    (folder / "config.json").unlink()
    message = r"24 missing: blocks\.2.*the file holds tiny \(width 40.*in the hub layout, the encoder is small.*name"
    with pytest.raises(CheckpointError, match=message):
        load_encoder_weights(new_encoder(2, "small"), folder)


def without(*names: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in hub_tensors().items() if name not in names}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (without("encoder.layer.1.attention.key.bias"), r"query\.bias has no encoder\.layer\.1\.attention\.key\.bias"),
        (without("encoder.layer.1.attention.query.bias"), r"query\.bias has no encoder\.layer\.1\.attention\.query"),
        (without("encoder.layernorm.bias"), r"1 missing: norm\.bias"),
        ({**hub_tensors(), "encoder.extra": torch.zeros(1)}, r"1 unexpected: encoder\.extra"),
        ({**hub_tensors(), "encoder.layer.0.attention.key.bias": torch.zeros(3)}, r"differ in shape: \[40\], \[3\]"),
    ],
)
def test_broken_ones_are_refused(tmp_path: Path, tensors: dict[str, Tensor], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_encoder_weights(new_encoder(2), write_hub(tmp_path, tensors))


def test_it_has_no_entries(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"one table of tensors and has no entries, so leave entry=encoder out"):
        load_encoder_weights(new_encoder(2), write_hub(tmp_path, hub_tensors()), entry="encoder")


def damaged(folder: Path) -> None:
    whole = folder / "model.safetensors"
    whole.write_bytes(whole.read_bytes()[:5000])


def no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def a_list(folder: Path) -> None:
    (folder / "config.json").write_text("[1]")


def several(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {}}))


def nothing(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damaged, r"model\.safetensors cannot be read as safetensors \(.*; is the file whole\?"),
        (no_json, r"config\.json is not what it should be"),
        (a_list, r"config\.json holds a list, but must be a table"),
        (several, r"holds its weights in several files.*max_shard_size"),
        (nothing, r"is a folder without model\.safetensors, so not one of save_pretrained"),
    ],
)
def test_damaged_folders_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    folder = write_hub(tmp_path, hub_tensors())
    change(folder)
    with pytest.raises(CheckpointError, match=message):
        load_encoder_weights(new_encoder(2), folder)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"absent\.safetensors is not a file"):
        load_encoder_weights(new_encoder(2), tmp_path / "absent.safetensors")


def test_the_predictor_lies_beside_the_encoder() -> None:
    assert_same(parts_of(hub_tensors()).predictor, dict(tiny_predictor(1).state_dict()))
