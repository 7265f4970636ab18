"""Where scenes come from: one log at a time, so that processes can share the work and a broken log affects no other."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Optional, Protocol, runtime_checkable

from navsim_agents.common.conventions import NUM_POSES
from navsim_agents.data.logs import SceneLoader, find_logs
from navsim_agents.data.split_mapping import TwoStageMapping
from navsim_agents.data.synthetic_scenes import SyntheticSceneLoader
from navsim_agents.errors import InputError
from navsim_agents.scenes import KINDS, shared_scenes
from navsim_agents.scoring import ScoringScene

STORES = "scoring_scenes"
"""Folder of the built-in world's own stores, one for each folder of scenes."""


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
    """Training and validation logs, never the same; by default every k-th log validates, with [] none."""
    if val_logs is None:
        num_val = max(1, round(val_fraction * len(names)))
        spacing = len(names) / num_val
        val_logs = [names[int((index + 0.5) * spacing)] for index in range(num_val)]
    val = choose_logs(names, val_logs)
    train = choose_logs(names, train_logs) if train_logs is not None else [name for name in names if name not in val]
    shared = sorted(set(train) & set(val))
    if shared:
        raise InputError(f"logs {shared[:3]} both train and validate; take them out of data.train_logs or val_logs")
    if not train or (not val and val_logs):
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
        own = Path(self.root) / STORES / self.split
        if not own.exists():
            raise InputError(
                f"there are no scoring scenes at {own}, which pdms and epdms need; write the world with "
                f"scoring_scenes=true, or set scenes=… to {KINDS}, or leave both out of columns"
            )
        return shared_scenes(str(own)).scene(token)

    @property
    def _folder(self) -> Path:
        return Path(self.root) / "navsim_logs" / self.split


def first_stage(scenes: LoggedScenes, log_name: str, tokens: Optional[Collection[str]] = None) -> SceneLoader:
    """Scenes of one log as the first of two stages cuts them: at every frame, a plan long, with a route or not."""
    return SceneLoader(
        scenes.root,
        scenes.split,
        scenes.sensors,
        log_names=[log_name],
        num_future_frames=NUM_POSES,
        frame_interval=1,
        has_route=False,
        tokens=tokens,
    )


@dataclass(frozen=True)
class TwoStageReader:
    """Scenes of one log in the first stage, and those where they may lead."""

    logged: SceneLoader
    synthetic: SyntheticSceneLoader
    follow_ups: tuple[str, ...]  # of the scenes in ``logged``

    @property
    def tokens(self) -> list[str]:
        """Tokens of both stages, the first one first."""
        return [*self.logged.tokens, *self.follow_ups]

    def get_scene(self, token: str) -> Any:
        """The scene; one of the second stage has no future.

        Raises:
            WorldDataError: there is none, or it cannot be read.
        """
        return (self.synthetic if token in self.follow_ups else self.logged).get_scene(token)


@dataclass(frozen=True)
class TwoStageScenes:
    """The scenes of a two-stage split's mapping: logged ones, and synthetic ones under the logs that they follow."""

    root: str
    split: str  # folder of the logs
    mapping: TwoStageMapping
    synthetic_scenes_path: str
    synthetic_sensor_path: str
    sensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    scenes: Optional[str] = None  # where scoring scenes are; by default all those of the built-in world at ``root``

    def log_names(self) -> list[str]:
        """Every log of the split, sorted; raises WorldDataError where there is none."""
        return self._logged.log_names()

    def open(self, log_name: str) -> SceneReader:
        """Scenes of the mapping that lie in one log or go on from there."""
        logged = first_stage(self._logged, log_name, set(self.mapping.first_stage))
        halves = dict(half for group in self.mapping.groups for half in group.halves)
        follow_ups = tuple(token for first in logged.tokens for token in halves[first])
        return TwoStageReader(logged, self._synthetic, follow_ups)

    def fingerprint(self, log_name: str) -> str:
        """As of the log alone: synthetic scenes are never cached."""
        return self._logged.fingerprint(log_name)

    def scoring_scene(self, token: str) -> ScoringScene:
        """The scoring scene of ``token``, of either stage; raises as :meth:`LoggedScenes.scoring_scene`."""
        return shared_scenes(self.scenes or str(Path(self.root) / STORES)).scene(token)

    def check_follow_up(self, token: str) -> None:
        """Read the pickle of ``token``, where that is of the second stage; its pictures are not looked at.

        Raises:
            WorldDataError: there is none, or it is damaged.
        """
        if token in self._second_stage:
            self._synthetic.get_scene(token)

    @cached_property
    def _second_stage(self) -> frozenset[str]:
        return frozenset(self.mapping.second_stage)

    @property
    def _logged(self) -> LoggedScenes:
        return LoggedScenes(self.root, self.split, self.sensors, 1, self.scenes)

    @cached_property
    def _synthetic(self) -> SyntheticSceneLoader:
        return SyntheticSceneLoader(self.synthetic_scenes_path, self.synthetic_sensor_path, self.sensors)
