"""Which scenes get follow-ups."""

import dataclasses

import numpy as np

from navsim_agents.world.follow_ups.choose import LEAST_DURATION_S, pair_steps, shown_steps
from tests.world.small_town import small_drive


def test_no_scene_belongs_to_two_pairs_and_all_have_their_past_and_future():
    drive = small_drive()  # steps 0 to 150
    for seed in range(20):
        steps = pair_steps(drive, 3, np.random.default_rng(seed))
        assert len(steps) == 3
        assert steps == sorted(steps)
        assert steps[0] >= 20  # 1.5 s before the earlier scene
        assert steps[-1] <= 70  # a plan and a follow-up's future
        assert min(np.diff(steps)) >= 10
        assert all(step % 5 == 0 for step in steps)
    assert pair_steps(drive, 3, np.random.default_rng(0)) == pair_steps(drive, 3, np.random.default_rng(0))
    assert len(pair_steps(drive, 99, np.random.default_rng(0))) <= 6


def test_scenes_without_a_route_are_none_of_the_devkits():
    drive = small_drive()
    routes = tuple(() if step != 45 else route for step, route in enumerate(drive.route_roadblock_ids))
    lonely = dataclasses.replace(drive, route_roadblock_ids=routes)
    assert pair_steps(lonely, 3, np.random.default_rng(0)) == []
    both = tuple(() if step not in (45, 50) else route for step, route in enumerate(drive.route_roadblock_ids))
    assert pair_steps(dataclasses.replace(drive, route_roadblock_ids=both), 3, np.random.default_rng(0)) == [50]


def test_frames_of_both_scenes():
    assert list(shown_steps(30)) == [50, 55, 60, 65, 70]
    assert LEAST_DURATION_S == 10.0
