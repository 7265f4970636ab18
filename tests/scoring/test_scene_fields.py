"""The table of a scene's fields, and that checks, files, batches and packed scenes hold what it says and no more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from navsim_agents.common.conventions import METRIC_NAMES
from navsim_agents.errors import SceneError
from navsim_agents.scoring import ScoringScene, score_trajectories
from navsim_agents.scoring.packed_layout import NUMBERS, ROWS
from navsim_agents.scoring.scene_batch import SceneBatch
from navsim_agents.scoring.scene_fields import BATCHED, FIELDS, SIZES, Kind, named_sizes
from tests.scoring.busy_road import busy, some_plans
from tests.scoring.tiny import track
from tests.scoring.traffic.roads import standing, traffic_fields, vehicle, way

ROOT = Path(__file__).resolve().parents[2]
TENSORS = {name: row for name, row in FIELDS.items() if row.kind in (Kind.FLOAT, Kind.INT, Kind.BOOL)}
# What batches and packed scenes hold beside the fields themselves: worked out of several fields.
WORKED_OUT = {"metric", "history_length", "human_may_excuse", "human_knots_us", "index", "sight"}
TIMES = {"model_knots_us", "sample_times_us"}  # made up where a scene has none
OF_GRIDS = {"origins", "inverse_sizes"}


def full(**changes):
    """Arrays of a scene that has every field."""
    times = {"model_knots_us": np.arange(9) * 500_000, "sample_times_us": np.arange(41) * 100_000}
    vehicles = [vehicle(way(0, 3, 60, 3), progress=20.0), standing(8, -9), vehicle(way(0, 0, 9, 0, points=3))]
    traffic = traffic_fields(vehicles, [track(1, 0, kind="pedestrian"), track(0, 1, kind="barrier")], num_tracks=4)
    return busy(**{**times, "reference_driver": np.asarray("somebody"), **traffic, **changes})


def test_every_field_is_in_the_table_with_words():
    assert list(FIELDS) == [field.name for field in fields(ScoringScene)]
    assert [name for name, row in FIELDS.items() if not row.about.what] == []
    assert [name for name, row in TENSORS.items() if row.kind is Kind.FLOAT and not row.about.unit] == []
    letters = {size.rstrip("1") for row in FIELDS.values() for size in row.shape if isinstance(size, str)}
    assert letters == set(SIZES)


def test_a_scene_has_the_kinds_and_shapes_of_the_table():
    made = ScoringScene.from_arrays(full())
    sizes = named_sizes(vars(made))
    dtypes = {Kind.FLOAT: torch.float64, Kind.INT: torch.int64, Kind.BOOL: torch.bool}
    for name, row in FIELDS.items():
        value = getattr(made, name)
        if name in TENSORS:
            assert value.dtype == dtypes[row.kind], name
            wanted = [size if isinstance(size, int) else sizes[size] for size in row.shape]
            assert len(wanted) == value.ndim, name
            assert all(want in (None, have) for want, have in zip(wanted, value.shape)), name
        else:
            assert isinstance(value, {Kind.TEXT: str, Kind.TEXTS: tuple, Kind.NUMBER: int}[row.kind]), name


def bound_axes():
    """(field, axis) of every size that is a number or that another field tells."""
    for name, row in FIELDS.items():
        for axis, size in enumerate(row.shape):
            counted = SIZES[size.rstrip("1")][1] if isinstance(size, str) else None
            if isinstance(size, int) or (counted is not None and counted != (name, axis)):
                yield name, axis


@pytest.mark.parametrize(("name", "axis"), list(bound_axes()))
def test_every_size_of_the_table_is_checked(name, axis):
    value = full()[name]
    longer = np.concatenate((value, np.take(value, [0], axis)), axis)
    with pytest.raises(SceneError, match=rf"^{name} has (shape|\d+ entries)"):
        ScoringScene.from_arrays(full(**{name: longer}))


@pytest.mark.parametrize("name", [name for name, row in TENSORS.items() if row.kind is Kind.FLOAT])
def test_no_value_may_be_missing_but_in_gaps(name):
    value = full()[name].copy()
    value[...] = np.nan
    with pytest.raises(SceneError, match=rf"^{name} .*not finite"):
        ScoringScene.from_arrays(full(**{name: value}))
    if not FIELDS[name].about.has_gaps:
        return
    gaps = {"track_poses": {"track_valid": np.zeros((4, 51), bool)}, "human_trajectory": {"scene_type": "synthetic"}}
    assert ScoringScene.from_arrays(full(**{name: value}, **{k: np.asarray(v) for k, v in gaps[name].items()}))


def test_files_hold_the_fields_of_the_table():
    made = full()
    assert list(ScoringScene.from_arrays(made).to_arrays()) == ["schema_version", *FIELDS]
    for name, row in FIELDS.items():
        others = {key: value for key, value in made.items() if key != name}
        if row.is_optional:
            lacking = ScoringScene.from_arrays(others)
            assert getattr(lacking, name) == row.default
            assert name not in lacking.to_arrays()
        else:
            with pytest.raises(SceneError, match=f"the scene lacks {name}; export it again"):
                ScoringScene.from_arrays(others)


def test_batches_and_packed_scenes_hold_the_fields_of_the_table():
    assert {field.name for field in fields(SceneBatch)} - WORKED_OUT - TIMES == set(BATCHED)
    assert {*NUMBERS, *ROWS} - OF_GRIDS == set(BATCHED)
    assert not set(NUMBERS) & set(ROWS)


def changed(name):
    """Arrays of the full scene with another value of a field."""
    value = full()[name]
    others = {
        "red_light_token": np.array(["x"]),
        "red_light_xy": value + 1.0 if value.dtype.kind == "f" else None,
        "red_light_offsets": None,  # of one light, they cannot be others
        "log_name": np.asarray("x"),
        "map_name": np.asarray("x"),
        "reference_driver": np.asarray("x"),
        "scene_type": np.asarray("synthetic"),
    }
    if name in others:
        return None if others[name] is None else full(**{name: others[name]})
    if value.dtype.kind == "U":
        return full(**{name: np.array(["x"] * len(value))})
    return full(**{name: ~value if value.dtype == bool else value + 0.7})


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_a_metric_reads_nothing_that_the_table_denies(metric):
    plans = some_plans(12, seed=3)
    wanted = score_trajectories(ScoringScene.from_arrays(full()), plans, metric=metric)
    unread = [name for name, row in FIELDS.items() if metric not in row.about.metrics]
    assert len(unread) >= 8
    for name in unread:
        arrays = changed(name)
        if arrays is not None:
            found = score_trajectories(ScoringScene.from_arrays(arrays), plans, metric=metric)
            assert all(torch.equal(found[column], wanted[column]) for column in wanted), name


@pytest.mark.parametrize("name", ["history_states", "collided_track", "track_size", "red_light_active", "ego_state"])
def test_a_metric_reads_what_the_table_says(name):
    """So the test above can fail."""
    for metric in FIELDS[name].about.metrics:
        plans = some_plans(40, seed=3)
        wanted = score_trajectories(ScoringScene.from_arrays(full()), plans, metric=metric)
        found = score_trajectories(ScoringScene.from_arrays(changed(name)), plans, metric=metric)
        assert not all(torch.equal(found[column], wanted[column]) for column in wanted), metric


NEW_FIELD = """
    track_goal: Optional[Float[Tensor, "K 2"]] = field(default=None, metadata=_about("where to", "m", **_BATCHED))
