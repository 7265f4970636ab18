"""A training that averages its weights: fitted, cut off, resumed, exported, always the same plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from navsim_agents.drive_jepa import PerceptionFreeAgent
from navsim_agents.drive_jepa.averaging import TRAINED
from navsim_agents.drive_jepa.runs import load_agent
from navsim_agents.errors import InputError
from tests.drive_jepa.scenes import TINY
from tests.training.drives import TRAINER, DriveLogs, training
from training.average_checkpoints import AverageCheckpointsConfig, average
from training.config import EvaluateConfig
from training.dataset import CachedScenes, collate
from training.evaluate import evaluate
from training.fitting import fill_cache
from training.lightning_module import AgentModule
from training.train import train

EPOCHS, VAL = 4, "log-1"
KINDS: dict[str, dict[str, Any]] = {
    "moving": {"ema_decay": 0.9},
    "late equal": {"averaging": "equal", "average_from_epoch": 1},
}


def agent_of(optimiser: dict[str, Any], **more: Any) -> dict[str, Any]:
    planner = {**TINY["planner"], "num_poses": 8}
    config = {**TINY, "planner": planner, "optimiser": {"lr": 0.02, **optimiser}}
    return {"_target_": "navsim_agents.drive_jepa.PerceptionFreeAgent", "config": config, "device": "cpu", **more}


def state(path: Path) -> Any:
    return torch.load(path, weights_only=True)


class PowerCut(RuntimeError):
    """Ends a training within an epoch."""


def cut_after(steps: int, patch: pytest.MonkeyPatch) -> None:
    real, done = PerceptionFreeAgent.compute_loss, []

    def compute(self: PerceptionFreeAgent, *given: Any) -> Any:
        done.append(1)
        if len(done) > steps:
            raise PowerCut
        return real(self, *given)

    patch.setattr(PerceptionFreeAgent, "compute_loss", compute)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_table_from_whatever_a_training_left(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, source = agent_of(KINDS[kind]), DriveLogs()
    train(training(tmp_path / "whole", agent, EPOCHS, [VAL]), source)
    with monkeypatch.context() as patch:
        cut_after(3 * 2 + 2 * 2 + 2, patch)  # 3 steps and 2 validated batches an epoch; in the third epoch
        with pytest.raises(PowerCut):
            train(training(tmp_path / "parts", agent, EPOCHS, [VAL]), source)
    with pytest.raises(InputError, match=r"holds no result\.json"):
        load_agent(tmp_path / "parts")
    assert train(training(tmp_path / "parts", agent, EPOCHS, [VAL]), source)["epochs"] == EPOCHS

    last = tmp_path / "parts" / "checkpoints" / "last.ckpt"
    exported, plain, raw = (tmp_path / f"{name}.ckpt" for name in ("exported", "plain", "raw"))
    average(AverageCheckpointsConfig(str(last), str(exported)))
    torch.save({"state_dict": state(last)["state_dict"]}, plain)
    torch.save({"state_dict": state(last)[TRAINED]}, raw)
    asked = EvaluateConfig(
        output=str(tmp_path / "out"),
        data_root="",
        baselines=[],
        log_names=[VAL],
        weights="last",
        runs={"whole": str(tmp_path / "whole"), "parts": str(tmp_path / "parts")},
        agent=agent_of({}),
        checkpoints={"last": str(last), "file": [str(exported), str(plain), str(raw)]},
    )
    rows = evaluate(asked, source)["agents"]
    plans = np.load(tmp_path / "out" / "plans.npz")
    of = {name: plans[f"plans.{name}"] for name in rows}
    first, *others, trained = of
    assert (first, trained) == ("whole", "file-raw")
    assert others == ["parts", "last-epoch003-step00012", "file-exported", "file-plain"]
    for name in others:
        np.testing.assert_array_equal(of[name], of[first], err_msg=name)
        assert rows[name] == rows[first]
    assert np.abs(of[trained] - of[first]).max() > 1e-3
    validated = pd.read_csv(tmp_path / "parts" / "history.csv")["val_ade_m"].iloc[-1]
    assert rows[first]["ade_m"] == pytest.approx(validated, abs=1e-4)
    assert ade_by_lightning(training(tmp_path / "parts", agent, EPOCHS, [VAL]), last, source) == pytest.approx(
        validated, abs=1e-4
    )


def ade_by_lightning(config: Any, path: Path, source: DriveLogs) -> float:
    """ADE [m] of Lightning's own validation of a file, outside of a fit."""
    agent = PerceptionFreeAgent(config.agent["config"], device="cpu")
    fill_cache(config, source, agent, [VAL])
    scenes: Any = torch.utils.data.DataLoader(CachedScenes(Path(config.cache.path), [VAL]), 2, collate_fn=collate)
    trainer = pl.Trainer(**TRAINER, logger=False, callbacks=agent.get_training_callbacks())
    (found,) = trainer.validate(AgentModule(agent), scenes, ckpt_path=str(path), verbose=False)
    return float(found["val/ade_m"])
