"""A written world of which some logs are recoveries: how it is written and opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

from navsim_agents.closed_loop.recoveries import Recoveries
from navsim_agents.closed_loop.recovery_config import TRAINED, RecoveriesConfig, at_the_wheel, digests
from navsim_agents.closed_loop.run_leads import RunsLead
from navsim_agents.closed_loop.runs import load_runs
from navsim_agents.errors import WorldDataError
from navsim_agents.world.config import RECOVERIES
from navsim_agents.world.generate import REAL, generate_world
from navsim_agents.world.load import World, load_world
from navsim_agents.world.parts import WorldParts
from navsim_agents.world.plan import WorldIndex, read_index


def parts_of(identity: Mapping[str, Any]) -> WorldParts:
    """What made a world of such an identity, recoveries in it or not."""
    told = identity.get(RECOVERIES)
    if told is None:
        return REAL
    if "runs" not in told:
        return WorldParts(simulate_drive=Recoveries(told["share"]))
    pictures = identity["textures"], identity["jpeg_quality"]
    runs = RunsLead(told["run_share"], at_the_wheel(told["runs"], told["run_settings"], told["weights"], *pictures))
    return WorldParts(simulate_drive=Recoveries(told["share"], runs))


def write_recoveries(config: RecoveriesConfig) -> WorldIndex:
    """Write what is missing of the world of ``config``.

    Raises:
        InputError: a run cannot be loaded.
        WorldDataError: the folder holds another world, or some logs failed (the others are written).
        WorkerError: a process was killed.
    """
    parts = parts_of(config.identity())
    if config.runs:
        load_runs(config.at_the_wheel())
    return generate_world(config, parts)


def load_any_world(root: Union[str, Path]) -> World:
    """Open a written world, recoveries in it or not.

    Raises:
        WorldDataError: there is none, or another version of this package wrote it, or a run that led cars there is no
            longer what it was: drives would differ.
    """
    index = read_index(Path(root))
    told = {} if index is None else index.config.get(RECOVERIES, {})
    now = digests(told.get("runs", {}))
    if now != told.get(TRAINED, {}):
        raise WorldDataError(
            f"{root} holds recoveries that {told['runs']} led, of which some were trained again or are gone: its "
            "drives cannot be built again; write the world again, or read its files with navsim_agents.data"
        )
    return load_world(root, REAL if index is None else parts_of(index.config))
