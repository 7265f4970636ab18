"""Ten checkpoints of the full planner in one table: every file, scene and picture is read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from navsim_agents.drive_jepa import ProposalAgent
from navsim_agents.drive_jepa.features import FrontVideoBuilder
from navsim_agents.drive_jepa.proposal_features import ProjectionBuilder
from navsim_agents.models.checkpoint_file import open_checkpoint, read_checkpoint
from navsim_agents.scoring import ScoringScene
from tests.drive_jepa.planner_scenes import TINY_PLANNER, Drive, DriveScene
from tests.scoring.tiny import scene
from training.config import EvaluateConfig
from training.evaluate import evaluate

FRAMES, COUNT = (4, 5, 6), 10
DRIVE = Drive(num_frames=7)


@dataclass
class CountingSource:
    """One drive, and what was read of it."""

    read: Counter[str] = field(default_factory=Counter)

    @property
    def tokens(self) -> list[str]:
        return [DRIVE.token(frame) for frame in FRAMES]

    def log_names(self) -> list[str]:
        return ["log-0"]

    def open(self, log_name: str) -> CountingSource:
        return self

    def fingerprint(self, log_name: str) -> str:
        return log_name

    def get_scene(self, token: str) -> DriveScene:
        self.read["scene " + token] += 1
        return DRIVE.scene(FRAMES[self.tokens.index(token)])

    def scoring_scene(self, token: str) -> ScoringScene:
        self.read["scoring scene " + token] += 1
        time = np.asarray(500_000 * self.tokens.index(token))
        return scene(token=np.asarray(token), speed=float(DRIVE.speeds[4]), timestamp_us=time)


def settings(momentum: str) -> dict[str, Any]:
    said = {"tiled_pillar": False, "skip_when_invisible": False}
    config = {**TINY_PLANNER, "momentum": {"mode": momentum}, "quirks": said}
    return {"_target_": "navsim_agents.drive_jepa.ProposalAgent", "config": config, "device": "cpu"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    paths = [folder / f"{number}.ckpt" for number in range(COUNT)]
    for number, path in enumerate(paths):
        torch.manual_seed(number)
        weights = ProposalAgent(settings("on")["config"], device="cpu").state_dict()
        state = {f"agent.{name}": value for name, value in weights.items()}
        torch.save({"state_dict": state, "epoch": number, "global_step": 3 * number}, path)
    return paths


class Reads:
    """Counts the calls of functions by what they are called with."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count: Counter[str] = Counter()
        self._patch = patch

    def watch(self, owner: Any, name: str, word: str, place: int) -> None:
        real = getattr(owner, name)

        def counted(*given: Any, **named: Any) -> Any:
            self.count[word + (f" {given[place]}" if place >= 0 else "")] += 1
            return real(*given, **named)

        self._patch.setattr(owner, name, counted)


SCORES = ["pdms", "epdms", "best_of_n"]


@pytest.mark.parametrize(("momentum", "scores", "frames_a_scene"), [("off", SCORES, 1), ("on", [], 2)])
def test_ten_checkpoints_read_everything_once(
    momentum: str,
    scores: list[str],
    frames_a_scene: int,
    files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads, source = Reads(monkeypatch), CountingSource()
    reads.watch(torch, "load", "file", 0)
    reads.watch(FrontVideoBuilder, "compute_features", "pictures", -1)
    reads.watch(ProjectionBuilder, "compute_features", "projection", -1)
    asked = EvaluateConfig(
        output=str(tmp_path / "out"),
        data_root="",
        baselines=[],
        agent=settings(momentum),
        columns=["displacement", *scores],
        checkpoints={"mine": [str(path) for path in files]},
    )
    rows = evaluate(asked, source)["agents"]
    assert list(rows) == [f"mine-epoch{number:03d}-step{3 * number:05d}" for number in range(COUNT)]
    assert len({row["ade_m"] for row in rows.values()}) == COUNT
    assert source.read == Counter(
        [f"{kind} {token}" for kind in ("scene", "scoring scene")[: 1 + bool(scores)] for token in source.tokens]
    )
    pictures = frames_a_scene * len(FRAMES)
    assert reads.count == {**{f"file {path}": 1 for path in files}, "pictures": pictures, "projection": pictures}


def test_an_open_checkpoint_is_known_by_its_path_alone(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with open_checkpoint(files[3]) as contents:
        assert read_checkpoint(str(files[3])) is contents
        assert epoch(read_checkpoint(files[4])) == 4
        with open_checkpoint(files[5]) as other:
            assert (epoch(other), epoch(read_checkpoint(files[3]))) == (5, 3)
        assert read_checkpoint(files[3]) is contents
    assert read_checkpoint(files[3]) is not contents
    with pytest.raises(ZeroDivisionError), open_checkpoint(files[3]) as contents:
        _ = 1 / 0
    assert read_checkpoint(files[3]) is not contents


def epoch(contents: Mapping[str, Any]) -> int:
    return int(contents["epoch"])
