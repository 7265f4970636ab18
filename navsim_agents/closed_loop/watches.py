"""What Bench2Drive's criteria look at along a route, each by its definition in ``atomic_criteria.py``.

Locations are the middle of the ego's box, as CARLA's are. Messages name them in CARLA's left-handed world (y right).
"""

from __future__ import annotations

import numpy as np
import shapely
from jaxtyping import Float64

from navsim_agents.closed_loop.line import RouteLine
from navsim_agents.closed_loop.places import TICKS_PER_STEP, place
from navsim_agents.common.planar import LENGTH
from navsim_agents.common.poses import HEADING, XY, X, Y
from navsim_agents.poses import wrap_angle
from navsim_agents.world.curves import left_normal, unit
from navsim_agents.world.right_of_way import RED
from navsim_agents.world.roads import LANE_WIDTH_M
from navsim_agents.world.types import Town

# WINDOWS_SIZE: points of the route that each criterion looks at beyond its last one at a tick of 0.05 s; here two ticks
# are one look, so that it follows a car as fast as there (40 m/s, and not 20).
COMPLETION_WINDOW, DEVIATION_WINDOW, LANES_WINDOW = (TICKS_PER_STEP * size for size in (2, 5, 3))
# RouteCompletionTest
NEAR_TARGET_M, NEARLY_ALL_PERCENT = 10.0, 99.0
# InRouteTest
MOST_APART_M, SAFE_APART_M, MOST_APART_PERCENT = 30.0, 15.0, 30.0
# OutsideRouteLanesTest
BESIDE_LANE_M, WRONG_WAY_RAD = 0.5, np.deg2rad(120.0)
# AgentBlockedTest, MinimumSpeedRouteTest
BLOCKED_MPS = 0.1
BLOCKED_S = 60.0
CHECKPOINTS, LAST_CHECKPOINT = 20, 0.95
# RunningRedLightTest
LIGHT_M, TAIL_SHARE, BEHIND_TAIL_M, LINE_SHARE = 15.0, 0.8, 1.0, 0.6

Location = Float64[np.ndarray, "2"]
Box = Float64[np.ndarray, "5"]


class CompletionWatch:
    """How much of the route is behind the ego."""

    def __init__(self, line: RouteLine) -> None:
        self._line, self._index = line, 0
        self.percent, self.is_complete = 0.0, False

    def update(self, location: Location) -> None:
        """Look at the next points."""
        last = len(self._line.points) - 1
        for index in range(self._index, min(self._index + COMPLETION_WINDOW, last) + 1):
            if self._line.has_passed(index, location):
                self._index = index
                travelled = self._line.travelled_m
                self.percent = round(float(travelled[index] / travelled[-1]) * 100.0, 2)
        apart = float(np.hypot(*(location - self._line.points[-1, XY])))
        if self.percent > NEARLY_ALL_PERCENT and apart < NEAR_TARGET_M:
            self.percent, self.is_complete = 100.0, True


class DeviationWatch:
    """Whether the ego is 30 m off the route, or was 15 m off it for more than 30 % of its length."""

    def __init__(self, line: RouteLine) -> None:
        self._line, self._index, self._apart_m = line, 0, 0.0
        self.message = ""

    def update(self, location: Location) -> None:
        """Look at the nearest of the next points."""
        travelled = self._line.travelled_m
        ahead = self._line.points[self._index : self._index + DEVIATION_WINDOW + 1, XY]
        distance = np.hypot(*(ahead - location).T)
        nearest = len(distance) - 1 - int(distance[::-1].argmin())  # of equals the last
        is_off = distance[nearest] >= MOST_APART_M
        if nearest and distance[nearest] >= SAFE_APART_M:
            self._apart_m += float(travelled[self._index + nearest] - travelled[self._index])
            is_off |= 100.0 * self._apart_m / travelled[-1] > MOST_APART_PERCENT
        self._index += nearest
        if is_off and not self.message:
            self.message = f"Agent deviated from the route at {place(location)}"


