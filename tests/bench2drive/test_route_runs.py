"""The official evaluation one route a process, with a small program in the place of the benchmark's evaluator."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cache_tools.bench2drive_routes import Bench2DriveRoutesConfig, bench2drive_routes, chosen_routes
from navsim_agents.bench2drive.records import read_records
from navsim_agents.bench2drive.routes import read_routes
from navsim_agents.commands import executable_line
from navsim_agents.errors import InputError, SettingError
from tests.bench2drive.files import write_route_file

EVALUATOR = """
import json, os, pathlib, sys, time
options = dict(word[2:].split("=", 1) for word in sys.argv[1:])
text = pathlib.Path(options["routes"]).read_text()
number = text.split('id="')[1].split('"')[0]
here = pathlib.Path(__file__).parent
tries = here / f"{number}.tries"
tries.write_text((tries.read_text() if tries.exists() else "") + "x")
plan = json.loads((here / "plan.json").read_text()).get(number, ["Completed"])
what = plan[min(len(tries.read_text()), len(plan)) - 1]
(here / f"{number}.env").write_text(json.dumps({**os.environ, "options": options, "cwd": os.getcwd()}))
print("driving", number, flush=True)
if what == "hang":
    time.sleep(20)
    sys.exit(3)
if what == "die":
    sys.exit(3)
if what == "cut":
    pathlib.Path(options["checkpoint"]).write_text('{"_checkpoint": {"rec')
    sys.exit(3)
record = {"index": 0, "route_id": f"RouteScenario_{number}_rep0", "scenario_name": "a_1", "weather_id": None,
          "save_name": f"saved_{number}", "status": what, "num_infractions": 0, "infractions": {"red_light": []},
          "scores": {"score_route": 50.0, "score_penalty": 1.0, "score_composed": 50.0},
          "meta": {"route_length": 1, "duration_game": 1, "duration_system": 1}, "town_name": "Town01"}
pathlib.Path(options["checkpoint"]).write_text(json.dumps({"_checkpoint": {"records": [record]}}))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Routes 11 to 14, a team's settings, and the program; what it does at each try of a route stands in plan.json."""
    write_route_file(tmp_path / "routes.xml", ["Accident"] * 4)
    (tmp_path / "team.yaml").write_text("agent: {_target_: tests.bench2drive.planners.StandIn}\n")
    (tmp_path / "CarlaUE4.sh").write_text("")
    (tmp_path / "evaluator.py").write_text(EVALUATOR)
    plan(tmp_path)
    return tmp_path


def plan(place: Path, **statuses: Sequence[str]) -> None:
    (place / "plan.json").write_text(json.dumps({name[1:]: value for name, value in statuses.items()}))


def settings(place: Path, **changes: Any) -> dict[str, Any]:
    given = {"routes": "routes.xml", "team_config": "team.yaml", "evaluator": "evaluator.py", "output": "out"}
    return {
        **{name: str(place / value) for name, value in given.items()},
        **{"benchmark": str(place), "carla_root": str(place), **changes},
    }


def drive(place: Path, **changes: Any) -> dict[str, str]:
    return bench2drive_routes(Bench2DriveRoutesConfig(**settings(place, **changes)))


def tries(place: Path) -> dict[str, int]:
    return {path.stem: len(path.read_text()) for path in sorted(place.glob("*.tries"))}


def test_each_route_is_driven_once(place: Path) -> None:
    """On two GPUs; what is done is not driven again; a bad drive is a result like any other."""
    plan(place, _12=["Failed - Agent got blocked"])
    assert set(drive(place, gpus=[0, 3]).values()) == {"done"}
    assert drive(place, gpus=[0, 3]) == dict.fromkeys(("11", "12", "13", "14"), "done")
    assert tries(place) == {"11": 1, "12": 1, "13": 1, "14": 1}
    assert [read_records(place / "out" / "results" / f"{n}.json")[0].number for n in (11, 14)] == ["11", "14"]
    assert [route.number for route in read_routes(place / "out" / "routes" / "13.xml")] == ["13"]


