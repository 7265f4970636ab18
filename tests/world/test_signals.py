from __future__ import annotations

import numpy as np
import pytest

from navsim_agents.world.signals import SignalPlan, SignalTiming

TIMING = SignalTiming(green_s=3.0, yellow_s=2.0, all_red_s=1.0)


@pytest.fixture(scope="module")
def plan(towns) -> SignalPlan:
    return SignalPlan(towns["us-ma-boston"], 200, 0.1, np.random.default_rng(0), TIMING)


def test_green_yellow_red_last_as_told(plan, towns):
    for i, intersection in towns["us-ma-boston"].intersections.items():
        if intersection.is_signalised:
            codes = plan.codes(i, 0)[:120]  # one cycle is 12 s
            assert [abs(int((codes == code).sum()) - steps) <= 1 for code, steps in ((0, 30), (1, 20), (2, 70))] == [
                True
            ] * 3
            changes = {(int(a), int(b)) for a, b in zip(codes, codes[1:]) if a != b}
            assert changes <= {(0, 1), (1, 2), (2, 0)}


def test_crossing_phases_are_never_open_together(plan, towns):
    town = towns["us-ma-boston"]
    codes = plan.connector_codes()
    assert set(codes) == {lane.lane_id for lane in town.lanes.values() if lane.signal_group is not None}
    for i, intersection in town.intersections.items():
        if intersection.is_signalised:
            assert not ((plan.codes(i, 0) < 2) & (plan.codes(i, 1) < 2)).any()


def test_opposite_arms_share_a_phase_and_crossing_ones_do_not(towns):
    town = towns["us-nv-las-vegas-strip"]
    for lane in town.lanes.values():
        for other in town.lanes.values():
            if lane.signal_group is not None and lane.intersection_id == other.intersection_id:
                turn = abs(np.sin(lane.centerline[0, 2] - other.centerline[0, 2]))
                assert (lane.signal_group == other.signal_group) is bool(turn < 0.7)