class LanesWatch:
    """The part of the way on which the ego is beside all lanes, or in one of the oncoming side."""

    def __init__(self, line: RouteLine, town: Town) -> None:
        self._line, self._index, self._total_m, self._wrong_m = line, 0, 0.0, 0.0
        lanes = list(town.lanes.values())
        self._points = np.concatenate([lane.centerline for lane in lanes])
        self._is_junction = np.repeat([lane.is_connector for lane in lanes], [len(lane.centerline) for lane in lanes])
        self.is_outside = False

    def update(self, location: Location, heading: float) -> None:
        """Look at the nearest lane, and count the way since the last step."""
        self.is_outside = self._is_wrong(location, heading)
        travelled, last = self._line.travelled_m, len(self._line.points) - 1
        for index in range(self._index + 1, min(self._index + LANES_WINDOW, last) + 1):
            if self._line.has_passed(index, location):
                new = float(travelled[index] - travelled[self._index])
                self._total_m += new
                self._wrong_m += new if self.is_outside else 0.0
                self._index = index

    def _is_wrong(self, location: Location, heading: float) -> bool:
        near = np.abs(self._points[:, X] - location[X]) + np.abs(self._points[:, Y] - location[Y]) < 30.0
        if not near.any():
            return True
        points, is_junction = self._points[near], self._is_junction[near]
        distance = np.hypot(*(points[:, XY] - location).T)
        nearest = int(distance.argmin())
        if distance[nearest] > LANE_WIDTH_M / 2 + BESIDE_LANE_M:
            return True
        turned = abs(float(wrap_angle(points[nearest, HEADING] - heading)))
        return bool(turned > WRONG_WAY_RAD and not is_junction[nearest])

    @property
    def message(self) -> str:
        """Empty where all of the way was in its lanes."""
        if not self._wrong_m:
            return ""
        percent = round(self._wrong_m / self._total_m * 100.0, 2)
        return (
            f"Agent went outside its route lanes for about {round(self._wrong_m, 3)} meters "
            f"({percent}% of the completed route)"
        )


class BlockedWatch:
    """Whether the ego has stood for 60 s."""

    def __init__(self) -> None:
        self._moved_s, self.message = 0.0, ""

    def update(self, time_s: float, location: Location, speed: float) -> None:
        """Look at the clock."""
        if speed >= BLOCKED_MPS:
            self._moved_s = time_s
        elif time_s - self._moved_s > BLOCKED_S and not self.message:
            self.message = f"Agent got blocked at {place(location)}"


class SpeedWatch:
    """The ego's mean speed against that of the others, a message every 5 % of the route."""

    def __init__(self, line: RouteLine) -> None:
        self._line, self._index, self._last_m = line, 0, 0.0
        self._own: list[float] = []
        self._others: list[float] = []
        self.messages: list[str] = []

    def update(self, location: Location, speed: float, others: Float64[np.ndarray, " K"]) -> None:
        """Look at the next points and at the speeds of the other vehicles that are there."""
        travelled, last = self._line.travelled_m, len(self._line.points) - 1
        for index in range(self._index, min(self._index + COMPLETION_WINDOW, last) + 1):
            if self._line.has_passed(index, location):
                self._index = index
        if travelled[self._index] - self._last_m > travelled[-1] / CHECKPOINTS:
            self._say()
            self._last_m = float(travelled[self._index])
        if len(others):
            self._own.append(speed)
            self._others.append(float(others.mean()))

    def end(self) -> None:
        """Say the last part, where the route ends after its last checkpoint."""
        travelled = self._line.travelled_m
        if travelled[self._index] / travelled[-1] > LAST_CHECKPOINT:
            self._say()

    def _say(self) -> None:
        value = 100.0
        if sum(self._others):
            value = round(float(np.mean(self._own) / np.mean(self._others)) * 100.0, 2)
        self.messages.append(f"Average speed is {value}% of the surrounding traffic's one")
        self._own, self._others = [], []


class LightWatch:
    """Whether the ego's tail crosses a stop line while its light is red."""

    def __init__(self, town: Town) -> None:
        self._lines: list[tuple[str, str, Float64[np.ndarray, "3"]]] = []  # light, connector, end of its lane
        for lane in town.lanes.values():
            if lane.signal_group is not None:
                end = town.lanes[lane.predecessors[0]].centerline[-1]
                self._lines.append((f"{lane.intersection_id}-{lane.signal_group}", lane.lane_id, end))
        self._ends = np.array([end for _, _, end in self._lines]).reshape(-1, 3)
        self._last = ""
        self.messages: list[str] = []

    def update(self, box: Box, codes: dict[str, int]) -> None:
        """Look at the lines near the ego; ``codes`` are those of the connectors."""
        near = np.hypot(*(self._ends[:, XY] - box[XY]).T) < LIGHT_M
        along = unit(box[HEADING])
        half = box[LENGTH] / 2
        tail = shapely.LineString([box[XY] - TAIL_SHARE * half * along, box[XY] - (half + BEHIND_TAIL_M) * along])
        for number in np.flatnonzero(near).tolist():
            light, connector, end = self._lines[number]
            if codes.get(connector) != RED or light == self._last or along @ unit(end[HEADING]) <= 0.0:
                continue
            aside = LINE_SHARE * LANE_WIDTH_M * left_normal(end[HEADING])
            if tail.intersects(shapely.LineString([end[XY] - aside, end[XY] + aside])):
                self._last = light
                self.messages.append(f"Agent ran a red light {light} at {place(end[XY])}")
