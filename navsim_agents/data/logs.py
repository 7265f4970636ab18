"""Scenes from NAVSIM's logs without the devkit: the built-in world's and OpenScene's own.

A log is ``<root>/navsim_logs/<split>/<log>.pkl``: a list of frames at 2 Hz. A scene is a window of frames of one log,
named by the token of its last history frame ("now"). Values and selection are those of the devkit's ``SceneLoader``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from navsim_agents.common.conventions import CAMERA_NAMES, FRONT_CAMERA, NUM_FUTURE_FRAMES, NUM_HISTORY_FRAMES
from navsim_agents.data.restricted_pickle import load_plain_file
from navsim_agents.data.scene import LogFrame, Scene
from navsim_agents.data.types import AgentInput, SceneMetadata
from navsim_agents.errors import InputError, WorldDataError

Sensors = Union[Sequence[str], Mapping[str, Sequence[int]]]

REQUIRED_KEYS = (
    "token",
    "timestamp",
    "log_name",
    "scene_token",
    "map_location",
    "roadblock_ids",
    "ego2global_translation",
    "ego2global_rotation",
    "ego_dynamic_state",
    "traffic_lights",
    "driving_command",
    "cams",
)


def read_log(path: Path) -> list[LogFrame]:
    """Frames of one log.

    :raises WorldDataError: no such file, damaged, not plain data, or a frame lacks a key.
    """
    frames = load_plain_file(path)
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise WorldDataError(
            f"{path} holds no list of frames; NAVSIM's logs do: check that this is one of navsim_logs/"
        )
    for index, frame in enumerate(frames):
        missing = [key for key in REQUIRED_KEYS if key not in frame]
        if missing:
            raise WorldDataError(f"frame {index} of {path} lacks {missing}; every NAVSIM log has them: write it again")
    return frames


def find_logs(folder: Path, log_names: Optional[Collection[str]] = None) -> list[Path]:
    """Log files of ``folder`` in order of name, or those of ``log_names``.

    :raises WorldDataError: there is no such folder, it has no logs, or a named log is not there.
    """
    if not folder.is_dir():
        raise WorldDataError(
            f"{folder} is not a folder; logs lie in <root>/navsim_logs/<split>: check root and split, "
            "or write a world with `drive-jepa world output=<root>`"
        )
    files = {path.stem: path for path in sorted(folder.glob("[!.]*.pkl"))}
    if log_names is None:
        if not files:
            raise WorldDataError(f"{folder} has no *.pkl; write or download the logs of this split")
        return list(files.values())
    absent = sorted(set(log_names) - set(files))
    if absent:
        raise WorldDataError(
            f"{folder} lacks {len(absent)} of {len(log_names)} logs, {absent[0]} first; check log_names"
        )
    return [path for name, path in files.items() if name in log_names]


def sensor_frames(sensors: Sensors, num_history_frames: int) -> dict[str, tuple[int, ...]]:
    """Which history frames show which camera: names ask for all of them, a mapping for those it lists.

    :raises InputError: an unknown camera, or a frame beyond the history.
    """
    every_frame = tuple(range(num_history_frames))
    wanted = dict(sensors) if isinstance(sensors, Mapping) else dict.fromkeys(sensors, every_frame)
    for name, frames in wanted.items():
        if name not in CAMERA_NAMES:
            raise InputError(f"sensor {name!r} is not a camera that can be read; cameras: {', '.join(CAMERA_NAMES)}")
        if not set(frames) <= set(every_frame):
            raise InputError(
                f"{name} is asked for in frames {list(frames)}, but history frames are {list(every_frame)}"
            )
    return {name: tuple(frames) for name, frames in wanted.items()}


def sensors_of(agents: Iterable[Any]) -> dict[str, tuple[int, ...]]:
    """Cameras and history frames that any of ``agents`` asks for; True in a sensor config means every frame."""
    wanted: dict[str, set[int]] = {}
    for agent in agents:
        config = agent.get_sensor_config()
        for name in CAMERA_NAMES:
            frames = getattr(config, name)
            frames = range(NUM_HISTORY_FRAMES) if frames is True else frames or ()
            wanted.setdefault(name, set()).update(frames)
    return {name: tuple(sorted(frames)) for name, frames in wanted.items() if frames}


def split_into_scenes(frames: list[LogFrame], num_frames: int, frame_interval: int) -> Iterator[list[LogFrame]]:
    """Complete windows of ``num_frames`` frames, one every ``frame_interval``."""
    for start in range(0, len(frames) - num_frames + 1, frame_interval):
        yield frames[start : start + num_frames]


class SceneLoader:
    """Every scene of a split, by token. Logs stay in memory (about 10 kB a frame); images are read when asked for.

    :param root: Folder with ``navsim_logs`` and ``sensor_blobs``, the devkit's OPENSCENE_DATA_ROOT.
    :param split: ``trainval``, ``test``, ``mini`` or another folder of ``navsim_logs``.
    :param sensors: Cameras to load in all history frames, or camera -> history frames (0 is the oldest).
    :param log_names: Logs to read; all of the split by default.
    :param frame_interval: Frames between the starts of two scenes; None gives scenes that do not overlap.
    :param has_route: Leave out scenes whose current frame has no route.
    :param tokens: Keep only these scenes.
    :raises WorldDataError: files are missing or damaged.
    :raises InputError: sensors or sizes break a rule.
    """

    def __init__(
        self,
        root: Union[str, Path],
        split: str,
        sensors: Sensors = (FRONT_CAMERA,),
        log_names: Optional[Collection[str]] = None,
        num_history_frames: int = NUM_HISTORY_FRAMES,
        num_future_frames: int = NUM_FUTURE_FRAMES,
        frame_interval: Optional[int] = None,
        has_route: bool = True,
        tokens: Optional[Collection[str]] = None,
    ) -> None:
        interval = num_history_frames + num_future_frames if frame_interval is None else frame_interval
        if num_history_frames < 1 or num_future_frames < 0 or interval < 1:
            raise InputError(
                f"num_history_frames={num_history_frames}, num_future_frames={num_future_frames} and "
                f"frame_interval={interval} must be at least 1, 0 and 1"
            )
        self.blobs = Path(root) / "sensor_blobs" / split
        self.sensors = sensor_frames(sensors, num_history_frames)
        self.num_history_frames = num_history_frames
        self.num_future_frames = num_future_frames
        self._scenes: dict[str, list[LogFrame]] = {}
        for path in find_logs(Path(root) / "navsim_logs" / split, log_names):
            for frames in split_into_scenes(read_log(path), num_history_frames + num_future_frames, interval):
                now = frames[num_history_frames - 1]
                if (now["roadblock_ids"] or not has_route) and (tokens is None or now["token"] in tokens):
                    self._scenes[now["token"]] = frames

    @property
    def tokens(self) -> list[str]:
        """Names of the scenes, log by log in order of time."""
        return list(self._scenes)

    def __len__(self) -> int:
        return len(self._scenes)

    def tokens_per_log(self) -> dict[str, list[str]]:
        """Tokens of each log that has a scene."""
        per_log: dict[str, list[str]] = {}
        for token, frames in self._scenes.items():
            per_log.setdefault(frames[0]["log_name"], []).append(token)
        return per_log

    def get_scene(self, token: str) -> Scene:
        """The scene of ``token``; its images are read by ``get_agent_input``.

        :raises WorldDataError: no such scene.
        """
        if token not in self._scenes:
            raise WorldDataError(f"token {token!r} is none of the {len(self)} scenes loaded; see SceneLoader.tokens")
        frames = self._scenes[token]
        now = frames[self.num_history_frames - 1]
        metadata = SceneMetadata(
            log_name=now["log_name"],
            scene_token=now["scene_token"],
            map_name=now["map_location"],
            initial_token=now["token"],
            num_history_frames=self.num_history_frames,
            num_future_frames=self.num_future_frames,
        )
        return Scene(metadata, frames, self.blobs, self.sensors)

    def get_agent_input(self, token: str) -> AgentInput:
        """History of the scene of ``token``, with its images; poses in float32, as the devkit's loader has them."""
        return self.get_scene(token).get_agent_input(np.float32)
