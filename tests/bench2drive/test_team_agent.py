"""What the leaderboard loads: its setup string, settings, the class within stand-ins for CARLA and the leaderboard."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from navsim_agents.bench2drive import team_agent
from navsim_agents.bench2drive.control import LqrConfig, PidConfig
from navsim_agents.bench2drive.frames import FRONT
from navsim_agents.bench2drive.records import read_metric_info
from navsim_agents.bench2drive.team_config import TeamConfig, build_planner, read_team_config, split_setup
from navsim_agents.errors import InputError, SettingError
from tests.bench2drive.planners import gps, sensor_data

SETTINGS = """agent:
  _target_: tests.bench2drive.planners.StandIn
pictures_every: 4
metric_info_every: 3
camera_width: 16
camera_height: 16
"""


class VehicleControl:
    """Takes floats alone, as CARLA's."""

    def __init__(self, throttle: float, steer: float, brake: float) -> None:
        assert {type(value) for value in (throttle, steer, brake)} == {float}
        self.throttle, self.steer, self.brake = throttle, steer, brake


class Base:
    """What the leaderboard's base class does of it."""

    def __init__(self, host: str, port: int, debug: bool = False) -> None:
        self.hero_actor: Any = SimpleNamespace()

    def set_global_plan(self, by_gps: Any, by_place: Any) -> None:
        self._global_plan, self._global_plan_world_coord = by_gps, by_place

    def get_metric_info(self) -> dict[str, list[float]]:
        names = ("acceleration", "angular_velocity", "forward_vector", "right_vector", "location", "rotation")
        return {name: [1.0, 2.0, 3.0] for name in names}


@pytest.fixture
def leaderboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    carla, agents = ModuleType("carla"), ModuleType("leaderboard.autoagents.autonomous_agent")
    carla.VehicleControl = VehicleControl  # type: ignore[attr-defined]
    agents.AutonomousAgent, agents.Track = Base, SimpleNamespace(SENSORS="SENSORS")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "carla", carla)
    for name in ("leaderboard", "leaderboard.autoagents"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, agents.__name__, agents)
    team_agent.team_agent_class.cache_clear()
    yield
    team_agent.team_agent_class.cache_clear()


def loaded(module: Any) -> Any:
    """An agent as the evaluator makes it, on a route along x."""
    agent = getattr(module, module.get_entry_point())("localhost", 2000, False)
    places = [(0.0, 0.0), (40.0, 0.0)]
    by_gps = [(dict(zip(("lat", "lon"), gps(x, y, 42.0, 2.0))), SimpleNamespace(value=4)) for x, y in places]
    by_place = [(SimpleNamespace(location=SimpleNamespace(x=x, y=y)), SimpleNamespace(value=4)) for x, y in places]
    agent.set_global_plan(by_gps, by_place)
    return agent


def ticks(agent: Any, number: int) -> None:
    for tick in range(number):
        agent.run_step(sensor_data(0.25 * tick, 0.0, 0.0, 5.0, frame=tick), 0.05 * (tick + 1))


def test_a_route_within_the_leaderboard(tmp_path: Path, leaderboard: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setup, sensors, ticks, the end; then the next route, whose setup string has one name more."""
    (tmp_path / "team.yaml").write_text(SETTINGS)
    monkeypatch.setenv("SAVE_PATH", str(tmp_path / "saved"))
    setup = str(tmp_path / "team.yaml")
    for name in ("RouteScenario_1_rep0_Town01", "RouteScenario_2_rep0_Town02"):
        setup = f"{setup}+{name}"
        agent = loaded(team_agent)
        agent.setup(setup)
        assert [sensor["id"] for sensor in agent.sensors()] == [FRONT, "IMU", "GPS", "SPEED"]
        ticks(agent, 11)
        agent.destroy()
        assert list(read_metric_info(tmp_path / "saved" / name / "metric_info.json")) == list(range(11))
        pictures = sorted(path.name for path in (tmp_path / "saved" / name / "rgb_front").iterdir())
        assert pictures == ["0000.jpg", "0001.jpg", "0002.jpg"]


def test_what_was_noted_survives_a_kill(tmp_path: Path, leaderboard: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "team.yaml").write_text(SETTINGS)
    monkeypatch.setenv("SAVE_PATH", str(tmp_path / "saved"))
    agent = loaded(team_agent)
    agent.setup(f"{tmp_path / 'team.yaml'}+a")
    ticks(agent, 8)
    assert list(json.loads((tmp_path / "saved" / "a" / "metric_info.json").read_text())) == [
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
    ]


def test_nothing_is_kept_without_a_place_for_it(
    tmp_path: Path, leaderboard: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "team.yaml").write_text(SETTINGS)
    monkeypatch.delenv("SAVE_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    agent = loaded(team_agent)
    agent.setup("team.yaml+a")
    ticks(agent, 3)
    agent.destroy()
    assert [path.name for path in tmp_path.iterdir()] == ["team.yaml"]


def test_an_agent_that_was_never_set_up_may_be_destroyed(leaderboard: None) -> None:
    loaded(team_agent).destroy()


def test_the_file_is_loaded_by_its_bare_name(leaderboard: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the evaluator does, with the file's folder first on the path: afterwards no file there shadows a package."""
    folder = str(Path(team_agent.__file__).parent)
    monkeypatch.setattr(sys, "path", [folder, *sys.path])
    monkeypatch.delitem(sys.modules, "team_agent", raising=False)
    module = importlib.import_module("team_agent")
    monkeypatch.setitem(sys.modules, "team_agent", module)
    assert folder not in sys.path
    assert issubclass(getattr(module, module.get_entry_point()), Base)
    with pytest.raises(AttributeError, match="no_such"):
        module.no_such  # noqa: B018


def test_without_carla_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "carla", None)
    team_agent.team_agent_class.cache_clear()
    with pytest.raises(InputError, match="pip install carla"):
        getattr(team_agent, team_agent.get_entry_point())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a/team.yaml+r1", ("a/team.yaml", "r1")),
        ("a/team.yaml+r1+r2+r3", ("a/team.yaml", "r3")),
        ("a/run", ("a/run", "")),
    ],
)
def test_the_setup_string_grows(text: str, parts: tuple[str, str]) -> None:
    assert split_setup(text) == parts


