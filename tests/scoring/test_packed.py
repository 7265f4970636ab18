from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

from navsim_agents.errors import SceneError, TrajectoryError
from navsim_agents.scoring import (
    PackedText,
    ScoringScene,
    engines,
    pack_scene,
    packed_size,
    score,
    score_batch,
    score_scenes,
    stack_texts,
    unpack_scenes,
)
from navsim_agents.scoring.aggregate import COLUMNS
from navsim_agents.scoring.by_tensors import ByTensors
from navsim_agents.scoring.config import METRICS
from navsim_agents.scoring.packed_layout import ALIGNMENT
from navsim_agents.scoring.scene_batch import collate_scenes
from tests.scoring.busy_road import busy, different_scenes, some_plans
from tests.scoring.golden_scenes import BYTES, SCENES
from tests.scoring.tiny import scene, track


@pytest.fixture(autouse=True, params=["torch", "compiled"])
def one_engine(request, monkeypatch):
    """One engine for all: which of them scores is chosen by how much there is to do, and by who asks."""
    if request.param == "torch":
        monkeypatch.setattr(score, "engine_for", lambda *_, **__: ByTensors())
    else:
        pytest.importorskip("numba", reason="Numba is not installed")
        monkeypatch.setattr(engines, "WORTH_COMPILED", 1)


def packed(scenes, num_bytes=BYTES):
    return torch.utils.data.default_collate([pack_scene(made, num_bytes) for made in scenes])


def assert_batches_equal(one, other):
    for name in vars(one):
        if name != "index":
            found, wanted = getattr(one, name), getattr(other, name)
            assert torch.equal(found, wanted) if isinstance(wanted, torch.Tensor) else found == wanted, name


def assert_scores_identical(one, other):
    for name, value in vars(one).items():
        if isinstance(value, dict):
            assert value.keys() == getattr(other, name).keys()
            assert all(torch.equal(column, getattr(other, name)[key]) for key, column in value.items()), name
        else:
            assert torch.equal(value, getattr(other, name)), name


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("num_poses", "interval_s"), [(8, 0.5), (40, 0.1)])
def test_a_batch_is_scored_by_the_metric_that_it_was_made_for(metric, num_poses, interval_s):
    plans = torch.zeros(4, 2, num_poses, 3, dtype=torch.float64)
    for batch in (
        unpack_scenes(packed(different_scenes()), metric, num_poses, interval_s),
        collate_scenes(different_scenes(), METRICS[metric], num_poses, interval_s, torch.float64),
    ):
        assert batch.metric is METRICS[metric]
        assert set(score_batch(batch, plans).columns) == set(COLUMNS[metric])
        with pytest.raises(TypeError):
            score_batch(batch, plans, "pdms")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("num_poses", "interval_s"), [(8, 0.5), (40, 0.1)])
def test_unpacking_gives_the_padded_batch(metric, num_poses, interval_s):
    scenes = different_scenes()
    found = unpack_scenes(packed(scenes), metric, num_poses, interval_s)
    assert_batches_equal(found, collate_scenes(scenes, METRICS[metric], num_poses, interval_s, torch.float64))


@pytest.mark.parametrize("metric", METRICS)
def test_packed_scenes_score_as_scenes(metric):
    scenes, plans = different_scenes(), some_plans(28, seed=6).unflatten(0, (4, 7))
    with_filter = metric == "epdms"
    found = score_batch(unpack_scenes(packed(scenes), metric), plans, human_penalty_filter=with_filter, chunk=12)
    assert_scores_identical(found, score_scenes(scenes, plans, 0.5, metric, with_filter, chunk=12))


@pytest.mark.parametrize("version", ["v1.1", "v2.2"])
def test_packed_golden_scenes_score_as_scenes(version):
    paths = [path for path in SCENES if path.parent.name == version]
    scenes = [ScoringScene.load(path) for path in paths]
    rows = [np.load(path.with_name(path.name.replace("scene_", "expected_")))["trajectories"] for path in paths]
    plans = torch.from_numpy(np.stack([row[::6][:40] for row in rows]))
    metric = "pdms" if version == "v1.1" else "epdms"
    found = score_batch(unpack_scenes(packed(scenes), metric), plans)
    assert_scores_identical(found, score_scenes(scenes, plans, metric=metric))
    alone = score_batch(unpack_scenes(pack_scene(scenes[1], BYTES)[None], metric), plans[1:2])
    assert_scores_identical(alone, score_scenes(scenes[1:2], plans[1:2], metric=metric))


