"""Encoders from layout to layout and back: every bit stays, and what a layout cannot hold is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from cache_tools.convert_encoder import ConvertEncoderConfig, convert_encoder
from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.checkpoint import load_encoder_weights
from navsim_agents.models.encoders import load_encoder
from navsim_agents.models.presets import encoder_preset
from navsim_agents.models.video_encoder import VideoEncoder, VideoEncoderConfig
from tests.models.hub_files import TINY_CONFIG, in_hub_names, tiny_predictor, write_hub

WRAPPERS = "module.backbone."


def new_encoder(seed: int, preset: str = "tiny") -> VideoEncoder:
    torch.manual_seed(seed)
    encoder = encoder_preset(preset).build()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter)
    return encoder


def convert(source: Path, output: Path, layout: str, **settings: Any) -> str:
    return convert_encoder(ConvertEncoderConfig(str(source), str(output), layout, **settings))


def training_file(path: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Both encoders and a predictor, as V-JEPA's training writes them, and what nobody needs."""
    parts = {"encoder": new_encoder(1), "target_encoder": new_encoder(2), "predictor": tiny_predictor(3)}
    contents: dict[str, Any] = {
        part: {WRAPPERS + name: tensor.to(dtype) for name, tensor in module.state_dict().items()}
        for part, module in parts.items()
    }
    contents["target_encoder"][f"{WRAPPERS}pos_embed"] = torch.zeros(1, 4, 40)
    torch.save({**contents, "epoch": 7}, path)
    return path


def table(path: Path, part: Optional[str] = None) -> dict[str, Tensor]:
    contents = torch.load(path, weights_only=True)
    return dict(contents if part is None else contents[part])


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert sorted(first) == sorted(second)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
        assert tensor.dtype == second[name].dtype


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_through_the_hub_layout_and_back(tmp_path: Path, dtype: torch.dtype) -> None:
    source, hub, back = training_file(tmp_path / "a.pt", dtype), tmp_path / "hub/model.safetensors", tmp_path / "b.pt"
    words = convert(source, hub, "hub")
    assert words == (
        f"{hub}: target_encoder of {source}, tiny (width 40, depth 2, patch [2, 16, 16]) of V-JEPA 2, "
        "with its predictor"
    )
    convert(hub.parent, back, "vjepa2")
    wanted = table(source, "target_encoder")
    del wanted[f"{WRAPPERS}pos_embed"]
    for entry in ("encoder", "target_encoder"):
        assert_same(table(back, entry), wanted)
    assert_same(table(back, "predictor"), table(source, "predictor"))


