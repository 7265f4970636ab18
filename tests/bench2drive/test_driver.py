"""From sensor data to controls over many ticks: clips, plans that are kept, momentum, pictures as in training."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from PIL import Image

from navsim_agents.bench2drive.driver import Driver
from navsim_agents.bench2drive.frames import CAMERAS, FRONT, MOUNTS, calibration
from navsim_agents.bench2drive.journal import Journal, with_plan
from navsim_agents.bench2drive.replanning import PictureMemory, moved
from navsim_agents.bench2drive.sensors import compressed, picture_of, sensor_list
from navsim_agents.bench2drive.team_config import TeamConfig
from navsim_agents.common.poses import poses_to_local
from navsim_agents.errors import InputError
from tests.bench2drive.planners import LEFT_AND_FRONT, Proposer, StandIn, arc, route, sensor_data, straight

ALONG_X = route((0.0, 0.0), (50.0, 0.0), (90.0, 0.0), options=(4, 1, 4))
AGENT = {"_target_": "tests.bench2drive.planners.StandIn"}


def config(**changes: Any) -> TeamConfig:
    return TeamConfig(**{"agent": AGENT, "pictures_every": 0, **changes})


def drive(driver: Driver, num_ticks: int, speed: float = 5.0, **changes: Any) -> list[Any]:
    """Along x at one speed; ``grey`` is the tick's number."""
    cameras = (FRONT, *LEFT_AND_FRONT)
    return [
        driver.step(
            sensor_data(0.05 * speed * tick, 0.0, 0.0, speed, cameras, grey=tick % 256, **changes), 0.05 * (tick + 1)
        )
        for tick in range(num_ticks)
    ]


def test_what_the_planner_sees() -> None:
    """Half a second apart, the first picture for what came before it; target and command of the route."""
    planner = StandIn(num_input_frames=3, cameras=LEFT_AND_FRONT)
    drive(Driver(config(jpeg="never"), planner, ALONG_X), 26, imu=(0.5, -0.25, 9.8, 0.0, 0.0, 0.0))
    assert len(planner.seen) == 26
    clips = [[int(frame[0, 0, 0]) for frame in seen.pictures[FRONT]] for seen in planner.seen]
    assert [clips[at] for at in (0, 9, 10, 15, 20, 25)] == [
        *([0, 0, 0], [0, 0, 9], [0, 0, 10], [0, 5, 15], [0, 10, 20], [5, 15, 25])
    ]
    last = planner.seen[-1]
    assert list(last.pictures) == list(LEFT_AND_FRONT)
    assert last.target_point == pytest.approx(np.array([50.0 - 6.25, 0.0]), abs=0.05)
    assert (last.speed_mps, last.command, list(last.acceleration)) == (5.0, 0, [0.5, 0.25])


def test_plans_between_are_moved_on() -> None:
    """Planning each 5th tick only; the kept plans lie where a new one would, for the car drives as planned."""
    rare, often = StandIn(), StandIn()
    kept = drive(Driver(config(plan_every=5), rare, ALONG_X), 43)
    anew = drive(Driver(config(), often, ALONG_X), 43)
    assert (len(rare.seen), len(often.seen)) == (9, 43)
    for a, b in zip(kept, anew):
        assert (a.steer, a.throttle, a.brake) == pytest.approx((b.steer, b.throttle, b.brake), abs=2e-3)
    frames = [int(seen.pictures[FRONT][0, 0, 0, 0]) for seen in rare.seen]
    assert np.abs(np.diff(frames[3:]) - 5).max() <= 2  # JPEG changes greys a little


