"""The towns and drives of a written world, built again from seed and index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Union

from navsim_agents.errors import WorldDataError
from navsim_agents.world.config import RECOVERIES
from navsim_agents.world.generate import REAL, package_version
from navsim_agents.world.parts import WorldParts
from navsim_agents.world.plan import INDEX_NAME, LogEntry, WorldIndex, read_index
from navsim_agents.world.types import Drive, Town


@dataclass(frozen=True)
class World:
    """Towns and drives of a folder that ``drive-jepa world`` wrote; all in the global frame."""

    root: Path
    index: WorldIndex
    parts: WorldParts = REAL

    @property
    def splits(self) -> dict[str, list[str]]:
        """Names of the logs of ``train``, ``val``, ``test`` and ``mini``."""
        return self.index.splits

    def town(self, location: str) -> Town:
        """The town whose map lies under ``maps/<location>``."""
        return self.parts.town(location, self.index.config["seed"])

    def entry(self, log_name: str) -> LogEntry:
        """What the index says of a log.

        :raises WorldDataError: the world has no such log.
        """
        for entry in self.index.logs:
            if entry.name == log_name:
                return entry
        raise WorldDataError(
            f"{self.root} has no log {log_name!r}, but {len(self.index.logs)} others; see World.splits"
        )

    def drive(self, log_name: str) -> Drive:
        """The drive of a log, at 0.1 s steps; simulated again (seconds)."""
        entry = self.entry(log_name)
        return self.parts.drive(entry.location, entry.index, self.index.config)


def load_world(root: Union[str, Path], parts: WorldParts = REAL) -> World:
    """Open a written world that was made by ``parts``.

    :raises WorldDataError: there is none, or another version of this package wrote it and would drive differently.
    """
    index = read_index(Path(root))
    if index is None:
        raise WorldDataError(f"{root} has no {INDEX_NAME}; write a world with `drive-jepa world output={root}`")
    if RECOVERIES in index.config and parts is REAL:
        raise WorldDataError(
            f"{root} holds recoveries ({index.config[RECOVERIES]}), whose drives are made elsewhere; open it with "
            "navsim_agents.closed_loop.recovery_world.load_any_world"
        )
    if index.package_version != package_version():
        raise WorldDataError(
            f"{root} was written by version {index.package_version}, this is {package_version()}: its drives cannot be "
            "built again exactly; write the world again, or read its files with navsim_agents.data"
        )
    return World(Path(root), index, parts)
