"""Scenes and plans of the tests, and stores of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from navsim_agents.scoring import SceneStoreWriter, ScoringScene
from navsim_agents.scoring.scene_store import DATA_FILE
from tests.scoring.tiny import plan, scene, track

SPEEDS = (2.0, 5.0, 8.0)


def hand_made(count: int = 5) -> dict[str, ScoringScene]:
    """Scenes in which a car stands ahead, each time elsewhere."""
    tokens = [f"token_{number}" for number in range(count)]
    cars = [track(16.0 + 6.0 * number, 0.0) for number in range(count)]
    return {token: scene(token=np.asarray(token), tracks=[car], speed=5.0) for token, car in zip(tokens, cars)}


def write_store(folder: Path, scenes: dict[str, ScoringScene]) -> None:
    with SceneStoreWriter(folder) as writer:
        for made in scenes.values():
            writer.add(made)


def damaged_store(folder: Path) -> Path:
    """A store whose last scene, token_4, has another checksum than its data."""
    write_store(folder, hand_made())
    data = folder / DATA_FILE
    content = bytearray(data.read_bytes())
    content[-20] ^= 255
    data.write_bytes(bytes(content))
    return folder


def plans_for(count: int) -> torch.Tensor:
    """[count, 3, 8, 3]: driving straight on, each scene at speeds of its own."""
    return torch.tensor(np.array([[plan(speed + 0.25 * row) for speed in SPEEDS] for row in range(count)]))
