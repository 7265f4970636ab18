"""What a written world is made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from navsim_agents.bench2drive.frames import BACK, CAMERAS, FRONT, FRONT_LEFT, FRONT_RIGHT, HEIGHT_PX, WIDTH_PX
from navsim_agents.common.conventions import CAMERA_NAMES, NUM_FUTURE_FRAMES
from navsim_agents.common.settings import SEED, WRITES_FOLDER, at_least, within
from navsim_agents.errors import InputError

# Train and val lie in one folder, as NAVSIM's do: its training script tells them apart by lists of logs.
SPLIT_FOLDERS = {"train": "trainval", "val": "trainval", "test": "test", "mini": "mini"}
NUM_VEHICLES = 48
NAVSIM, BENCH2DRIVE = FORMATS = ("navsim", "bench2drive")
EARLIER: dict[str, Any] = {"vehicles": NUM_VEHICLES, "textures": False, "format": NAVSIM}
"""What worlds are of that do not say so, since the settings are younger than they are."""
RECOVERIES = "recoveries"
"""What a world's identity has of :mod:`navsim_agents.closed_loop.recovery_world` alone."""


def _default_splits() -> dict[str, int]:
    return {"train": 4, "val": 1, "test": 1, "mini": 0}


@dataclass(frozen=True)
class ClipPictures:
    """How large and how faithful pictures of Bench2Drive's cameras are; the data set's are 1600 x 900, quality 20."""

    width: int = field(default=WIDTH_PX, metadata=at_least(16))
    jpeg_quality: int = field(default=20, metadata=within(1, 100))

    @property
    def height(self) -> int:
        """Of a picture, in the proportion of the data set's."""
        return round(self.width * HEIGHT_PX / WIDTH_PX)


@dataclass(frozen=True)
class ClipsConfig(ClipPictures):
    """Of ``format=bench2drive``: the pictures of its clips; the data set's are each frame's."""

    cameras: list[str] = field(default_factory=lambda: [FRONT, FRONT_LEFT, FRONT_RIGHT, BACK])
    picture_interval: int = field(default=1, metadata=at_least(1))  # frames; 5 writes what planners look at alone

    def __post_init__(self) -> None:
        unknown = sorted(set(self.cameras) - set(CAMERAS))
        if unknown:
            raise InputError(f"clips.cameras has {unknown}; cameras of Bench2Drive are {', '.join(CAMERAS)}")


@dataclass(frozen=True)
class WorldConfig:
    """Settings of ``drive-jepa world``; those in ``identity`` decide every byte of a log."""

    output: str = field(metadata=WRITES_FOLDER)
    logs: int = field(default=12, metadata=at_least(1))  # in all splits together
    seed: int = field(default=0, metadata=SEED)
    duration_s: float = field(default=20.0, metadata=at_least(1.0))  # of one log
    vehicles: int = field(default=NUM_VEHICLES, metadata=at_least(0))  # that move when a log begins, near its route
    textures: bool = False  # pictures of mended roads, worn paint, fences, posts and clad walls
    splits: dict[str, int] = field(default_factory=_default_splits)  # shares of the logs
    cameras: list[str] = field(default_factory=lambda: ["cam_f0", "cam_l0", "cam_r0", "cam_b0"])  # rendered
    skip_unseen_frames: bool = False  # leave out images that no scene of 10 future frames has in its history
    jpeg_quality: int = field(default=90, metadata=within(1, 100))
    lidar: bool = False  # write point clouds too, for agents that ask for them
    scoring_scenes: bool = True  # write what PDMS and EPDMS need, for evaluation without the devkit
    two_stage: bool = False  # write follow-up scenes of the test logs, for NAVSIM 2's two-stage evaluation
    two_stage_pairs: int = field(default=2, metadata=at_least(1))  # of first-stage scenes 0.5 s apart, in each test log
    workers: int = field(default=1, metadata=at_least(1))  # processes
    format: str = NAVSIM  # or bench2drive: clips of that data set in the place of logs
    clips: ClipsConfig = field(default_factory=ClipsConfig)  # of format=bench2drive

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise InputError(f"format={self.format!r} must be one of {', '.join(FORMATS)}")
        if self.format == BENCH2DRIVE and (self.lidar or self.two_stage):
            raise InputError(
                f"format={BENCH2DRIVE} with lidar={self.lidar}, two_stage={self.two_stage}, but clips have neither "
                "point clouds nor second stages here; leave both out"
            )
        unknown = sorted(set(self.splits) - set(SPLIT_FOLDERS))
        if unknown or any(share < 0 for share in self.splits.values()) or not any(self.splits.values()):
            raise InputError(
                f"splits={dict(self.splits)}, but splits are shares of {', '.join(SPLIT_FOLDERS)}: "
                "whole numbers, not all 0"
            )
        missing = sorted(set(self.cameras) - set(CAMERA_NAMES))
        if missing:
            raise InputError(f"cameras has {missing}; cameras are {', '.join(CAMERA_NAMES)}")
        if self.logs < 1 or self.workers < 1 or self.duration_s < 1.0:
            raise InputError(
                f"logs={self.logs}, workers={self.workers} and duration_s={self.duration_s} must each be at least 1"
            )

    def identity(self) -> dict[str, Any]:
        """What must not change between two runs into the same folder."""
        kept = ["seed", "duration_s", "vehicles", "textures", "splits", "jpeg_quality", "format"]
        if self.format == BENCH2DRIVE:
            kept.append("clips")
        return {name: value for name, value in asdict(self).items() if name in kept}

    def hidden_frames(self) -> int:
        """Frames at the end of a log that get no image."""
        return NUM_FUTURE_FRAMES if self.skip_unseen_frames else 0
