"""Traffic lights: every signalised intersection repeats one cycle of two phases, shifted from log to log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64, Int64

from navsim_agents.world.types import Light, Town

IntArray = npt.NDArray[np.int64]

LIGHTS = (Light.GREEN, Light.YELLOW, Light.RED)  # by code


@dataclass(frozen=True)
class SignalTiming:
    """Seconds of one phase; the next phase follows."""

    green_s: float = 12.0
    yellow_s: float = 3.6  # so that vehicles that cannot stop have left before red
    all_red_s: float = 1.6

    @property
    def phase_s(self) -> float:
        """Length of one phase."""
        return self.green_s + self.yellow_s + self.all_red_s


class SignalPlan:
    """Light codes of every phase over the steps of one drive."""

    def __init__(
        self, town: Town, num_steps: int, step_s: float, rng: np.random.Generator, timing: SignalTiming
    ) -> None:
        self.timing = timing
        self._phase_time: dict[tuple[str, int], npt.NDArray[np.float64]] = {}
        times = np.arange(num_steps) * step_s
        for intersection in town.intersections.values():
            if not intersection.is_signalised:
                continue
            cycle = timing.phase_s * intersection.num_phases
            offset = float(rng.uniform(0.0, cycle))
            for phase in range(intersection.num_phases):
                key = (intersection.intersection_id, phase)
                self._phase_time[key] = np.mod(times + offset - phase * timing.phase_s, cycle)
        self._groups = {
            lane.lane_id: (str(lane.intersection_id), lane.signal_group)
            for lane in town.lanes.values()
            if lane.signal_group is not None
        }

    def codes(self, intersection_id: str, phase: int) -> Int64[np.ndarray, " S"]:
        """Index into ``LIGHTS`` per step."""
        elapsed = self._phase_time[intersection_id, phase]
        red = elapsed >= self.timing.green_s + self.timing.yellow_s
        return np.where(red, 2, np.where(elapsed >= self.timing.green_s, 1, 0))

    def green_elapsed(self, intersection_id: str, phase: int) -> Float64[np.ndarray, " S"]:
        """Seconds per step since the phase's last green began."""
        return self._phase_time[intersection_id, phase]

    def connector_codes(self) -> dict[str, IntArray]:
        """Codes [S] of every signalised connector."""
        by_group = {group: self.codes(*group) for group in self._phase_time}
        return {lane_id: by_group[group[0], int(group[1])] for lane_id, group in self._groups.items()}