def test_a_hub_folder_is_written_as_it_was(tmp_path: Path) -> None:
    tensors = in_hub_names(new_encoder(1), tiny_predictor(1))
    folder = write_hub(tmp_path / "hub", tensors)
    convert(folder, tmp_path / "own.pt", "vjepa2")
    convert(tmp_path / "own.pt", tmp_path / "again/model.safetensors", "hub", crop_size=64)
    with safe_open(tmp_path / "again/model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert_same({name: file.get_tensor(name) for name in file.keys()}, tensors)  # noqa: SIM118
    config = json.loads((tmp_path / "again/config.json").read_text())
    assert {name: config[name] for name in TINY_CONFIG} == TINY_CONFIG
    assert (config["pred_num_mask_tokens"], config["pred_num_attention_heads"]) == (3, 2)


@pytest.mark.parametrize("layout", ["ours", "vjepa2"])
@pytest.mark.parametrize("preset", ["tiny", "vjepa21_tiny"])
def test_our_own_state_dict_and_back(tmp_path: Path, layout: str, preset: str) -> None:
    source = new_encoder(1, preset)
    torch.save(source.state_dict(), tmp_path / "bare.pt")
    convert(tmp_path / "bare.pt", tmp_path / "other.pt", layout)
    convert(tmp_path / "other.pt", tmp_path / "again.pt", "ours")
    assert_same(table(tmp_path / "again.pt"), dict(source.state_dict()))
    found = new_encoder(2, preset)
    load_encoder_weights(found, tmp_path / "other.pt")
    assert_same(dict(found.state_dict()), dict(source.state_dict()))


@pytest.mark.parametrize(("preset", "entries"), [("tiny", 2), ("vjepa21_tiny", 3)])
def test_every_entry_that_a_loader_reads_is_there_and_stored_once(tmp_path: Path, preset: str, entries: int) -> None:
    """V-JEPA's loaders read ``encoder`` or ``target_encoder``, and of 2.1 ``ema_encoder`` too."""
    torch.save(new_encoder(1, preset).state_dict(), tmp_path / "bare.pt")
    convert(tmp_path / "bare.pt", tmp_path / "other.pt", "vjepa2")
    assert len(torch.load(tmp_path / "other.pt", weights_only=True)) == entries
    assert (tmp_path / "other.pt").stat().st_size < 1.3 * (tmp_path / "bare.pt").stat().st_size


def test_the_entry_can_be_chosen(tmp_path: Path) -> None:
    source = training_file(tmp_path / "a.pt")
    assert ": encoder of" in convert(source, tmp_path / "b.pt", "ours", entry="encoder")
    assert_same(table(tmp_path / "b.pt"), dict(new_encoder(1).state_dict()))
    convert(source, tmp_path / "b.pt", "ours")
    assert_same(table(tmp_path / "b.pt"), dict(new_encoder(2).state_dict()))


def test_heads_of_a_size_that_no_preset_has_must_be_given(tmp_path: Path) -> None:
    torch.save(VideoEncoderConfig(width=48, depth=3, num_heads=4, mlp_width=72).build().state_dict(), tmp_path / "a.pt")
    hub = tmp_path / "hub/model.safetensors"
    message = r"no preset has width 48, depth 3, mlp_width 72, and weights do not tell .*; set num_heads=…"
    with pytest.raises(InputError, match=message):
        convert(tmp_path / "a.pt", hub, "hub")
    assert not hub.exists()
    convert(tmp_path / "a.pt", hub, "hub", num_heads=4)
    config = json.loads((hub.parent / "config.json").read_text())
    assert (config["num_attention_heads"], config["mlp_ratio"]) == (4, 1.5)
    assert "pred_hidden_size" not in config
    convert(hub, tmp_path / "again/model.safetensors", "hub")  # its config says them now
    assert json.loads((tmp_path / "again/config.json").read_text()) == config


def test_there_is_no_hub_layout_of_vjepa_2_1(tmp_path: Path) -> None:
    torch.save(new_encoder(1, "vjepa21_tiny").state_dict(), tmp_path / "a.pt")
    message = r"holds vjepa21_tiny .* of V-JEPA 2\.1, for which there is no hub layout; write layout=ours or vjepa2"
    with pytest.raises(CheckpointError, match=message):
        convert(tmp_path / "a.pt", tmp_path / "model.safetensors", "hub")


@pytest.mark.parametrize(
    ("output", "layout", "message"),
    [
        ("vitl", "hub", r"output=vitl, but transformers reads model\.safetensors .*; write vitl/model\.safetensors"),
        ("a.safetensors", "ours", r"output=a\.safetensors, but layout=ours is a file of torch; .* end in \.pt"),
    ],
)
def test_names_that_nobody_would_read_are_refused(tmp_path: Path, output: str, layout: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        convert(tmp_path / "absent.pt", Path(output), layout)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"layout": "timm"}, r"layout='timm', but must be one of ours, vjepa2, hub"), ({"entry": "opt"}, r"entry='opt'")],
)
def test_settings_that_there_are_not_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConvertEncoderConfig("a.pt", "b.pt", **settings)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"state_dict": {"agent.x": torch.zeros(1)}}, r"has no entry ema_encoder or target_encoder or encoder"),
        ({"patch_embed.proj.weight": torch.zeros(4, 3, 16, 16)}, r"no patch_embed\.proj\.weight of a video encoder"),
    ],
)
def test_files_of_something_else_are_refused(tmp_path: Path, contents: Any, message: str) -> None:
    torch.save(contents, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=rf"a\.pt cannot be converted: .*{message}.*; give a file of V-JEPA"):
        convert(tmp_path / "a.pt", tmp_path / "b.pt", "ours")


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    """Neither by its name, nor by another, nor as the folder that it lies in."""
    weights = VideoEncoder(encoder_preset("tiny")).state_dict()
    torch.save({"target_encoder": weights, "encoder": weights}, tmp_path / "both.pt")
    (tmp_path / "link.pt").symlink_to("both.pt")
    hub = tmp_path / "hub" / "model.safetensors"
    convert_encoder(ConvertEncoderConfig(str(tmp_path / "both.pt"), str(hub), layout="hub"))
    files = {path: path.read_bytes() for path in (tmp_path / "both.pt", hub)}
    for given, output, layout in (
        ("both.pt", "both.pt", "ours"),
        ("both.pt", "link.pt", "vjepa2"),
        ("link.pt", "both.pt", "ours"),
        ("hub", "hub/model.safetensors", "hub"),
    ):
        config = ConvertEncoderConfig(str(tmp_path / given), str(tmp_path / output), layout=layout)
        with pytest.raises(InputError, match=r"is what input=.* is read from; name another output"):
            convert_encoder(config)
    assert {path: path.read_bytes() for path in files} == files


@pytest.mark.parametrize("contents", [{}, {1: torch.zeros(2)}, {"encoder": {1: torch.zeros(2)}}, {"encoder": {}}])
def test_files_without_names_are_refused_in_words(contents: Any, tmp_path: Path) -> None:
    torch.save(contents, tmp_path / "odd.pt")
    with pytest.raises(
        CheckpointError,
        match=r"odd\.pt (cannot be converted: (the file has no|its entry|no patch_)|holds something called 1)",
    ):
        convert_encoder(ConvertEncoderConfig(str(tmp_path / "odd.pt"), str(tmp_path / "out.pt")))
    with pytest.raises(CheckpointError, match=r"odd\.pt (does not fit the encoder|holds something called 1)"):
        load_encoder("tiny", tmp_path / "odd.pt")