@pytest.mark.parametrize("age_s", [0.0, 0.05, 0.35, 0.5])
def test_a_plan_is_moved_into_the_frame_of_now(age_s: float) -> None:
    """A car on its planned circle: the rest of the plan is the same circle, seen from where it is."""
    angle = 6.0 * age_s / 20.0
    now = np.array([20.0 * math.sin(angle), 20.0 * (1.0 - math.cos(angle)), angle])
    assert moved(arc(6.0, 20.0), np.zeros(3), now, age_s) == pytest.approx(arc(6.0, 20.0), abs=0.08)
    assert moved(arc(6.0, 20.0), np.zeros(3), np.zeros(3), 0.0) == pytest.approx(arc(6.0, 20.0), abs=1e-9)


def test_a_plan_is_cut_by_its_age() -> None:
    """Standing still, a plan of 0.2 s ago goes 0.2 s further than it did; and a frame elsewhere turns it."""
    there = np.array([3.0, -1.0, 0.5])
    found = moved(straight(4.0), there, there, 0.2)
    assert found[:, 0] == pytest.approx(4.0 * (0.5 * np.arange(1, 7) + 0.2))
    turned = moved(straight(4.0), np.zeros(3), np.array([0.0, 0.0, 0.5]), 0.0)
    assert turned == pytest.approx(poses_to_local(straight(4.0), np.array([0.0, 0.0, 0.5])))


def test_momentum_goes_on_as_before() -> None:
    """Two plans whose scores change places after half a second: the even one was chosen then, and counts more."""
    even, slow = straight(6.0), straight(1.0)
    scores = (*[(0.60, 0.50)] * 10, *[(0.55, 0.60)] * 30)
    assert choices(Proposer(even, slow, scores=scores)) == ["even"] * 40
    assert choices(Proposer(even, slow, scores=scores), comfort_weight=0.01) == ["even"] * 10 + ["slow"] * 30
    lone = Proposer(even, slow, scores=scores)
    choices(lone, momentum=False)
    assert len(lone.seen) == 40  # by plan_input, which chooses without


def choices(planner: Proposer, **changes: Any) -> list[str]:
    """Which plan is driven at each of 40 ticks."""
    driver = Driver(config(**changes), planner, route((0.0, 0.0), (0.0, 900.0)))
    plan, found = driver._replanner.plan, []

    def noted(*arguments: Any) -> Any:
        answer = plan(*arguments)
        found.append("even" if answer[-1, 0] > 10.0 else "slow")
        return answer

    with mock.patch.object(driver._replanner, "plan", noted):
        for tick in range(40):
            driver.step(sensor_data(0.3 * tick, 0.0, 0.0, 6.0), 0.05 * (tick + 1))
    return found


