"""One route driven by one planner, from its beginning to whatever ends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.bench2drive.records import (
    BLOCKED,
    MIN_SPEED,
    OUTSIDE_LANES,
    RED_LIGHT,
    ROUTE_DEVIATION,
    RouteRecord,
    TickInfo,
    compose,
)
from navsim_agents.closed_loop.contacts import CollisionWatch, Surroundings, Thing, is_run_into
from navsim_agents.closed_loop.moment import Witness
from navsim_agents.closed_loop.places import tick_infos
from navsim_agents.closed_loop.planners import Plan, Planner
from navsim_agents.closed_loop.stage import Stage
from navsim_agents.closed_loop.watches import (
    BlockedWatch,
    CompletionWatch,
    DeviationWatch,
    LanesWatch,
    LightWatch,
    SpeedWatch,
)
from navsim_agents.common.conventions import WORLD_STEP_S
from navsim_agents.common.ending import is_machines_fault
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.scoring.axes import State

OUT_OF_TIME, CRASHED = "TickRuntime", "Agent crashed"
"""What a status says of a route that lasts longer than 200 s, and of an agent that raises an error."""


@dataclass(frozen=True)
class Driven:
    """What came of a route."""

    record: RouteRecord
    ticks: dict[int, TickInfo]
    error: str = ""  # of an agent that crashed


@dataclass(frozen=True)
class Shown:
    """What a film shows of one step."""

    stage: Stage
    witness: Witness
    plan: Plan  # in the frame of ``planned_at``
    planned_at: Float64[np.ndarray, "3"]
    referee: Referee


class Referee:
    """All criteria of one route."""

    def __init__(self, stage: Stage) -> None:
        town = stage.graph.town
        self.line = stage.line.beyond(stage.car.box[XY])
        self._stage, self._surroundings = stage, Surroundings(stage)
        self.collisions, self.blocked = CollisionWatch(), BlockedWatch()
        self.completion, self.deviation = CompletionWatch(self.line), DeviationWatch(self.line)
        self.lanes, self.speeds, self.lights = LanesWatch(self.line, town), SpeedWatch(self.line), LightWatch(town)

    def touching(self, box: Float64[np.ndarray, "5"]) -> list[Thing]:
        """What the ego would touch in ``box``."""
        return self._surroundings.touching(box)

    def update(self, time_s: float, speed_before: float) -> None:
        """Look at the present step; ``speed_before`` is that with which the ego touched what it touches."""
        stage, box = self._stage, self._stage.car.box
        location, speed, fleet = box[XY], stage.car.speed, stage.simulation.fleet
        self.completion.update(location)
        self.lanes.update(location, float(box[HEADING]))
        self.collisions.update(time_s, box, speed_before, self.touching(box))
        self.lights.update(box, {lane: int(codes[stage.step]) for lane, codes in stage.codes.items()})
        self.speeds.update(location, speed, fleet.speed[1:][fleet.is_active[1:]])
        self.deviation.update(location)
        self.blocked.update(time_s, location, speed)

    @property
    def is_over(self) -> bool:
        """Whether the route ends here."""
        return self.completion.is_complete or bool(self.deviation.message or self.blocked.message)

    def infractions(self) -> dict[str, tuple[str, ...]]:
        """Messages by the lists of a record."""
        found: dict[str, list[str]] = {}
        for name, message in self.collisions.events:
            found.setdefault(name, []).append(message)
        ends = {ROUTE_DEVIATION: self.deviation.message, BLOCKED: self.blocked.message}
        for name, message in {OUTSIDE_LANES: self.lanes.message, **ends}.items():
            if message:
                found[name] = [message]
        found[RED_LIGHT], found[MIN_SPEED] = self.lights.messages, self.speeds.messages
        return {name: tuple(messages) for name, messages in found.items() if messages}


def drive_route(
    stage: Stage,
    planner: Planner,
    witness: Witness,
    replan_steps: int,
    time_limit_s: float,
    show: Optional[Callable[[Shown], Any]] = None,
) -> Driven:
    """Drive until the route is complete, or its agent blocked, off the route, out of time or crashed.

    Args:
        stage: fresh.
        planner: who plans.
        witness: who shows it the stage.
        replan_steps: of 0.1 s, from a plan to the next.
        time_limit_s: of the route.
        show: is called at each step.
    """
    begun = time.monotonic()
    stage.hand_over(planner.is_expert)
    referee = Referee(stage)
    motions: list[Float64[np.ndarray, "6"]] = []
    failure, error = _loop(stage, planner, witness, referee, replan_steps, time_limit_s, show, motions)
    referee.speeds.end()
    record = _record(stage, referee, failure, len(motions), time.monotonic() - begun)
    return Driven(record, tick_infos(motions), error)


def _loop(
    stage: Stage,
    planner: Planner,
    witness: Witness,
    referee: Referee,
    replan_steps: int,
    time_limit_s: float,
    show: Optional[Callable[[Shown], Any]],
    motions: list[Float64[np.ndarray, "6"]],
) -> tuple[str, str]:
    """What ended the route early, if anything did, and an agent's error; adds each step's motion to ``motions``."""
    num_steps = round(time_limit_s / WORLD_STEP_S)
    plan, planned_at = np.zeros((2, 3)), stage.car.pose
    for step in range(num_steps + 1):
        motions.append(_motion(stage))
        decision = stage.decide()
        if step == num_steps:
            return OUT_OF_TIME, ""
        if step % replan_steps == 0:
            try:
                plan, planned_at = planner.plan(stage, witness, decision), stage.car.pose
            except Exception as error:  # an agent's failure costs its route
                if is_machines_fault(error):
                    raise
                return CRASHED, f"{type(error).__name__}: {error}"
            stage.car.follow(plan)
        if show is not None:
            show(Shown(stage, witness, plan, planned_at, referee))
        speed_before = stage.car.speed
        _move_car(stage, referee)
        stage.move(decision)
        referee.update((step + 1) * WORLD_STEP_S, speed_before)
        if referee.is_over:
            motions.append(_motion(stage))
            return "", ""
    raise AssertionError("the last step returns")


def _move_car(stage: Stage, referee: Referee) -> None:
    """Along the plan, unless the car has run into something that it cannot push aside."""
    car = stage.car
    if any(is_run_into(car.box, thing) for thing in referee.touching(car.box)):
        car.stop()
    else:
        car.move()


def _motion(stage: Stage) -> Float64[np.ndarray, "6"]:
    car = stage.car
    return np.array([*car.box[: HEADING + 1], *car.centre_acceleration, car.state[State.ANGULAR_VELOCITY]])


def _record(stage: Stage, referee: Referee, failure: str, num_steps: int, seconds: float) -> RouteRecord:
    route, found = stage.route, referee.infractions()
    percent, route_id = referee.completion.percent, f"RouteScenario_{route.number}_rep0"
    penalty, composed, status = compose(percent, found, failure)
    return RouteRecord(
        route_id=route_id,
        scenario_name=f"{route.situation}_1",
        town_name=route.location,
        weather_id=None,
        save_name=f"{route_id}_{route.location}_{route.situation}_1_0",
        status=status,
        infractions=found,
        score_route=percent,
        score_penalty=penalty,
        score_composed=composed,
        route_length_m=float(referee.line.travelled_m[-1]),
        duration_game_s=(num_steps - 1) * WORLD_STEP_S,
        duration_system_s=seconds,
        index=route.number,
    )
