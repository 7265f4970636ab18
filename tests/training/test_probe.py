"""The probe: a better encoder wins, its weights stay frozen, and nothing is trained twice."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_module
from torch import nn

from navsim_agents.common.conventions import NUM_POSES
from navsim_agents.common.files import read_json
from navsim_agents.common.settings import read_settings
from navsim_agents.drive_jepa.runs import build_agent, last_checkpoint
from navsim_agents.errors import InputError
from tests.training.fakes import FakeSource, TinyAgent
from training.config import CacheConfig, DataConfig, ParamsConfig
from training.probe_config import ProbeConfig, TestConfig
from training.probing import encode_scenes, probe, probe_table, run_config

TRAINER = {
    "accelerator": "cpu",
    "devices": 1,
    "max_epochs": 12,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "log_every_n_steps": 1,
    "num_sanity_val_steps": 0,
}


class TwoPartAgent(TinyAgent):
    """A frozen "encoder" of grey and speed before the head; the random one hides what the head needs."""

    def __init__(
        self, config: dict[str, Any], checkpoint_path: str = "", encoder_checkpoint_path: Optional[str] = None
    ) -> None:
        super().__init__(0.05, checkpoint_path)
        self.encoder = nn.Linear(3, 3)
        nn.init.normal_(self.encoder.weight, std=0.01)
        self.encoder.requires_grad_(not config["optimiser"]["freeze_encoder"])
        self.encoder_checkpoint_path = encoder_checkpoint_path

    def initialize(self) -> None:
        if self.encoder_checkpoint_path and not self.checkpoint_path:
            self.encoder.load_state_dict(torch.load(self.encoder_checkpoint_path, weights_only=True))
        super().initialize()

    def frozen_features(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """A command that says nothing, then what the encoder makes of the scene."""
        command = torch.ones(len(features["status"]), 4)
        return torch.cat((command, self.encoded(features)), dim=1)

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"trajectory": self.linear(self.encoded(features)).unflatten(1, (NUM_POSES, 3))}

    def encoded(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        grey = (features["picture"].float().mean((1, 2, 3)) - 128) / 100
        speed = features["status"][:, 0]
        encoded: torch.Tensor = self.encoder(torch.stack((grey * speed, speed, grey), dim=-1))
        return encoded


def Plain(config: dict[str, Any], encoder_checkpoint_path: Optional[str] = None) -> TinyAgent:
    """An agent without frozen features."""
    return TinyAgent()


def config(folder: Path) -> ProbeConfig:
    torch.save({"weight": torch.eye(3), "bias": torch.zeros(3)}, folder / "good.pt")
    return ProbeConfig(
        output=str(folder / "probe"),
        agent={"_target_": "tests.training.test_probe.TwoPartAgent", "config": {}},
        data=DataConfig(root="", val_fraction=0.2),
        test=TestConfig(root=""),
        cache=CacheConfig(path=str(folder / "cache"), workers=0),
        encoders={"good": str(folder / "good.pt"), "drawn": "random"},
        seeds=[3, 5],
        dataloader=ParamsConfig({"batch_size": 5}),
        trainer=ParamsConfig(TRAINER),
    )


def test_the_better_encoder_wins_and_stays_frozen(tmp_path: Path) -> None:
    settings = config(tmp_path)
    summary = probe(settings, FakeSource(), FakeSource())
    assert read_json(tmp_path / "probe" / "probe.json") == summary
    good, drawn = (summary["encoders"][name]["metrics"]["ade_m"] for name in ("good", "drawn"))
    assert good["mean"] < 0.7 * drawn["mean"]
    assert len(good["values"]) == 2
    first, second = good["values"]
    assert good["mean"] == pytest.approx((first + second) / 2)
    assert good["sd"] == pytest.approx(abs(first - second) / 2**0.5)
    state = torch.load(last_checkpoint(tmp_path / "probe" / "runs" / "good-seed5"), weights_only=False)["state_dict"]
    assert torch.equal(state["agent.encoder.weight"], torch.eye(3))
    lines = probe_table(summary).splitlines()
    assert lines[0].split() == ["encoder", "ade_m", "fde_m", "heading_error_rad", "seeds", "scenes"]
    assert [line.split()[0] for line in lines[2:]] == ["good", "drawn", "(constant_velocity)"]
    assert f"{good['mean']:.3f} ± {good['sd']:.3f}" in lines[2]
    assert (tmp_path / "probe" / "probe.txt").read_text() == probe_table(summary) + "\n"


def test_finished_runs_are_kept_and_others_refused(tmp_path: Path) -> None:
    settings = replace(config(tmp_path), seeds=[3], encoders={"drawn": "random"})
    probe(settings, FakeSource(), FakeSource())
    results = [tmp_path / "probe" / "runs" / f"drawn-seed{seed}" / "result.json" for seed in (3, 4)]
    before = results[0].stat().st_mtime_ns
    summary = probe(replace(settings, seeds=[3, 4]), FakeSource(), FakeSource())
    assert results[0].stat().st_mtime_ns == before
    assert results[1].exists()
    assert summary["encoders"]["drawn"]["seeds"] == [3, 4]
    longer = replace(settings, trainer=ParamsConfig({**TRAINER, "max_epochs": 13}))
    with pytest.raises(InputError, match="drawn-seed3 holds a run with other settings or weights"):
        probe(longer, FakeSource(), FakeSource())


def test_the_record_of_plain_weights_is_what_it_always_was(tmp_path: Path) -> None:
    """A kept run is recognised by this dictionary; were it another, every kept run would be refused."""
    settings = replace(config(tmp_path), seeds=[3], encoders={"drawn": "random"})
    probe(settings, FakeSource(), FakeSource())
    assert read_json(tmp_path / "probe" / "runs" / "drawn-seed3" / "probe_run.json") == {
        "config": {
            "output": str(tmp_path / "probe" / "runs" / "drawn-seed3"),
            "agent": {
                "_target_": "tests.training.test_probe.TwoPartAgent",
                "config": {"optimiser": {"freeze_encoder": True}},
                "encoder_checkpoint_path": None,
            },
            "data": asdict(settings.data),
            "cache": asdict(settings.cache),
            "dataloader": {"params": {"batch_size": 5}},
            "trainer": {"params": TRAINER},
            "seed": 3,
            "threads": 0,
            "resume": True,
        },
        "weights": None,
    }


def test_encoders_of_other_architectures_bring_their_settings(tmp_path: Path) -> None:
    base = replace(
        config(tmp_path), agent={"_target_": "…", "config": {"encoder": {"name": "tiny"}, "optimiser": {"lr": 0.5}}}
    )
    entries = {
        "plain": "random",
        "dino": {"weights": "/w/dino.pth", "encoder": {"name": "timm:vit_small_patch16_224"}},
        "wide": {"weights": "random", "pictures": {"width": 224}},
    }
    settings = replace(base, encoders=entries)
    plain, dino, wide = (run_config(settings, name, 3, tmp_path) for name in entries)
    assert plain == run_config(replace(base, encoders={"plain": {"weights": "random"}}), "plain", 3, tmp_path)
    assert plain.agent["config"] == {"encoder": {"name": "tiny"}, "optimiser": {"lr": 0.5, "freeze_encoder": True}}
    assert dino.agent["config"] == {**plain.agent["config"], "encoder": {"name": "timm:vit_small_patch16_224"}}
    assert (plain.agent["encoder_checkpoint_path"], dino.agent["encoder_checkpoint_path"]) == (None, "/w/dino.pth")
    assert wide.agent["config"]["pictures"] == {"width": 224}
    assert plain.cache == dino.cache == settings.cache
    assert wide.cache.path == f"{settings.cache.path}_wide"


def test_an_encoder_with_settings_is_trained_and_named(tmp_path: Path) -> None:
    entry = {"weights": str(tmp_path / "good.pt"), "note": "of another kind"}
    summary = probe(replace(config(tmp_path), seeds=[3], encoders={"good": entry}), FakeSource(), FakeSource())
    assert summary["encoders"]["good"]["weights"] == entry["weights"]
    assert summary["encoders"]["good"]["settings"] == {"note": "of another kind"}
    agent = read_json(tmp_path / "probe" / "runs" / "good-seed3" / "agent.json")
    assert agent["config"] == {"note": "of another kind", "optimiser": {"freeze_encoder": True}}


def test_one_seed_has_no_deviation(tmp_path: Path) -> None:
    summary = probe(replace(config(tmp_path), seeds=[3]), FakeSource(), FakeSource())
    assert summary["encoders"]["good"]["metrics"]["ade_m"]["sd"] is None
    assert "±" not in probe_table(summary)


def test_the_linear_fit_alone_trains_nothing(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3, 3), "bias": torch.zeros(3)}, tmp_path / "blind.pt")
    encoders = {"good": str(tmp_path / "good.pt"), "blind": str(tmp_path / "blind.pt")}
    settings = replace(config(tmp_path), measures=["linear_fit"], encoders=encoders, seeds=[3])
    summary = probe(settings, FakeSource(), FakeSource())
    assert not (tmp_path / "probe" / "runs").exists()
    fits = {name: summary["encoders"][name]["linear_fit"]["ade_m"]["mean"] for name in encoders}
    alone = summary["linear_fit_baselines"]["command alone"]
    assert fits["good"] < 0.5 * fits["blind"]
    assert fits["blind"] == pytest.approx(alone["ade_m"])
    assert alone["num_planned"] == 30
    lines = probe_table(summary).splitlines()
    assert lines[0] == "Linear fit of the plan on command and frozen tokens"
    assert [line.split()[0] for line in lines[3:]] == ["good", "blind", "(command"]


def test_both_measures_stand_one_below_the_other(tmp_path: Path) -> None:
    settings = replace(config(tmp_path), measures=["planner", "linear_fit"], encoders={"drawn": "random"}, seeds=[3])
    summary = probe(settings, FakeSource(), FakeSource())
    assert summary["encoders"]["drawn"].keys() >= {"metrics", "linear_fit", "strengths"}
    first, second = probe_table(summary).split("\n\n")
    assert "(constant_velocity)" in first
    assert second.startswith("Linear fit")


def test_the_fit_sees_the_random_weights_that_the_planner_sees(tmp_path: Path) -> None:
    settings = replace(config(tmp_path), encoders={"drawn": "random"}, seeds=[3, 5])
    found = [encode_scenes(settings, "drawn", seed, FakeSource(), FakeSource())[1].features for seed in (3, 5, 3)]
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.allclose(found[0], found[1])
    torch.manual_seed(0)
    probe(replace(settings, seeds=[3]), FakeSource(), FakeSource())
    weights = torch.load(last_checkpoint(tmp_path / "probe/runs/drawn-seed3"), weights_only=False)["state_dict"]
    pl.seed_everything(3)
    torch.testing.assert_close(
        build_agent(run_config(settings, "drawn", 3, tmp_path).agent).encoder.weight.data,
        weights["agent.encoder.weight"],
    )


def test_each_seed_has_its_own_weights(tmp_path: Path) -> None:
    """So the deviation is over pretrainings, as it is over random encoders."""
    torch.save({"weight": 2 * torch.eye(3), "bias": torch.zeros(3)}, tmp_path / "other.pt")
    paths = [str(tmp_path / "good.pt"), str(tmp_path / "other.pt")]
    settings = replace(config(tmp_path), encoders={"taught": paths})
    found = [run_config(settings, "taught", seed, tmp_path).agent["encoder_checkpoint_path"] for seed in (3, 5)]
    assert found == paths
    mapped = replace(settings, encoders={"taught": {"weights": paths, "note": "x"}})
    assert run_config(mapped, "taught", 5, tmp_path).agent["encoder_checkpoint_path"] == paths[1]
    with pytest.raises(InputError, match=r"encoders\.taught has 2 weights, but there are 1 seeds; give one a seed"):
        replace(settings, seeds=[3])


def test_unfit_settings_are_refused(tmp_path: Path) -> None:
    settings = config(tmp_path)
    with pytest.raises(InputError, match="tested on what they learn from"):
        replace(settings, test=TestConfig(root="", split="trainval"))
    with pytest.raises(InputError, match=r"encoders=\{\} and seeds="):
        replace(settings, encoders={})
    with pytest.raises(InputError, match=r"measures=\['fit'\], but must be some of planner, linear_fit"):
        replace(settings, measures=["fit"])
    plain = replace(settings, measures=["linear_fit"], agent={"_target_": "tests.training.test_probe.Plain"})
    with pytest.raises(InputError, match="TinyAgent has no frozen_features to fit to; leave linear_fit out, or take"):
        probe(plain, FakeSource(), FakeSource())
    for entry in ({"encoder": {"name": "tiny"}}, 7, [], [3, 5]):
        with pytest.raises(InputError, match=r"encoders\.a=.* names no weights; give <checkpoint> or random, or a map"):
            replace(settings, encoders={"a": entry})
    with pytest.raises(InputError, match=r"encoder checkpoint .*gone.pt is no file"):
        probe(replace(settings, encoders={"gone": str(tmp_path / "gone.pt")}), FakeSource(), FakeSource())


def test_configuration_file_is_complete() -> None:
    required = ["output=out", "data.root=in", "test.root=other", "+encoders.a=random"]
    required += ["+encoders.b={weights: /w/dino.pth, encoder: {name: timm:vit_small_patch16_224}}"]
    with initialize_config_module("training.conf", version_base="1.2"):
        composed = read_settings(ProbeConfig, compose("probe", overrides=required))
    other = {"weights": "/w/dino.pth", "encoder": {"name": "timm:vit_small_patch16_224"}}
    assert composed.encoders == {"a": "random", "b": other}
    assert type(composed.encoders["b"]) is dict
    assert composed.agent["config"]["planner"]["sees_motion"] is True
    assert composed.cache.path == "out/cache"