@pytest.mark.parametrize(
    "answer", [np.zeros((8, 3)), np.full((6, 3), np.nan), np.zeros((6, 2))], ids=["length", "nan", "columns"]
)
def test_what_is_no_plan_is_refused(answer: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    planner = StandIn()
    monkeypatch.setattr(planner, "plan_input", lambda seen: answer)
    with pytest.raises((InputError, TypeCheckError), match="finite poses" if answer.shape[1] == 3 else "plan"):
        drive(Driver(config(momentum=False), planner, ALONG_X), 1)


@pytest.mark.parametrize("left_out", ["IMU", "GPS", "SPEED", FRONT])
def test_a_sensor_that_is_missing_is_named(left_out: str) -> None:
    data = sensor_data(0.0, 0.0, 0.0, 5.0)
    del data[left_out]
    with pytest.raises(InputError, match=f"sent no {left_out}"):
        Driver(config(), StandIn(), ALONG_X).step(data, 0.05)


@pytest.mark.parametrize("seconds", [[0.0, 0.0], [5.0, 1.0], [1.0, 900.0]])
def test_clocks_that_stand_or_jump_cost_nothing(seconds: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """One tick is believed of each: the car has gone on by 0.25 m."""
    driver = Driver(config(), StandIn(), ALONG_X)
    update, states = driver._localiser.update, list[Any]()
    monkeypatch.setattr(driver._localiser, "update", lambda *given: states.append(update(*given)) or states[-1])
    for at, second in enumerate(seconds):
        driver.step(sensor_data(0.25 * at, 0.0, 0.0, 5.0), second)
    assert states[-1].odometry == pytest.approx(np.array([0.25, 0.0, 0.0]))


def test_pictures_are_as_in_training() -> None:
    """BGRA becomes RGB; JPEG of quality 20 before or after the resizing; and it does cost something."""
    rng = np.random.default_rng(1)
    sent = rng.integers(0, 256, (90, 160, 4), dtype=np.uint8)
    data = {FRONT: (1, sent)}
    plain = picture_of(data, FRONT, config(jpeg="never"))
    assert np.array_equal(plain, sent[..., [2, 1, 0]])
    assert np.array_equal(picture_of(data, FRONT, config()), compressed(plain, 20))
    assert np.abs(compressed(plain, 20).astype(int) - plain).mean() > 5.0
    small = {"picture_width": 64, "picture_height": 36}
    before, after = (picture_of(data, FRONT, config(jpeg=jpeg, **small)) for jpeg in ("before", "after"))
    assert before.shape == after.shape == (36, 64, 3)
    assert not np.array_equal(before, after)
    assert np.array_equal(after, compressed(picture_of(data, FRONT, config(jpeg="never", **small)), 20))
    with pytest.raises(InputError, match="BGRA"):
        picture_of({FRONT: (1, sent.astype(float))}, FRONT, config())


def test_the_oldest_pictures_are_forgotten() -> None:
    memory = PictureMemory(num_frames=3, frames_per_interval=10)
    for frame in range(100):
        memory.add(frame, {FRONT: np.full((1, 1, 3), frame, np.uint8)})
    assert len(memory._kept) == 21
    assert memory.clip(99)[FRONT][:, 0, 0, 0].tolist() == [79, 89, 99]


def test_sensors_stand_as_in_the_data_set() -> None:
    found = {sensor["id"]: sensor for sensor in sensor_list(CAMERAS, 1600, 900)}
    assert [found["CAM_BACK_LEFT"][key] for key in ("x", "y", "z", "yaw", "fov")] == [-0.32, -0.55, 1.6, -110.0, 70.0]
    assert [found[name]["x"] for name in ("IMU", "GPS")] == [-1.4, -1.4]
    assert found["SPEED"] == {"type": "sensor.speedometer", "reading_frequency": 20, "id": "SPEED"}
    assert list(found)[:6] == list(MOUNTS)


def test_the_journal_is_what_the_benchmarks_scripts_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "route", pictures_every=10, metric_info_every=7)
    drive(Driver(config(pictures_every=10), StandIn(), ALONG_X, journal), 25)
    names = [path.name for path in sorted((tmp_path / "route" / "rgb_front").iterdir())]
    assert names == ["0000.jpg", "0001.jpg", "0002.jpg"]
    meta = json.loads((tmp_path / "route" / "meta" / "0001.json").read_text())
    assert {"steer", "throttle", "brake", "speed"} <= meta.keys()
    assert (meta["tick"], meta["command"], len(meta["plan"])) == (10, "left", 6)


def test_the_plan_lies_on_the_road_of_the_picture() -> None:
    """A pose 9.1 m ahead of the camera is drawn where the calibration has it; nothing above the horizon changes."""
    grey = np.full((900, 1600, 3), 90, np.uint8)
    drawn = with_plan(grey, straight(5.0), np.array([25.0, 4.0]))
    u, v, _ = calibration(FRONT).project(np.array([10.0, 0.0, 0.0]))
    assert tuple(drawn[round(v), round(u)]) != (90, 90, 90)
    assert (drawn[:449] == 90).all()
    target = calibration(FRONT).project(np.array([25.0, 4.0, 0.0]))
    assert tuple(drawn[round(target[1]), round(target[0])]) == (255, 150, 0)
    behind = with_plan(grey, -straight(5.0), np.array([-9.0, 0.0]))
    assert (behind == 90).all()
    assert Image.fromarray(drawn).size == (1600, 900)
