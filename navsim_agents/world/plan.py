"""Which log belongs to which split and town, and the index file that records it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from navsim_agents.common.conventions import NUM_FUTURE_FRAMES, NUM_HISTORY_FRAMES
from navsim_agents.common.files import write_json
from navsim_agents.errors import WorldDataError
from navsim_agents.world.config import EARLIER, SPLIT_FOLDERS, WorldConfig
from navsim_agents.world.geography import MAP_LOCATIONS

INDEX_NAME = "world.json"
FORMAT = 1


@dataclass(frozen=True)
class LogPlan:
    """One log before it is driven."""

    index: int
    split: str
    location: str

    @property
    def folder(self) -> str:
        """Folder of ``navsim_logs`` and ``sensor_blobs``."""
        return SPLIT_FOLDERS[self.split]


@dataclass(frozen=True)
class LogEntry:
    """One written log, as the index file lists it."""

    index: int
    name: str
    split: str
    folder: str
    location: str
    num_frames: int

    def num_scenes(self, num_frames: int = NUM_HISTORY_FRAMES + NUM_FUTURE_FRAMES, frame_interval: int = 1) -> int:
        """Scenes of ``num_frames`` frames in it, by default NAVSIM's 4 + 10, overlapping."""
        return len(range(0, self.num_frames - num_frames + 1, frame_interval))


@dataclass(frozen=True)
class WorldIndex:
    """Contents of ``world.json``."""

    package_version: str
    config: Mapping[str, Any]  # WorldConfig.identity()
    logs: tuple[LogEntry, ...]

    @property
    def splits(self) -> dict[str, list[str]]:
        """Names of the logs of each split."""
        return {split: [log.name for log in self.logs if log.split == split] for split in SPLIT_FOLDERS}


def plan_logs(config: WorldConfig) -> list[LogPlan]:
    """Distribute logs over splits by their shares, and the logs of each split to the towns in turn.

    A larger ``config.logs`` only adds to the list, so that a world can grow. Of splits equally far behind their share,
    one that has fewer logs comes first: four logs suffice for train, val and test.
    """
    shares = {name: share for name, share in config.splits.items() if share}
    total = sum(shares.values())
    locations, counts = list(MAP_LOCATIONS), dict.fromkeys(shares, 0)
    plans = []
    for index in range(config.logs):
        behind = {name: share * (index + 1) - counts[name] * total for name, share in shares.items()}
        split = max(behind, key=lambda name: (behind[name], -counts[name]))
        town = counts[split] + list(shares).index(split)  # so that the first logs of two splits differ in town
        plans.append(LogPlan(index, split, locations[town % len(locations)]))
        counts[split] += 1
    return plans


def read_index(output: Path) -> Optional[WorldIndex]:
    """The index of ``output``; None where no world was written.

    :raises WorldDataError: the file is damaged or of another format.
    """
    path = output / INDEX_NAME
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        if content["format"] != FORMAT:
            raise WorldDataError(
                f"{path} has format {content['format']}, but this package reads {FORMAT}; write it again"
            )
        logs = tuple(LogEntry(**entry) for entry in content["logs"])
        return WorldIndex(content["package_version"], {**EARLIER, **content["config"]}, logs)
    except (ValueError, KeyError, TypeError) as error:
        raise WorldDataError(
            f"{path} is damaged ({error}); delete it together with the folder and write again"
        ) from error


def write_index(output: Path, index: WorldIndex) -> None:
    """Write ``world.json``; the lists of logs per split are there for human readers and scripts."""
    content = {
        "format": FORMAT,
        "package_version": index.package_version,
        "config": index.config,
        "splits": index.splits,
        "logs": [asdict(entry) for entry in sorted(index.logs, key=lambda log: log.index)],
    }
    write_json(output / INDEX_NAME, content)


def check_same_world(output: Path, found: WorldIndex, config: WorldConfig, package_version: str) -> None:
    """Refuse to mix two worlds in one folder.

    :raises WorldDataError: the folder was written with other settings or by another version.
    """
    asked = {"package_version": package_version, **config.identity()}
    written = {"package_version": found.package_version, **found.config}
    for name in {**asked, **written}:
        if written.get(name) != asked.get(name):
            raise WorldDataError(
                f"{output} holds a world of {name}={written.get(name)}, but {name}={asked.get(name)} is asked for; "
                "choose another output, or delete this one"
            )
