"""The shape checks are on: in every room a function refuses an array of another shape or kind than it is made for."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from cache_tools.score_trajectories import score_file
from navsim_agents.alpasim.route import driving_command
from navsim_agents.argoverse.lane_map import ring_area
from navsim_agents.bench2drive.records import read_records
from navsim_agents.closed_loop.car import box_at
from navsim_agents.common.planar import corners
from navsim_agents.common.poses import poses_to_local
from navsim_agents.data.plan_slips import motion_of
from navsim_agents.devkit.parity_plans import arcs
from navsim_agents.distillation.teachers import sample_teachers
from navsim_agents.drive_jepa.features import front_picture
from navsim_agents.evaluation.feature_colours import enlarge
from navsim_agents.models.losses import arc_length
from navsim_agents.reward.sources import tokens_of
from navsim_agents.scenes import open_scenes
from navsim_agents.scoring.rules.centerline import project_on_polyline
from navsim_agents.sources import split_logs
from navsim_agents.video.loader import collate
from navsim_agents.world.camera.mesh import at_height
from tests.demo import ROOT
from training.report.views import upwards

Wrong = Callable[[], Any]

WRONG: dict[str, Wrong] = {
    "navsim_agents/alpasim": partial(driving_command, np.zeros((4, 3))),
    "navsim_agents/bench2drive": partial(read_records, 3),
    "navsim_agents/closed_loop": partial(box_at, np.zeros(2)),
    "navsim_agents/common": partial(poses_to_local, np.zeros((4, 3)), np.zeros(2)),
    "navsim_agents/argoverse": partial(ring_area, np.zeros((4, 3))),
    "navsim_agents/data": partial(motion_of, np.zeros((2, 8, 2)), 0.5),
    "navsim_agents/devkit": partial(arcs, np.zeros(2), np.zeros(2), np.zeros(3)),
    "navsim_agents/distillation": partial(sample_teachers, torch.zeros(5, dtype=torch.long), 2, torch.Generator()),
    "navsim_agents/drive_jepa": partial(front_picture, np.zeros((60, 5, 3), np.float32), 3, 2),
    "navsim_agents/models": partial(arc_length, torch.zeros(2, 8, 2)),
    "navsim_agents/reward": partial(tokens_of, 3),
    "navsim_agents/scenes": partial(open_scenes, 3),
    "navsim_agents/scoring": partial(project_on_polyline, torch.zeros(5, 2), torch.zeros(7, 3)),
    "navsim_agents/world": partial(corners, np.zeros((2, 4))),
    "navsim_agents/world/camera": partial(at_height, np.zeros((4, 3)), 1.0),
    "navsim_agents/evaluation": partial(enlarge, np.zeros((3, 3), np.uint8), 4, 4),
    "navsim_agents/sources": partial(split_logs, 3, None, None, 0.1),
    "navsim_agents/video": partial(collate, torch.zeros(2)),
    "cache_tools": partial(score_file, 3),
    "training": partial(upwards, np.zeros((4, 3))),
}
"""Room → a call with an argument of the wrong shape; of a path, where a room takes no arrays."""


@pytest.mark.parametrize("room", WRONG)
def test_a_wrong_shape_is_refused(room: str) -> None:
    with pytest.raises(TypeCheckError):
        WRONG[room]()


def test_every_room_is_tried() -> None:
    rooms = {f"navsim_agents/{path.parent.name}" for path in (ROOT / "navsim_agents").glob("*/__init__.py")}
    assert rooms <= WRONG.keys()


def test_a_whole_number_will_do_for_a_float() -> None:
    assert at_height(np.zeros((4, 2)), 1).shape == (4, 3)
