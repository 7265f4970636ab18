"""The same answers on a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from navsim_agents.scoring import ScoringScene, pack_scene, score_batch, score_scenes, unpack_scenes
from tests.scoring.golden_scenes import BYTES, CONTINUOUS, METRIC, SCENES

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]


def golden(version):
    paths = [path for path in SCENES if path.parent.name == version]
    rows = [np.load(path.with_name(path.name.replace("scene_", "expected_")))["trajectories"][:200] for path in paths]
    return [ScoringScene.load(path) for path in paths], torch.from_numpy(np.stack(rows))


def assert_columns_agree(found, wanted):
    for name, column in wanted.columns.items():
        if name in CONTINUOUS:
            torch.testing.assert_close(found.columns[name].cpu(), column, rtol=0, atol=1e-6, msg=name)
        else:
            assert torch.equal(found.columns[name].cpu(), column), name


@pytest.mark.parametrize("version", METRIC)
def test_scenes_score_alike(version):
    scenes, plans = golden(version)
    wanted = score_scenes(scenes, plans, metric=METRIC[version])
    found = score_scenes([scene.to("cuda") for scene in scenes], plans.cuda(), metric=METRIC[version])
    assert_columns_agree(found, wanted)
    assert torch.equal(found.collision_step.cpu(), wanted.collision_step)
    assert torch.equal(found.ego_areas.cpu(), wanted.ego_areas)
    torch.testing.assert_close(found.simulated_states.cpu(), wanted.simulated_states, rtol=0, atol=1e-6)


@pytest.mark.parametrize("version", METRIC)
def test_packed_scenes_score_alike(version):
    scenes, plans = golden(version)
    packed = torch.stack([pack_scene(scene, BYTES) for scene in scenes])
    found = score_batch(unpack_scenes(packed.cuda(), METRIC[version]), plans.cuda())
    assert_columns_agree(found, score_scenes(scenes, plans, metric=METRIC[version]))
