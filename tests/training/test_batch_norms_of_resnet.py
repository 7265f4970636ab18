"""Batch norms of averaged weights of the ResNet34 planner, measured anew by ``recompute_batch_norm``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from navsim_agents.common.files import read_json
from navsim_agents.common.settings import changed
from navsim_agents.drive_jepa import ProposalAgent
from navsim_agents.errors import InputError
from navsim_agents.models.four_cameras import CAMERAS
from tests.drive_jepa.planner_scenes import TINY_PLANNER
from tests.training.drives import DriveLogs, training, write_scenes
from training.average_checkpoints import AverageCheckpointsConfig, average
from training.batch_norm import training_batches
from training.train import train

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
OF_ENCODER = "agent.planner.backbone.encoder."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With scoring scenes; all runs share its cache."""
    found = tmp_path_factory.mktemp("resnet34")
    write_scenes(found / "scenes" / "trainval", 2)
    return found


def run_of(folder: Path, **optimiser: Any) -> Path:
    """Two epochs over two drives; each epoch's checkpoint is kept."""
    config = changed(
        TINY_PLANNER,
        {
            "pictures": {"source": "four_cameras", "width": 64, "height": 36},
            "encoder": {"name": "timm:resnet34"},
            "momentum": {"mode": "off"},
            "quirks": {"tiled_pillar": True, "skip_when_invisible": True},
            "scenes": str(folder.parent / "scenes" / "trainval"),
            "optimiser": {"lr": 0.003, **optimiser},
        },
    )
    agent = {"_target_": "navsim_agents.drive_jepa.ProposalAgent", "config": config, "device": "cpu"}
    train(training(folder, agent, 2, []), DriveLogs(2, CAMERAS, config["scenes"]))
    return folder


def averaged(run: Path, name: str, **settings: Any) -> Mapping[str, Tensor]:
    output = run.parent / f"{name}.ckpt"
    average(AverageCheckpointsConfig(str(run / "checkpoints" / "epoch*.ckpt"), str(output), **settings))
    found: Mapping[str, Tensor] = torch.load(output, weights_only=True)["state_dict"]
    return found


def by_hand(run: Path, weights: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Statistics of every batch norm of the encoder, as hooks see what goes in, batch by batch."""
    agent = ProposalAgent(read_json(run / "agent.json")["config"], device="cpu").eval()
    agent.load_state_dict({name.removeprefix("agent."): value for name, value in weights.items()})
    norms = {name: part for name, part in agent.encoder.named_modules() if isinstance(part, nn.BatchNorm2d)}
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in norms}

    def watch(name: str) -> Any:
        def look(part: nn.BatchNorm2d, given: tuple[Tensor], answer: Tensor) -> Tensor:
            mean, over = given[0].mean((0, 2, 3)), given[0].transpose(0, 1).flatten(1)
            seen[name].append((mean, over.var(1)))  # unbiased, as torch keeps it; its answer is of the biased one
            scale = part.weight / torch.sqrt(over.var(1, unbiased=False) + part.eps)
            return (given[0] - mean[:, None, None]) * scale[:, None, None] + part.bias[:, None, None]

        return look

    for name, part in norms.items():
        part.register_forward_hook(watch(name))
    with torch.no_grad():
        for features in training_batches(run, seed):
            agent(features)
    found = {}
    for name, pairs in seen.items():
        for place, statistic in enumerate(STATISTICS[:2]):
            found[f"{name}.{statistic}"] = torch.stack([pair[place] for pair in pairs]).mean(0)
    return found


def test_every_norm_of_the_network_is_measured_by_the_averaged_weights(folder: Path) -> None:
    run = run_of(folder / "run")
    plain, found = averaged(run, "plain"), averaged(run, "measured", recompute_batch_norm=str(run), seed=5)
    statistics = [name for name in plain if name.endswith(STATISTICS)]
    assert len(statistics) == 3 * 36  # all of ResNet34's, and the planner has no other
    assert all(name.startswith(OF_ENCODER) for name in statistics)
    assert all(torch.equal(found[name], plain[name]) for name in plain if name not in statistics)
    wanted = by_hand(run, plain, 5)
    assert len(wanted) == 2 * 36
    for name, value in wanted.items():
        torch.testing.assert_close(found[OF_ENCODER + name], value, rtol=2e-3, atol=2e-4)
    assert {int(found[name]) for name in statistics if name.endswith("tracked")} == {3}  # batches of 2 of 6 scenes
    moved = [name for name in wanted if not torch.allclose(plain[OF_ENCODER + name], wanted[name], rtol=0.05)]
    assert len(moved) > len(wanted) / 2  # the mean of running statistics is something else


def test_a_frozen_network_keeps_its_norms_and_nothing_is_left_to_measure(folder: Path) -> None:
    run = run_of(folder / "frozen", freeze_encoder=True)
    plain = averaged(run, "plain")
    first = torch.load(run / "checkpoints" / "epoch000.ckpt", weights_only=True)["state_dict"]
    of_encoder = [name for name in plain if name.startswith(OF_ENCODER)]
    assert all(torch.equal(plain[name], first[name]) for name in of_encoder)
    assert any(not torch.equal(plain[name], first[name]) for name in plain if name not in of_encoder)
    with pytest.raises(InputError, match="its agent trains no batch norm; leave it out"):
        averaged(run, "measured", recompute_batch_norm=str(run))


def test_norms_behind_a_frozen_network_are_measured_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a norm is put before the pyramid level: the network in front of it stays as it was frozen."""
    real = ProposalAgent.__init__

    def make(self: ProposalAgent, *given: Any, **named: Any) -> None:
        real(self, *given, **named)
        backbone: Any = self.planner.backbone
        backbone.neck = nn.Sequential(nn.BatchNorm2d(backbone.neck.lateral.in_channels), backbone.neck)

    monkeypatch.setattr(ProposalAgent, "__init__", make)
    run = run_of(folder / "mixed", freeze_encoder=True)
    plain, found = averaged(run, "plain"), averaged(run, "measured", recompute_batch_norm=str(run))
    changed_ones = {name for name in plain if not torch.equal(found[name], plain[name])}
    own = "agent.planner.backbone.neck.0."
    assert changed_ones == {own + "running_mean", own + "running_var", own + "num_batches_tracked"}
    assert found[own + "num_batches_tracked"] == 3
