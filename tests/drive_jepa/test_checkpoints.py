"""Checkpoints: ours, the released layout, and files that are neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from navsim_agents.drive_jepa import PerceptionFreeAgent
from navsim_agents.drive_jepa.checkpoints import LAYOUTS, translate
from navsim_agents.errors import CheckpointError
from tests.drive_jepa.scenes import make_batch

MakeAgent = Callable[..., PerceptionFreeAgent]

LINEAR = ("weight", "bias")
ATTENTION = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")


def named(prefix: str, *parts: str) -> list[str]:
    return [f"{prefix}.{part}.{leaf}" for part in parts for leaf in LINEAR]


def transformer_layer(prefix: str, attentions: tuple[str, ...], num_norms: int) -> list[str]:
    norms = [f"norm{index + 1}" for index in range(num_norms)]
    projections = [f"{prefix}.{attention}.{leaf}" for attention in attentions for leaf in ATTENTION]
    return projections + named(prefix, "linear1", "linear2", *norms)


def released_keys(depth: int, num_layers: int) -> list[str]:
    """Names in the released perception-free checkpoint, spelt out by its layout."""
    keys = named("image_encoder", "patch_embed.proj", "norm")
    for index in range(depth):
        keys += named(f"image_encoder.blocks.{index}", "norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    keys += [f"{name}.{leaf}" for name in ("image_fc", "_status_encoding") for leaf in LINEAR]
    keys += ["_keyval_embedding.weight", "_query_embedding.weight"]
    for index in range(num_layers):
        keys += transformer_layer(f"_transformer.encoder.layers.{index}", ("self_attn",), 2)
        keys += transformer_layer(f"_transformer.decoder.layers.{index}", ("self_attn", "multihead_attn"), 3)
    keys += named("_transformer", "encoder.norm", "decoder.norm")
    keys += named("_trajectory_head._mlp", "0", "2")
    return [f"agent._model.{key}" for key in keys]


def foreign_state(agent: PerceptionFreeAgent) -> dict[str, torch.Tensor]:
    """The agent's weights under the released names."""
    own = agent.state_dict()
    keys = released_keys(depth=2, num_layers=1)
    return {key: own[name].clone() for key, name in zip(keys, translate(dict.fromkeys(keys, torch.empty(0))))}


def save(path: Path, state_dict: dict[str, torch.Tensor], **others: Any) -> Path:
    torch.save({"state_dict": state_dict, "epoch": 3, "pytorch-lightning_version": "2.2.1", **others}, path)
    return path


def test_the_released_file_has_396_keys_and_vit_l_wants_all_of_them() -> None:
    keys = released_keys(depth=24, num_layers=3)
    assert len(keys) == 396
    with torch.device("meta"):
        wanted = PerceptionFreeAgent().state_dict()
    assert set(translate(dict.fromkeys(keys, torch.empty(0)))) == set(wanted)
    assert wanted["planner.kv_embedding"].shape == (129, 256)
    assert wanted["planner.query_embedding"].shape == (8, 256)
    assert wanted["planner.projector.weight"].shape == (256, 1024)
    assert wanted["planner.head.2.weight"].shape == (3, 1024)


def test_a_released_checkpoint_plans_what_its_weights_plan(make_agent: MakeAgent, tmp_path: Path) -> None:
    trained = make_agent(seed=1)
    path = save(tmp_path / "released.ckpt", foreign_state(trained))
    loaded = make_agent(path, seed=2)
    features, _ = make_batch()
    torch.testing.assert_close(loaded(features)["trajectory"], trained(features)["trajectory"], rtol=0, atol=0)


def test_our_own_lightning_checkpoint_loads(make_agent: MakeAgent, tmp_path: Path) -> None:
    trained = make_agent(seed=1)
    path = save(tmp_path / "own.ckpt", {f"agent.{name}": value for name, value in trained.state_dict().items()})
    loaded = make_agent(str(path), seed=2)
    loaded.initialize()
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in loaded.state_dict().items())


@pytest.mark.skipif(
    not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"), reason="torch has no allow-list"
)
def test_plain_objects_beside_the_weights_do_no_harm(make_agent: MakeAgent, tmp_path: Path) -> None:
    others = {"hyper_parameters": OmegaConf.create({"lr": 1e-4}), "best": np.float64(0.5)}
    path = save(tmp_path / "released.ckpt", foreign_state(make_agent(seed=1)), **others)
    make_agent(path).initialize()


class Intruder:
    """Not plain data."""


def test_other_objects_are_refused_unread(make_agent: MakeAgent, tmp_path: Path) -> None:
    path = save(tmp_path / "released.ckpt", foreign_state(make_agent()), callbacks=Intruder())
    with pytest.raises(CheckpointError, match="Intruder"):
        make_agent(path).initialize()


def test_weights_from_a_state_dict_are_not_loaded_over(make_agent: MakeAgent, tmp_path: Path) -> None:
    path = save(tmp_path / "first.ckpt", foreign_state(make_agent(seed=1)))
    agent, resumed = make_agent(path), make_agent(seed=2).state_dict()
    agent.load_state_dict(resumed)
    agent(make_batch()[0])
    assert torch.equal(agent.state_dict()["planner.kv_embedding"], resumed["planner.kv_embedding"])


def test_a_pretrained_encoder_starts_the_training(make_agent: MakeAgent, tmp_path: Path) -> None:
    pretrained = make_agent(seed=1).encoder.state_dict()
    path = tmp_path / "pretrained.pt"
    torch.save({"target_encoder": {f"module.backbone.{name}": value for name, value in pretrained.items()}}, path)
    agent = make_agent(encoder_checkpoint_path=path, seed=2)
    kept = agent.planner.projector.weight.clone()
    agent.get_training_callbacks()
    assert all(torch.equal(value, pretrained[name]) for name, value in agent.encoder.state_dict().items())
    assert torch.equal(agent.planner.projector.weight, kept)


def test_a_missing_key_and_a_strange_one_are_named(make_agent: MakeAgent, tmp_path: Path) -> None:
    state = foreign_state(make_agent())
    state["agent._model.strange"] = state.pop("agent._model.image_fc.bias")
    path = save(tmp_path / "broken.ckpt", state)
    with pytest.raises(CheckpointError, match=r"1 missing: planner\.projector\.bias.*1 unexpected: agent\._model\.str"):
        make_agent(path).initialize()


def test_another_size_is_refused_with_both_shapes(make_agent: MakeAgent, tmp_path: Path) -> None:
    path = save(tmp_path / "other.ckpt", foreign_state(make_agent(pictures={"width": 96})))
    with pytest.raises(CheckpointError, match=r"kv_embedding \[4, 24\] instead of \[3, 24\].*image size"):
        make_agent(path).initialize()


def test_an_encoder_is_no_agent(make_agent: MakeAgent, tmp_path: Path) -> None:
    encoder = make_agent().encoder.state_dict()
    torch.save({"target_encoder": encoder}, tmp_path / "vitl.pt")
    with pytest.raises(CheckpointError, match=r"no state_dict.*encoder_checkpoint_path"):
        make_agent(tmp_path / "vitl.pt").initialize()
    with pytest.raises(CheckpointError, match=r"patch_embed.*encoder_checkpoint_path"):
        make_agent(save(tmp_path / "encoder.ckpt", encoder)).initialize()


def test_no_file_is_said_so(make_agent: MakeAgent, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a file"):
        make_agent(tmp_path / "absent.ckpt").initialize()


def test_layouts_are_told_apart_by_their_marks() -> None:
    marks = list(LAYOUTS)
    assert not any(one != other and one.startswith(other) for one in marks for other in marks)
