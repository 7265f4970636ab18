"""Drives the built-in world in a closed loop with every agent, judged as Bench2Drive judges."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from navsim_agents.closed_loop.config import DriveLoopConfig
from navsim_agents.common.command import command
from navsim_agents.common.extras import require_extras

NUM_SHOWN = 5


@command(DriveLoopConfig, "training.conf.drive")
def main(config: DriveLoopConfig) -> None:
    """Drive as configured and print the tables."""
    require_extras("world", *(["alpasim"] if config.served else []))
    from navsim_agents.closed_loop.results import write_results

    summary = drive(config)
    for crash in summary["crashed"][:NUM_SHOWN]:
        print(f"crashed: {crash['agent']} on {crash['route']} ({crash['status']}); it drives again when asked again")
    if len(summary["crashed"]) > NUM_SHOWN:
        print(f"{len(summary['crashed'])} routes crashed; {Path(config.output) / 'summary.json'} names them all")
    print(write_results(config, summary))


def drive(config: DriveLoopConfig) -> dict[str, Any]:
    """Drive what is missing in ``config.output``; the summary of all that is there.

    Raises:
        InputError: a setting breaks a rule, or an agent cannot be loaded.
        WorldDataError: some routes failed; all others are written.
        WorkerError: a process was killed.
    """
    from navsim_agents.closed_loop.results import summarise
    from navsim_agents.closed_loop.runs import choose_routes, drive_all

    routes = choose_routes(config)
    summary = summarise(config, routes, drive_all(config, routes))
    summary["meta"] = {"config": asdict(config)}
    return summary


if __name__ == "__main__":
    main()