@pytest.mark.parametrize("version", ["v1.1", "v2.2"])
def test_texts_of_golden_scenes_score_as_scenes(version):
    """By their own length, the longest without a byte behind it."""
    paths = [path for path in SCENES if path.parent.name == version]
    scenes = [ScoringScene.load(path) for path in paths]
    rows = [np.load(path.with_name(path.name.replace("scene_", "expected_")))["trajectories"] for path in paths]
    plans = torch.from_numpy(np.stack([row[3::7][:30] for row in rows]))
    metric = "pdms" if version == "v1.1" else "epdms"
    texts = [PackedText.of(pack_scene(made)) for made in scenes]
    assert len(set(map(len, texts))) > 1
    found = score_batch(unpack_scenes(stack_texts(texts), metric), plans)
    assert_scores_identical(found, score_scenes(scenes, plans, metric=metric))


def test_a_text_is_its_bytes_everywhere():
    values = torch.arange(256, dtype=torch.uint8)
    text = PackedText.of(values)
    assert torch.equal(stack_texts([text])[0], values)
    for copy_of in (pickle.loads(pickle.dumps(text)), copy.deepcopy(text)):
        assert (type(copy_of), copy_of) == (PackedText, text)
    assert len(pickle.dumps(text)) < 256 + 100  # a plain text's are 384 more


def test_texts_of_any_length_pass_default_collation_in_workers():
    texts = [PackedText.of(torch.full((length,), 200, dtype=torch.uint8)) for length in (64, 192, 128)]
    for workers in (0, 2):
        (batch,) = torch.utils.data.DataLoader([{"scene": text} for text in texts], 3, num_workers=workers)
        assert batch == {"scene": texts}
        assert stack_texts(batch["scene"]).sum(1).tolist() == [200 * 64, 200 * 192, 200 * 128]


def test_single_precision_batches_score_as_single_precision_scenes():
    scenes, plans = different_scenes(), some_plans(12, seed=7).unflatten(0, (4, 3))
    found = score_batch(unpack_scenes(packed(scenes), "epdms", dtype=torch.float32), plans)
    assert found.columns["pdm_score"].dtype == torch.float32
    assert_scores_identical(found, score_scenes(scenes, plans, dtype=torch.float32))


def test_plans_with_gradients_are_scored_without():
    plans = some_plans(3).float().requires_grad_()[None]
    found = score_batch(unpack_scenes(packed(different_scenes()[:1]), "epdms"), plans)
    assert not found.columns["pdm_score"].requires_grad


def test_a_scene_fits_in_exactly_its_size():
    made = ScoringScene.from_arrays(busy())
    size = packed_size(made)
    assert size % ALIGNMENT == 0
    assert torch.equal(pack_scene(made, size), pack_scene(made, BYTES)[:size])
    assert not pack_scene(made, BYTES)[size:].any()
    assert torch.equal(pack_scene(made), pack_scene(made, size))
    with pytest.raises(
        SceneError, match=rf"scene 0123456789abcdef needs {size} bytes, but num_bytes={size - 64}; raise"
    ):
        pack_scene(made, size - 64)
    with pytest.raises(SceneError, match=r"num_bytes is 1000, but must be a multiple of 64; round it up"):
        pack_scene(made, 1000)


def test_what_is_no_packed_scene_is_refused():
    rows = packed(different_scenes())
    other = rows.clone()
    other[2, 0] ^= 1
    with pytest.raises(SceneError, match=r"row 2 of packed begins with 0x\w+, but .* pack the scenes again"):
        unpack_scenes(other, "pdms")
    with pytest.raises(SceneError, match=r"packed has shape \(4, 576\), but must be one or more rows of pack_scene"):
        unpack_scenes(rows[:, :576], "pdms")
    with pytest.raises(TrajectoryError, match="metric is 'pdm', but must be one of pdms, epdms"):
        unpack_scenes(rows, "pdm")


def test_too_few_track_columns_are_refused():
    made = scene(tracks=[track(20, 0)]).to_arrays()
    for name in ("track_poses", "track_valid", "red_light_active"):
        made[name] = made[name][:, :41]
    rows = packed([scene(), ScoringScene.from_arrays(made)])
    assert len(unpack_scenes(rows, "epdms")) == 2
    with pytest.raises(SceneError, match="scene 1 of the batch has 41 track columns, but pdms looks at 50"):
        unpack_scenes(rows, "pdms")


def test_plans_must_be_sampled_as_the_batch_was_made_for():
    batch = unpack_scenes(packed(different_scenes()), "epdms", 40, 0.1)
    with pytest.raises(TrajectoryError, match=r"has shape \(4, 2, 8, 3\), but the batch takes \[4, N, 40, 3\] with N"):
        score_batch(batch, torch.zeros(4, 2, 8, 3))