@pytest.mark.parametrize("text", ["", "+route"])
def test_no_team_config(text: str) -> None:
    with pytest.raises(SettingError, match="set TEAM_CONFIG"):
        split_setup(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "TEAM_CONFIG"),
        ("a: [", "TEAM_CONFIG"),
        ("controller: pid", "one of them must be given"),
        ("run: a\nagent: {_target_: b}", "one of them must be given"),
        ("run: a\ncontroler: pid", "controler is no setting"),
        ("run: a\ncontroller: mpc", "controller=mpc"),
        ("run: a\njpeg: both", "jpeg=both"),
        ("run: a\nplan_every: 3", "plan_every=3"),
        ("run: a\nplan_every: 11", "plan_every=11"),
        ("run: a\npicture_width: 64", "belong together"),
        ("run: a\npid: {turn_gains: [1.0]}", r"pid\.turn_gains=.*three gains"),
        ("run: a\nweights: worst", "weights=worst"),
        ("run: a\npid: {max_throttle: 1.5}", "pid.max_throttle=1.5"),
        ("run: a\npid: {brake_ratio: 0.5}", "pid.brake_ratio=0.5"),
        ("run: a\nlqr: {max_throttle: -0.1}", "lqr.max_throttle=-0.1"),
        ("run: a\nlqr: {stop_mps: -1}", "lqr.stop_mps=-1"),
        ("run: a\nnear_m: 50", "near_m=50 and far_m=50"),
    ],
)
def test_settings_that_break_a_rule(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "team.yaml").write_text(text)
    with pytest.raises((InputError, SettingError), match=words):
        read_team_config(str(tmp_path / "team.yaml"))


def test_a_folder_is_a_training(tmp_path: Path) -> None:
    assert read_team_config(str(tmp_path)) == TeamConfig(run=str(tmp_path))
    with pytest.raises(InputError, match=r"none\.yaml cannot be read.*TEAM_CONFIG"):
        read_team_config(str(tmp_path / "none.yaml"))


def test_every_setting_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(
        "run: a\nweights: last\ncontroller: lqr\nlqr: {max_steer_deg: 60}\npid: {aim_m: 11}\njpeg: after\n"
        "picture_width: 1024\npicture_height: 576\nmomentum: false\nplan_every: 5\n"
    )
    found = read_team_config(str(tmp_path / "team.yaml"))
    assert (found.pid.aim_m, found.lqr.max_steer_deg, found.picture_width, found.momentum) == (11.0, 60.0, 1024, False)


def test_a_planner_for_navsim_is_refused() -> None:
    config = TeamConfig(agent={"_target_": "tests.bench2drive.planners.OfNavsim"})
    with pytest.raises(InputError, match="drive_jepa_bench2drive"):
        build_planner(config)


def test_the_documented_settings_are_all_and_their_defaults(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "bench2drive.md").read_text(encoding="utf-8")
    (tmp_path / "team.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    assert read_team_config(str(tmp_path / "team.yaml")) == TeamConfig(run="RUN")
    for kind in (TeamConfig, PidConfig, LqrConfig):
        assert [name for name in kind.__dataclass_fields__ if f"{name}:" not in page] == []
