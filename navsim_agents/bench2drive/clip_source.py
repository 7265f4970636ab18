"""Clips as a source of scenes to learn from, and of futures for a vocabulary."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Optional

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from navsim_agents.bench2drive.clip_scenes import scene_indices, scene_token
from navsim_agents.bench2drive.clips import ANNOTATIONS, STRIDE, Clip, find_clips, read_clip
from navsim_agents.bench2drive.inputs import Bench2DriveInput
from navsim_agents.common.conventions import NUM_CLIP_FRAMES, NUM_POSES
from navsim_agents.data.types import SceneMetadata, Trajectory
from navsim_agents.distillation.human_futures import Futures
from navsim_agents.errors import InputError, LabelError, WorldDataError
from navsim_agents.scenes import shared_scenes
from navsim_agents.scoring import ScoringScene


@dataclass(frozen=True)
class ClipScene:
    """One moment of a clip, under the names that builders read."""

    clip: Clip
    index: int
    cameras: tuple[str, ...]
    num_frames: int

    @property
    def scene_metadata(self) -> SceneMetadata:
        """Of the moment."""
        return SceneMetadata(
            log_name=self.clip.name,
            scene_token=None,
            map_name=self.clip.town,
            initial_token=scene_token(self.clip.name, self.index),
            num_history_frames=NUM_CLIP_FRAMES,
            num_future_frames=NUM_POSES,
        )

    def get_agent_input(self) -> Bench2DriveInput:
        """What a planner sees.

        Raises:
            WorldDataError: a picture is missing or damaged.
        """
        return self.clip.input(self.index, self.cameras, self.num_frames)

    def get_future_trajectory(self, num_trajectory_frames: Optional[int] = None) -> Trajectory:
        """The driven poses, 0.5 s apart.

        Raises:
            WorldDataError: the clip ends before.
        """
        return Trajectory(self.clip.future(self.index, num_trajectory_frames or NUM_POSES))


class ClipReader:
    """The scenes of one clip."""

    def __init__(self, clip: Clip, cameras: tuple[str, ...], num_frames: int, frame_interval: int) -> None:
        self._clip, self._cameras, self._num_frames = clip, cameras, num_frames
        indices = scene_indices(clip, STRIDE * frame_interval)
        self._index = {scene_token(clip.name, index): index for index in indices}

    @property
    def tokens(self) -> list[str]:
        """In order of time."""
        return list(self._index)

    def get_scene(self, token: str) -> ClipScene:
        """The scene.

        Raises:
            WorldDataError: there is none.
        """
        if token not in self._index:
            raise WorldDataError(f"{token} is none of the {len(self._index)} scenes of {self._clip.name}")
        return ClipScene(self._clip, self._index[token], self._cameras, self._num_frames)


@dataclass(frozen=True)
class ClipScenes:
    """Clips of Bench2Drive, in the place of a split of NAVSIM's logs: ``navsim_agents.sources.SceneSource``."""

    root: str
    cameras: tuple[str, ...]
    num_frames: int = 1
    frame_interval: int = 1  # times 0.5 s, from one scene to the next
    scenes: Optional[str] = None  # where scoring scenes are

    def log_names(self) -> list[str]:
        """Names of the clips, sorted.

        Raises:
            WorldDataError: there is none.
        """
        return list(self._folders)

    def open(self, log_name: str) -> ClipReader:
        """The scenes of one clip.

        Raises:
            WorldDataError: it cannot be read.
        """
        return ClipReader(read_clip(self._folder(log_name)), self.cameras, self.num_frames, self.frame_interval)

    def fingerprint(self, log_name: str) -> str:
        """Changes with the names and sizes of the annotations, and with the way scenes are cut from them."""
        return fingerprint_of(self._folder(log_name), repr(self.frame_interval))

    def scoring_scene(self, token: str) -> ScoringScene:
        """The scoring scene of ``token``.

        Raises:
            InputError: nobody says where scenes are, or there is none of this token.
        """
        if self.scenes is None:
            raise InputError(
                "nobody says where the clips' scoring scenes are; set agent.config.scenes to the scoring_scenes/ that "
                "drive-jepa index-bench2drive writes"
            )
        return shared_scenes(self.scenes).scene(token)

    def _folder(self, name: str) -> Path:
        found = self._folders
        if name not in found:
            raise WorldDataError(f"{self.root} has no clip {name}, but {len(found)} others such as {next(iter(found))}")
        return found[name]

    @cached_property
    def _folders(self) -> dict[str, Path]:
        """Of all clips by name, sorted; looked for once, as a cache asks for each of them twice."""
        return {folder.name: folder for folder in find_clips(Path(self.root))}


def fingerprint_of(folder: Path, *more: str) -> str:
    """A hash of the names and sizes of a clip's annotations, and of ``more``."""
    files = sorted((folder / ANNOTATIONS).glob("*.json.gz"))
    digest = hashlib.sha256(repr(more).encode())
    for path in files:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
    return digest.hexdigest()


def futures_of_clips(root: str, names: Optional[list[str]], frame_interval: int) -> Futures:
    """Driven futures of 4 s of all scenes; a planner learns from the first 3 s of them.

    A clip that cannot be read is left out and listed.

    Raises:
        WorldDataError: there is no clip.
        LabelError: no scene is left, or a named clip is missing.
    """
    folders = {folder.name: folder for folder in find_clips(Path(root))}
    unknown = sorted(set(names or ()) - set(folders))
    if unknown:
        raise LabelError(f"clips {unknown[:3]} are not among the {len(folders)} of {root}; correct log_names")
    chosen = [folders[name] for name in (names or folders)]
    found: list[npt.NDArray[np.float64]] = []
    skipped: dict[str, str] = {}
    for folder in tqdm(chosen, desc="futures", unit="clip"):
        try:
            clip = read_clip(folder)
            found += [clip.future(index, NUM_POSES) for index in scene_indices(clip, STRIDE * frame_interval)]
        except WorldDataError as error:
            skipped[folder.name] = str(error)
    if not found:
        reason = next(iter(skipped.values()), "none lasts 4.5 s")
        raise LabelError(f"{root} gives 0 trajectories ({reason}), but a vocabulary needs some; check the clips")
    return Futures(np.stack(found), len(chosen), skipped)


def picture_faults(clip: Clip, cameras: tuple[str, ...], fault_of: Callable[[Path], str]) -> dict[str, dict[int, str]]:
    """Camera -> frame -> what is wrong with its picture, as ``fault_of`` a path says; without those that are right."""
    faults = {
        name: {index: fault for index in range(len(clip)) if (fault := fault_of(clip.picture_path(name, index)))}
        for name in cameras
    }
    return {name: found for name, found in faults.items() if found}
