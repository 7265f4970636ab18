"""The agent that Bench2Drive's leaderboard loads: ``TEAM_AGENT=…/navsim_agents/bench2drive/team_agent.py``.

``carla`` and the leaderboard are imported when it asks for the class, not before, so that this package needs neither.
``TEAM_CONFIG`` is a folder that ``drive-jepa train`` wrote or a YAML file with the keys of
:class:`~navsim_agents.bench2drive.team_config.TeamConfig`. docs/bench2drive.md has the commands.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, Optional

import numpy as np

HERE = Path(__file__).resolve().parent
if __name__ == "team_agent":
    # The leaderboard puts this folder on the path and imports the file's bare name: then every file here would shadow a
    # package of its name, and the package itself may not be found.
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != HERE]
    if str(HERE.parents[1]) not in sys.path:
        sys.path.append(str(HERE.parents[1]))

from navsim_agents.bench2drive.driver import Driver, RoutePlan, sensors_of  # noqa: E402
from navsim_agents.bench2drive.journal import Journal  # noqa: E402
from navsim_agents.bench2drive.team_config import build_planner, read_team_config, split_setup  # noqa: E402
from navsim_agents.errors import InputError  # noqa: E402

ENTRY_POINT = "DriveJepaTeamAgent"


def get_entry_point() -> str:
    """Name of the agent's class."""
    return ENTRY_POINT


def __getattr__(name: str) -> Any:
    """The class, made when the leaderboard asks for it by name."""
    if name == ENTRY_POINT:
        return team_agent_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def team_agent_class() -> type:
    """The agent's class, of the leaderboard's base class.

    Raises:
        InputError: CARLA's client or the leaderboard is not there.
    """
    carla, base, tracks = _leaderboard()

    class DriveJepaTeamAgent(base):  # type: ignore[misc, valid-type]
        """Drive-JEPA's planner on Bench2Drive."""

        def setup(self, path_to_conf_file: str) -> None:
            """Load the planner; ``path_to_conf_file`` is ``TEAM_CONFIG+save_name``."""
            self.track = tracks.SENSORS
            given, save_name = split_setup(path_to_conf_file)
            self._config = read_team_config(given)
            self._planner = build_planner(self._config)
            self._journal = self._open_journal(save_name)
            self._driver: Optional[Driver] = None

        def _open_journal(self, save_name: str) -> Optional[Journal]:
            saved = os.environ.get("SAVE_PATH")
            if not saved or not save_name:
                return None
            every = self._config.pictures_every, self._config.metric_info_every
            return Journal(Path(saved) / save_name, *every)

        def sensors(self) -> list[dict[str, Any]]:
            """Cameras at Bench2Drive's calibration, IMU, GNSS, speedometer."""
            return sensors_of(self._config, self._planner)

        def run_step(self, input_data: dict[str, Any], timestamp: float) -> Any:
            """One tick."""
            if self._driver is None:
                route = route_plan(self._global_plan, self._global_plan_world_coord)
                self._driver = Driver(self._config, self._planner, route, self._journal)
            control = self._driver.step(input_data, timestamp)
            if self._journal is not None and self.hero_actor is not None:
                self._journal.note_motion(self._driver.tick, self.get_metric_info())
            return carla.VehicleControl(throttle=control.throttle, steer=control.steer, brake=control.brake)

        def destroy(self) -> None:
            """Write what is left, and let the planner go."""
            if getattr(self, "_journal", None) is not None:
                self._journal.close()
            self._planner = self._driver = None

    return DriveJepaTeamAgent


def _leaderboard() -> tuple[Any, Any, Any]:
    """CARLA's client, the leaderboard's base class and its tracks."""
    try:
        import carla
        from leaderboard.autoagents.autonomous_agent import AutonomousAgent, Track
    except ImportError as error:
        raise InputError(
            f"the team agent runs within Bench2Drive's leaderboard, which cannot be imported ({error}); pip install "
            "carla, and put leaderboard and scenario_runner on PYTHONPATH as docs/bench2drive.md shows"
        ) from error
    return carla, AutonomousAgent, Track


def route_plan(by_gps: Any, by_place: Any) -> RoutePlan:
    """The route of ``set_global_plan`` in both its forms: (latitude and longitude, command), (transform, command)."""
    places = np.array([(transform.location.x, transform.location.y) for transform, _ in by_place], dtype=np.float64)
    options = [int(getattr(option, "value", option)) for _, option in by_place]
    return RoutePlan(places, options, float(by_gps[0][0]["lat"]), float(by_gps[0][0]["lon"]))
