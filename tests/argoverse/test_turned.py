"""A log turned by any angle and moved anywhere gives scenes that score the same, and so does each of its scenes."""

from __future__ import annotations

import pytest
import torch

from navsim_agents.argoverse.log import read_log
from tests.argoverse.sensor_logs import Placing, Settings, scenes_of, write_log
from tests.scoring.turned import (
    CONTINUOUS,
    assert_same_scores,
    elsewhere_in_its_frame,
    elsewhere_on_the_map,
    moved_poses,
    plans_for,
)

METRICS = ("epdms", "pdms")
PLACINGS = (Placing(2.4, (1e5, -3e4)), Placing(-1.1, (-7e4, 1e5)), Placing(7.9, (0.0, 0.0)))  # the last beyond one turn


@pytest.mark.parametrize("placing", PLACINGS, ids=str)
def test_a_log_elsewhere_scores_the_same(placing, scenes, tmp_path):
    there = scenes_of(read_log(write_log(tmp_path, Settings(placing))))
    assert [scene.token for scene in there] == [scene.token for scene in scenes]
    assert len(scenes) * len(PLACINGS) >= 40
    plans = plans_for(scenes)
    for metric in METRICS:
        assert_same_scores(scenes, plans, there, plans, metric)


@pytest.mark.parametrize("turn", [0.7, -2.9, 9.1])
@pytest.mark.parametrize("metric", METRICS)
def test_a_scene_elsewhere_scores_the_same(turn, metric, scenes):
    shift, plans = (1e5, -4e4), plans_for(scenes)
    there = [elsewhere_on_the_map(scene, turn, shift) for scene in scenes]
    assert_same_scores(scenes, plans, there, plans, metric)
    there = [elsewhere_in_its_frame(scene, turn, shift) for scene in scenes]
    found = assert_same_scores(scenes, plans, there, moved_poses(plans, turn, shift), metric)
    silent = {name for name, values in found.items() if len(values.unique()) == 1}
    assert silent <= {"traffic_light_compliance", "comfort"}  # all others had something to say
    assert set(CONTINUOUS) & found.keys()
    assert torch.isfinite(torch.stack(list(found.values()))).all()
