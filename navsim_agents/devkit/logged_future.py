"""What the logs hold of a scene and v1.1's metric cache does not: the human's future and the map's name."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Union

import numpy as np

from navsim_agents.common.conventions import NUM_POSES
from navsim_agents.data.logs import read_log
from navsim_agents.data.scene import LogFrame, global_ego_pose
from navsim_agents.errors import WorldDataError
from navsim_agents.poses import FloatArray, poses_to_local

MAX_OPEN_LOGS = 2


class LoggedFutures:
    """Reads ``navsim_logs/<split>``; the last logs stay in memory, so read log by log."""

    def __init__(self, folder: Union[str, Path]) -> None:
        self.folder = Path(folder)
        self._logs: OrderedDict[str, list[LogFrame]] = OrderedDict()

    def of(self, log_name: str, token: str) -> tuple[FloatArray, str]:
        """The human's poses [8, 3] at 0.5 s in the ego frame of ``token`` (m, rad), and the map's name.

        Raises:
            WorldDataError: no such log or frame, or fewer than 8 frames follow it.
        """
        frames = self._frames(log_name)
        row = next((index for index, frame in enumerate(frames) if frame["token"] == token), None)
        if row is None or row + NUM_POSES >= len(frames):
            found = "no such frame" if row is None else f"only {len(frames) - row - 1} frames after it"
            raise WorldDataError(
                f"log {log_name} in {self.folder} has {found} for scene {token}, but the human's future takes "
                f"{NUM_POSES}; give the logs of the split that the cache was made from"
            )
        poses = np.stack([global_ego_pose(frame) for frame in frames[row : row + NUM_POSES + 1]])
        return poses_to_local(poses[1:], poses[0]), str(frames[row]["map_location"])

    def _frames(self, log_name: str) -> list[LogFrame]:
        if log_name not in self._logs:
            self._logs[log_name] = read_log(self.folder / f"{log_name}.pkl")
            while len(self._logs) > MAX_OPEN_LOGS:
                self._logs.popitem(last=False)
        return self._logs[log_name]
