"""Callbacks under a Lightning module like NAVSIM's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from navsim_agents.drive_jepa import PerceptionFreeAgent
from navsim_agents.errors import InputError
from tests.drive_jepa.lightning import Module
from tests.drive_jepa.scenes import make_batch

MakeAgent = Callable[..., PerceptionFreeAgent]
TERMS = {"trajectory_loss", "ade_m", "fde_m", "heading_l1_rad"}


def samples(count: int) -> list[Any]:
    features, targets = make_batch(count)
    return [({k: v[i] for k, v in features.items()}, {k: v[i] for k, v in targets.items()}) for i in range(count)]


def fit(agent: PerceptionFreeAgent, folder: Path, **trainer: Any) -> pl.Trainer:
    settings = {"max_epochs": 2, **trainer}
    runner = pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=agent.get_training_callbacks(),
        **settings,
    )
    runner.fit(Module(agent), DataLoader(samples(5), batch_size=2), DataLoader(samples(3), batch_size=2))
    return runner


def test_every_term_is_logged_and_agrees_with_the_loss(make_agent: MakeAgent, tmp_path: Path) -> None:
    metrics = fit(make_agent(), tmp_path).callback_metrics
    assert {name for name in metrics if name.startswith("val/")} >= {f"val/{term}" for term in TERMS}
    assert {name for name in metrics if name.startswith("train/")} >= {f"train/{term}" for term in TERMS}
    assert metrics["val/trajectory_loss"] == pytest.approx(metrics["val/loss_epoch"].item(), rel=1e-5)


def test_terms_are_handed_to_lightning_once_an_epoch(
    make_agent: MakeAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each number costs it milliseconds, more than a small planner's step."""
    handed: list[str] = []
    log = pl.LightningModule.log

    def counted(module: pl.LightningModule, name: str, *args: Any, **settings: Any) -> None:
        handed.append(name)
        log(module, name, *args, **settings)

    monkeypatch.setattr(pl.LightningModule, "log", counted)
    fit(make_agent(), tmp_path, num_sanity_val_steps=0)  # two epochs of three and two batches
    assert {handed.count(f"{stage}/{term}") for stage in ("train", "val") for term in TERMS} == {2}


def test_best_and_last_checkpoint_are_kept_and_load(make_agent: MakeAgent, tmp_path: Path) -> None:
    agent = make_agent()
    fit(agent, tmp_path)
    files = {path.name: path for path in tmp_path.rglob("*.ckpt")}
    assert len(files) == 2
    assert "last.ckpt" in files
    assert not any("=" in name for name in files)
    loaded = make_agent(files["last.ckpt"], seed=3)
    features, _ = make_batch()
    torch.testing.assert_close(loaded(features)["trajectory"], agent(features)["trajectory"])


def test_training_without_validation_keeps_the_last_checkpoint(make_agent: MakeAgent, tmp_path: Path) -> None:
    fit(make_agent(), tmp_path, limit_val_batches=0)
    assert "last.ckpt" in {path.name for path in tmp_path.rglob("*.ckpt")}


def test_cosine_ends_with_the_training(make_agent: MakeAgent, tmp_path: Path) -> None:
    agent = make_agent(optimiser={"schedule": "cosine", "final_lr_factor": 0.25, "lr": 0.4})
    runner = fit(agent, tmp_path)
    assert agent.progress.total_steps == 6
    assert runner.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1)


def test_cosine_of_an_endless_training_is_refused(make_agent: MakeAgent, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a training that ends"):
        fit(make_agent(optimiser={"schedule": "cosine"}), tmp_path, max_epochs=-1)


def test_training_goes_on_from_the_last_checkpoint(make_agent: MakeAgent, tmp_path: Path) -> None:
    fit(make_agent(), tmp_path)
    (last,) = tmp_path.rglob("last.ckpt")
    agent = make_agent()
    runner = pl.Trainer(
        default_root_dir=tmp_path / "more",
        accelerator="cpu",
        logger=False,
        max_epochs=3,
        enable_progress_bar=False,
        callbacks=agent.get_training_callbacks(),
    )
    loader = DataLoader(samples(5), batch_size=2)
    runner.fit(Module(agent), loader, loader, ckpt_path=last)
    assert (runner.current_epoch, runner.global_step) == (3, 9)
