"""Where scenes come from: one log at a time, so that processes can share the work and a broken log affects no other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Protocol, runtime_checkable

from navsim_agents.data.logs import SceneLoader, find_logs
from navsim_agents.errors import InputError
from navsim_agents.scenes import KINDS, shared_scenes
from navsim_agents.scoring import ScoringScene


@runtime_checkable
class SceneReader(Protocol):
    """What the commands ask of ``navsim_agents.data.logs.SceneLoader`` (and of NAVSIM's own)."""

    @property
    def tokens(self) -> list[str]:
        """Tokens of the scenes' current frames."""

    def get_scene(self, token: str, /) -> Any:
        """The scene: history with pictures, future poses."""


@runtime_checkable
class SceneSource(Protocol):
    """Logs by name."""

    def log_names(self) -> list[str]:
        """Every log, sorted."""

    def open(self, log_name: str) -> SceneReader:
        """Scenes of one log."""

    def fingerprint(self, log_name: str) -> str:
        """Changes when the log's content does."""

    def scoring_scene(self, token: str, /) -> ScoringScene:
        """What PDMS and EPDMS need of a scene; raises as ``navsim_agents.scenes.Scenes.scene`` does."""


def choose_logs(names: Sequence[str], wanted: Optional[Sequence[str]]) -> list[str]:
    """``wanted`` (all where None) in the order of ``names``; an unknown name raises."""
    if wanted is None:
        return list(names)
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise InputError(f"logs {unknown[:3]} are not in the split, which holds {len(names)} logs such as {names[:3]}")
    return [name for name in names if name in set(wanted)]


def split_logs(
    names: Sequence[str],
    train_logs: Optional[Sequence[str]],
    val_logs: Optional[Sequence[str]],
    val_fraction: float,
) -> tuple[list[str], list[str]]:
    """Training and validation logs, never the same; by default every k-th log validates."""
    if val_logs is None:
        num_val = max(1, round(val_fraction * len(names)))
        spacing = len(names) / num_val
        val_logs = [names[int((index + 0.5) * spacing)] for index in range(num_val)]
    val = choose_logs(names, val_logs)
    train = choose_logs(names, train_logs) if train_logs is not None else [name for name in names if name not in val]
    shared = sorted(set(train) & set(val))
    if shared:
        raise InputError(f"logs {shared[:3]} both train and validate; take them out of data.train_logs or val_logs")
    if not train or not val:
        raise InputError(f"{len(names)} logs make {len(train)} to train and {len(val)} to validate; both need one")
    return train, val


@dataclass(frozen=True)
class LoggedScenes:
    """A split in NAVSIM's on-disk formats, read without the devkit."""

    root: str
    split: str
    sensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # camera -> history frames that show it
    frame_interval: int = 1  # frames from the start of a scene to that of the next
    scenes: Optional[str] = None  # where scoring scenes are; by default those of the built-in world at ``root``

    def log_names(self) -> list[str]:
        """Every log of the split, sorted; raises WorldDataError where there is none."""
        return [path.stem for path in find_logs(self._folder)]

    def open(self, log_name: str) -> SceneReader:
        """Scenes of one log."""
        return SceneLoader(
            self.root, self.split, self.sensors, log_names=[log_name], frame_interval=self.frame_interval
        )

    def fingerprint(self, log_name: str) -> str:
        """Hash of the log's pickle, which names every frame and picture, and of the way scenes are cut from it."""
        content = (self._folder / f"{log_name}.pkl").read_bytes()
        return hashlib.sha256(content + repr(self.frame_interval).encode()).hexdigest()

    def scoring_scene(self, token: str) -> ScoringScene:
        """The scoring scene of ``token``.

        Raises:
            InputError: there are no scenes, or none of this token.
            SceneError, DevkitError: it cannot be read.
        """
        if self.scenes is not None:
            return shared_scenes(self.scenes).scene(token)
        own = Path(self.root) / "scoring_scenes" / self.split
        if not own.exists():
            raise InputError(
                f"there are no scoring scenes at {own}, which pdms and epdms need; write the world with "
                f"scoring_scenes=true, or set scenes=… to {KINDS}, or leave both out of columns"
            )
        return shared_scenes(str(own)).scene(token)

    @property
    def _folder(self) -> Path:
        return Path(self.root) / "navsim_logs" / self.split