def test_what_the_evaluator_is_told(place: Path) -> None:
    drive(place, gpus=[2], only=["12"])
    told = json.loads((place / "12.env").read_text())
    assert tries(place) == {"12": 1}
    assert (told["GPU_RANK"], told["CUDA_VISIBLE_DEVICES"], told["PORT"], told["TM_PORT"]) == (
        "2",
        "2",
        "30000",
        "50000",
    )
    assert told["SAVE_PATH"] == str(place / "out" / "saved")
    assert Path(told["SAVE_PATH"]).is_dir()
    assert told["TEAM_AGENT"].endswith("navsim_agents/bench2drive/team_agent.py")
    assert told["TEAM_CONFIG"] == told["options"]["agent-config"] == str(place / "team.yaml")
    assert "resume" not in told["options"]
    assert told["cwd"] == str(place)
    assert str(place / "scenario_runner") in told["PYTHONPATH"].split(os.pathsep)


def test_a_crash_costs_one_route_and_is_tried_again(place: Path) -> None:
    """11 crashes once, 12 always, 13 leaves half a file and then dies, 14 has nothing to do with it."""
    crash = "Failed - Simulation crashed"
    plan(place, _11=[crash, "Perfect"], _12=["Failed - Agent crashed"], _13=["cut", "die"])
    assert drive(place, attempts=2) == {"11": "done", "12": "crashed", "13": "missing", "14": "done"}
    assert tries(place) == {"11": 2, "12": 2, "13": 2, "14": 1}
    assert (place / "out" / "logs" / "12.log").read_text() == "driving 12\n"
    plan(place)
    assert set(drive(place).values()) == {"done"}
    assert tries(place) == {"11": 2, "12": 3, "13": 3, "14": 1}


def test_a_route_that_hangs_is_ended(place: Path) -> None:
    plan(place, _11=["hang"])
    assert drive(place, timeout_s=3.0, attempts=1, only=["11", "12"]) == {"11": "missing", "12": "done"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interruption_anywhere(place: Path, number: int) -> None:
    """13 hangs: what was driven before stays, the evaluator ends (but for SIGKILL), the next run goes on."""
    plan(place, _13=["hang", "Perfect"])
    words = [f"{name}={value}" for name, value in settings(place).items()]
    line = executable_line("cache_tools.bench2drive_routes", *words)
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # which a shell's background job does not
    child = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=hears)
    log = place / "out" / "logs" / "13.log"
    while not (log.exists() and "driving" in log.read_text()):
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(number)
    assert child.wait(30.0) != 0
    assert tries(place) == {"11": 1, "12": 1, "13": 1}
    assert set(drive(place).values()) == {"done"}
    assert tries(place) == {"11": 1, "12": 1, "13": 2, "14": 1}


def test_commands_alone(place: Path) -> None:
    """What is written can be run by a shell, and does the same."""
    drive(place, only=["11"])
    assert set(drive(place, launch=False).values()) == {"done", "missing"}
    lines = (place / "out" / "commands.sh").read_text().splitlines()
    assert [line for line in lines if "routes/11.xml" in line] == []
    subprocess.run(["sh", str(place / "out" / "commands.sh")], check=True, stdout=subprocess.DEVNULL)
    assert set(drive(place, launch=False).values()) == {"done"}


def test_two_at_once_are_refused(place: Path) -> None:
    from navsim_agents.common.locks import FileLock

    (place / "out").mkdir()
    lock = FileLock(place / "out" / "driving")
    with pytest.raises(InputError, match="being driven by another"):
        drive(place)
    lock.release()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gpus": []}, "gpus"),
        ({"gpus": [-1]}, "gpus"),
        ({"only": ["11", "99"]}, "99"),
        ({"evaluator": None}, "set benchmark to a clone"),
        ({"carla_root": "/nowhere"}, "set carla_root"),
        ({"team_config": "/nowhere"}, "TEAM_CONFIG"),
        ({"team_config": "/"}, "holds no result.json"),
        ({"team_config": "a+b"}, "a path without"),
    ],
)
def test_settings_that_mean_nothing(place: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises((InputError, SettingError), match=words):
        drive(place, **changes)


def test_routes_by_name(place: Path) -> None:
    routes = read_routes(place / "routes.xml")
    assert [route.number for route in chosen_routes(routes, ["14", "11"])] == ["11", "14"]
    assert len(chosen_routes(routes, [])) == 4


def test_the_program_is_python(place: Path) -> None:
    drive(place, only=["11"], python=sys.executable)
    assert tries(place) == {"11": 1}