"""
USE_OF_IT = """
    track_goal: Float[Tensor, "B K 2"]
"""
PROGRAM = """
import sys
from pathlib import Path
import numpy as np, torch
import navsim_agents
from navsim_agents.errors import SceneError
from navsim_agents.scoring import SceneStore, SceneStoreWriter, ScoringScene, pack_scene, unpack_scenes
from navsim_agents.scoring.config import METRICS
from navsim_agents.scoring.scene_batch import collate_scenes

copy, recorded = Path(sys.argv[1]), Path(sys.argv[2])
assert Path(navsim_agents.__file__).is_relative_to(copy)
old = SceneStore(recorded)["busy"]
assert old.track_goal is None and "track_goal" not in old.to_arrays()
goals = np.arange(8.0).reshape(4, 2)
with SceneStoreWriter(copy / "store") as writer:
    writer.add(ScoringScene.from_arrays({**old.to_arrays(), "token": np.asarray("new"), "track_goal": goals}))
new = SceneStore(copy / "store")["new"]
assert torch.equal(new.track_goal, torch.from_numpy(goals))
for bad in (goals[:3], goals + np.nan):
    try:
        ScoringScene.from_arrays({**old.to_arrays(), "track_goal": bad})
    except SceneError as error:
        print(error)
wanted = torch.stack((torch.zeros(4, 2), torch.from_numpy(goals)))
together = collate_scenes([old, new], METRICS["epdms"], 8, 0.5, torch.float64).track_goal
size = max(map(len, map(pack_scene, (old, new))))
unpacked = unpack_scenes(torch.stack([pack_scene(scene, size) for scene in (old, new)]), "epdms").track_goal
assert torch.equal(together, wanted) and torch.equal(unpacked, wanted)
"""


def test_a_new_field_is_one_line_and_its_use(tmp_path):
    """In a copy of the package: checked, stored, batched and packed; a store written before still reads."""
    shutil.copytree(ROOT / "navsim_agents", tmp_path / "navsim_agents", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(Path(__file__).parent / "recorded" / "store", tmp_path / "recorded")
    for name, line, before in (
        ("scene_fields", NEW_FIELD, "    reference_driver: str"),
        ("scene_batch", USE_OF_IT, "    model_knots_us: Int"),
    ):
        path = tmp_path / "navsim_agents" / "scoring" / f"{name}.py"
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1
        path.write_text(text.replace(before, line.lstrip("\n") + before), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(tmp_path / "recorded")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wrong_shape, not_finite = done.stdout.splitlines()
    assert wrong_shape == "track_goal has shape (3, 2), but the contract says [4, 2]; export it again"
    assert not_finite.startswith("track_goal holds 8 values that are not finite, but every value must be")
