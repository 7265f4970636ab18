"""Short drives as the logs of a training, with scoring scenes; pictures of any cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from navsim_agents.scoring import SceneStore, SceneStoreWriter, ScoringScene
from tests.drive_jepa.planner_scenes import Drive, DriveScene
from tests.scoring.tiny import arrays, track
from training.config import CacheConfig, DataConfig, ParamsConfig, TrainConfig
from training.saving import SavingConfig

FRAMES = (4, 5, 6)
TRAINER: dict[str, Any] = {
    "accelerator": "cpu",
    "devices": 1,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "log_every_n_steps": 1,
}


@dataclass(frozen=True)
class DriveLog:
    drive: Drive

    @property
    def tokens(self) -> list[str]:
        return [self.drive.token(frame) for frame in FRAMES]

    def get_scene(self, token: str) -> DriveScene:
        return self.drive.scene(FRAMES[self.tokens.index(token)])


@dataclass(frozen=True)
class DriveLogs:
    """``count`` drives of three frames; ``store`` is needed where plans are scored."""

    count: int = 3
    cameras: tuple[str, ...] = ("cam_f0",)
    store: str = ""

    def log_names(self) -> list[str]:
        return [f"log-{seed}" for seed in range(self.count)]

    def open(self, log_name: str) -> DriveLog:
        return DriveLog(Drive(cameras=self.cameras, seed=self.log_names().index(log_name)))

    def fingerprint(self, log_name: str) -> str:
        return f"{log_name} {self.cameras}"

    def scoring_scene(self, token: str) -> ScoringScene:
        return SceneStore(Path(self.store))[token]


def write_scenes(folder: Path, count: int = 3) -> str:
    """Scoring scenes of ``DriveLogs``, a parked car ahead on every other drive."""
    with SceneStoreWriter(folder) as store:
        for seed in range(count):
            drive = Drive(seed=seed)
            for frame in FRAMES:
                now = {"token": np.asarray(drive.token(frame)), "timestamp_us": np.asarray(500_000 * frame)}
                tracks = (track(18.0, 0.0),)[: seed % 2]
                store.add(ScoringScene.from_arrays(arrays(tracks, speed=float(drive.speeds[frame]), **now)))
    return str(folder)


def training(folder: Path, agent: dict[str, Any], epochs: int, val_logs: Sequence[str]) -> TrainConfig:
    """Settings of a training whose scenes come in one order, with every epoch kept."""
    return TrainConfig(
        output=str(folder),
        agent=agent,
        data=DataConfig(root="", val_logs=list(val_logs)),
        cache=CacheConfig(path=str(folder.parent / "cache"), workers=0),
        dataloader=ParamsConfig({"batch_size": 2, "shuffle": False}),
        trainer=ParamsConfig({**TRAINER, "max_epochs": epochs}),
        saving=SavingConfig(keep=9),
    )
