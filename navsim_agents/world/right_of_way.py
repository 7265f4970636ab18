"""Who may drive into a connector: signals, crossing traffic, priority at junctions, and room behind them.

A vehicle close enough to a connector is *granted* it when nothing prevents that, and holds it until its rear
has left; vehicles that would cross its path are refused meanwhile. Refused vehicles see a wall at the stop line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from navsim_agents.world.fleet import Fleet
from navsim_agents.world.following import NO_LEAD_M, Lead
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.motion import PathGate

GREEN, YELLOW, RED = 0, 1, 2


@dataclass(frozen=True)
class YieldRule:
    """Distances and times of right of way."""

    look_m: float = 65.0
    hold_m: float = 7.0  # beyond the braking distance, from where on a connector is held
    hold_decel_mps2: float = 1.6
    stop_decel_mps2: float = 2.6  # vehicles that would have to brake harder drive on at yellow
    crossing_speed_mps: float = 7.0  # assumed for the own vehicle when looking for a gap
    start_accel_mps2: float = 1.5
    crossing_pace_mps: tuple[float, float] = (2.0, 7.0)  # bounds of the pace at which others are taken to clear the way
    gap_s: float = 0.9  # kept between the own vehicle and those with priority
    exit_room_m: float = 2.0
    waiting_mps: float = 1.0  # a refused vehicle slower than this is not about to come


@dataclass
class GateState:
    """The gate a vehicle drives towards or through."""

    index: int = 0
    is_granted: bool = False


class RightOfWay:
    """Grants of all connectors over a drive."""

    def __init__(self, graph: LaneGraph, codes: dict[str, np.ndarray], num_vehicles: int, rule: YieldRule) -> None:
        self._graph, self._codes, self._rule = graph, codes, rule
        self._states = [GateState() for _ in range(num_vehicles)]
        self._holders: dict[str, set[int]] = {}
        self._approaching: dict[str, list[tuple[int, float, float]]] = {}
        self._refused: dict[int, str] = {}

    def forget(self, vehicle: int) -> None:
        """Free everything that a vehicle held which has left."""
        for holders in self._holders.values():
            holders.discard(vehicle)
        self._states[vehicle] = GateState()

    def follow_new_plan(self, vehicle: int, gates: tuple[PathGate, ...]) -> None:
        """Start afresh with a vehicle's new plan; a connector that it held and still leads to stays its own."""
        held = {connector for connector, holders in self._holders.items() if vehicle in holders}
        self.forget(vehicle)
        if gates and gates[0].connector_id in held:
            self._grant(vehicle, gates[0])

    def is_granted(self, vehicle: int) -> bool:
        """Whether the vehicle holds the connector ahead of it or beneath it."""
        return self._states[vehicle].is_granted

    def walls(self, fleet: Fleet, lead: Lead, step: int) -> tuple[np.ndarray, dict[int, str]]:
        """Distance [K] from each front bumper to its stop line if it must wait there, and why (red or yield)."""
        walls = np.full(len(fleet), NO_LEAD_M)
        reasons: dict[int, str] = {}
        waiting = self._update_gates(fleet)
        for vehicle, gate, distance in waiting:
            reason = self._refusal(fleet, lead, vehicle, gate, distance, step)
            state = self._states[vehicle]
            if reason is None:
                if distance < self._hold_distance(fleet.speed[vehicle]):
                    self._grant(vehicle, gate)
            else:
                if state.is_granted:
                    self._release(vehicle, gate)
                walls[vehicle], reasons[vehicle] = distance, reason
        self._refused = reasons
        return walls, reasons

    def _update_gates(self, fleet: Fleet) -> list[tuple[int, PathGate, float]]:
        """Give up what lies behind; list the vehicles near a gate, nearest first."""
        self._approaching = {}
        near = []
        for vehicle in np.nonzero(fleet.is_active)[0].tolist():
            state, gates = self._states[vehicle], fleet.gates[vehicle]
            while (
                state.index < len(gates) and fleet.station[vehicle] - fleet.rear[vehicle] > gates[state.index].clear_m
            ):
                self._release(vehicle, gates[state.index])
                state.index += 1
            if state.index == len(gates):
                continue
            gate = gates[state.index]
            distance = gate.stop_m - fleet.station[vehicle] - fleet.front[vehicle]
            if distance < self._rule.look_m:
                entry = (vehicle, float(distance), float(fleet.speed[vehicle]))
                self._approaching.setdefault(gate.connector_id, []).append(entry)
            if distance < -0.2:
                self._grant(vehicle, gate)
            elif distance < self._rule.look_m:
                near.append((vehicle, gate, float(distance)))
        return sorted(near, key=lambda item: item[2])

    def _hold_distance(self, speed: float) -> float:
        return self._rule.hold_m + speed**2 / (2.0 * self._rule.hold_decel_mps2)

    def _grant(self, vehicle: int, gate: PathGate) -> None:
        self._holders.setdefault(gate.connector_id, set()).add(int(vehicle))
        self._states[vehicle].is_granted = True

    def _release(self, vehicle: int, gate: PathGate) -> None:
        self._holders.get(gate.connector_id, set()).discard(int(vehicle))
        self._states[vehicle].is_granted = False

    def _refusal(
        self, fleet: Fleet, lead: Lead, vehicle: int, gate: PathGate, distance: float, step: int
    ) -> Optional[str]:
        """Why the vehicle must wait at its gate, if it must."""
        speed = float(fleet.speed[vehicle])
        code = self._codes[gate.connector_id][step] if gate.connector_id in self._codes else GREEN
        can_stop = speed**2 / (2.0 * max(distance, 0.05)) < self._rule.stop_decel_mps2
        if code == RED or (code == YELLOW and can_stop):
            return "red"
        if not self._graph.conflicts[gate.connector_id]:
            return None
        if self._states[vehicle].is_granted:
            is_late = can_stop and self._must_yield(fleet, vehicle, gate, distance, step)
            return "yield" if is_late else None
        if self._is_second(vehicle, gate, distance) or self._is_exit_full(fleet, lead, vehicle, gate):
            return "queue"
        return "yield" if self._must_yield(fleet, vehicle, gate, distance, step) else None

    def _is_second(self, vehicle: int, gate: PathGate, distance: float) -> bool:
        """Whether somebody ahead on the same lane still waits for the junction."""
        source = self._graph.town.lanes[gate.connector_id].predecessors[0]
        for connector in self._graph.town.lanes[source].successors:
            for other, other_distance, _ in self._approaching.get(connector, ()):
                if other != vehicle and 0.0 < other_distance < distance and not self._states[other].is_granted:
                    return True
        return False

    def _is_exit_full(self, fleet: Fleet, lead: Lead, vehicle: int, gate: PathGate) -> bool:
        lead_rear = fleet.station[vehicle] + fleet.front[vehicle] + lead.gap_m[vehicle]
        room = lead_rear - gate.clear_m
        return bool(-40.0 < room < fleet.length[vehicle] + self._rule.exit_room_m and lead.speed_mps[vehicle] < 1.5)

    def _must_yield(self, fleet: Fleet, vehicle: int, gate: PathGate, distance: float, step: int) -> bool:
        """Whether somebody in, or with priority on the way to, a crossing connector would be in the way."""
        speed = float(fleet.speed[vehicle])
        for connector, own_zone in self._graph.conflicts[gate.connector_id].items():
            enter_s = self._travel_time(distance + own_zone[0], speed)
            leave_s = self._travel_time(distance + own_zone[1] + float(fleet.length[vehicle]), speed)
            zone = self._graph.conflicts[connector][gate.connector_id]
            has_priority = self._graph.priorities[connector] > self._graph.priorities[gate.connector_id]
            for other, other_distance, other_speed in self._rivals(vehicle, connector, has_priority, step):
                pace = float(np.clip(other_speed, *self._rule.crossing_pace_mps))
                has_left_s = (other_distance + zone[1] + float(fleet.length[other])) / pace
                arrives_s = self._travel_time(other_distance + zone[0], other_speed)
                is_behind = has_left_s < max(0.0, enter_s - self._rule.gap_s)
                is_far = has_priority and arrives_s > leave_s + self._rule.gap_s
                if not is_behind and not is_far:
                    return True
        return False

    def _rivals(self, vehicle: int, connector: str, has_priority: bool, step: int) -> list[tuple[int, float, float]]:
        """Vehicles that hold ``connector``, and with priority those that come towards it; with distance and speed.

        A vehicle that holds a connector itself heeds only those with priority.
        """
        if self._states[vehicle].is_granted and not has_priority:
            return []
        holders = self._holders.get(connector, set())
        comes = has_priority and not self._is_stopping(connector, step)
        return [
            rival
            for rival in self._approaching.get(connector, ())
            if rival[0] != vehicle and (rival[0] in holders or (comes and not self._is_waiting(rival[0], rival[2])))
        ]

    def _is_waiting(self, vehicle: int, speed: float) -> bool:
        """Refused a moment ago and nearly at rest: not about to come."""
        return speed < self._rule.waiting_mps and vehicle in self._refused

    def _travel_time(self, distance: float, speed: float) -> float:
        """Seconds for ``distance`` when speeding up, but not beyond the pace of a turn."""
        accel = self._rule.start_accel_mps2
        speeding_up = (np.sqrt(speed**2 + 2.0 * accel * max(distance, 0.0)) - speed) / accel
        return float(max(speeding_up, distance / max(self._rule.crossing_speed_mps, speed)))

    def _is_stopping(self, connector: str, step: int) -> bool:
        return connector in self._codes and bool(self._codes[connector][step] != GREEN)
