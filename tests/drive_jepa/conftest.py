"""A tiny agent for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import torch

from cache_tools.score_vocabulary import ScoreVocabularyConfig, label_scenes
from navsim_agents.common.settings import changed
from navsim_agents.distillation import save_vocabulary
from navsim_agents.drive_jepa import PerceptionFreeAgent, ProposalAgent
from navsim_agents.scoring import SceneStoreWriter, ScoringScene
from tests.cache_tools.tools import make_vocabulary
from tests.drive_jepa.planner_scenes import TINY_PLANNER, Drive
from tests.drive_jepa.scenes import TINY
from tests.scoring.tiny import arrays, track


@pytest.fixture
def make_agent() -> Callable[..., PerceptionFreeAgent]:
    def make(checkpoint_path: Any = None, encoder_checkpoint_path: Any = None, **config: Any) -> PerceptionFreeAgent:
        torch.manual_seed(config.pop("seed", 0))
        return PerceptionFreeAgent(changed(TINY, config), checkpoint_path, encoder_checkpoint_path, device="cpu")

    return make


@pytest.fixture
def make_planner() -> Callable[..., ProposalAgent]:
    """Full planners of one tiny size; momentum is off unless asked for. Groups are given as mappings."""

    def make(checkpoint_path: Any = None, encoder_checkpoint_path: Any = None, **config: Any) -> ProposalAgent:
        torch.manual_seed(config.pop("seed", 0))
        settings = changed(changed(TINY_PLANNER, {"momentum": {"mode": "off"}}), config)
        return ProposalAgent(settings, checkpoint_path, encoder_checkpoint_path, device="cpu")

    return make


@pytest.fixture(scope="session")
def scene_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scoring scenes of every frame of two drives; a parked car 18 m ahead on one of them."""
    folder = tmp_path_factory.mktemp("scoring_scenes") / "trainval"
    with SceneStoreWriter(folder) as store:
        for seed in (0, 1):
            drive, tracks = Drive(seed=seed), (track(18.0, 0.0), track(30.0, 5.0, speed=2.0))[: 2 * seed]
            for frame in range(3, 8):
                made = arrays(tracks, speed=float(drive.speeds[frame]), token=np.asarray(drive.token(frame)))
                store.add(ScoringScene.from_arrays(made))
    return folder


@pytest.fixture(scope="session")
def labels(scene_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings that name a vocabulary of ten and its labels in those scenes."""
    folder = tmp_path_factory.mktemp("labels")
    save_vocabulary(make_vocabulary(), folder / "v.npy")
    store, vocabulary = str(folder / "labels"), str(folder / "v.npy")
    label_scenes(ScoreVocabularyConfig(vocabulary, store, str(scene_store), workers=0))
    return {"teachers": {"label_store": store, "vocabulary": vocabulary}}


@pytest.fixture
def agent(make_agent: Callable[..., PerceptionFreeAgent]) -> PerceptionFreeAgent:
    return make_agent()
