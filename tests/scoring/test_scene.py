from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
import torch

from navsim_agents.errors import SceneError
from navsim_agents.scoring import SceneStore, SceneStoreWriter, ScoringScene, merge_stores, score_trajectories
from navsim_agents.scoring.config import EPDMS, PDMS
from navsim_agents.scoring.scene_batch import collate_scenes
from navsim_agents.scoring.scene_store import INDEX_DTYPE
from tests.scoring.tiny import arrays, light, plan, rectangle, scene, straight, track


def rich(**changes):
    return arrays(
        tracks=[track(20, 0), track(5, 4, speed=3, kind="pedestrian", valid=slice(3, 9))],
        lights=[light(rectangle(40, 45, -2, 2))],
        history=straight(steps=3),
        **changes,
    )


def test_round_trip(tmp_path):
    made = rich(model_knots_us=np.arange(9) * 499_999, sample_times_us=np.arange(41) * 100_000)
    ScoringScene.from_arrays(made).save(tmp_path / "scene.npz")
    again = ScoringScene.load(tmp_path / "scene.npz").to_arrays()
    assert set(again) == set(made)
    for name, value in made.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.npz"]


def test_empty_scene_round_trips_and_scores(tmp_path):
    scene(scene_type="synthetic", human_trajectory=np.full((8, 3), np.nan)).save(tmp_path / "scene.npz")
    again = ScoringScene.load(tmp_path / "scene.npz")
    assert again.track_token == again.red_light_token == ()
    scores = score_trajectories(again, torch.from_numpy(plan())[None], human_penalty_filter=True)
    assert scores["pdm_score"].item() == pytest.approx(1.0)


def test_scene_without_any_polygon_is_a_scene():
    scores = score_trajectories(scene(roads=[]), torch.from_numpy(plan())[None])
    assert scores["drivable_area_compliance"].item() == 0.0


def test_keys_beyond_the_contract_are_ignored():
    assert ScoringScene.from_arrays({**rich(), "frame_idx": np.asarray(3)}).token == "0123456789abcdef"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_files_that_are_no_archive_are_refused(tmp_path, content):
    (tmp_path / "scene.npz").write_bytes(content)
    with pytest.raises(SceneError, match=r"scene.npz is not a readable scene archive .* export it again"):
        ScoringScene.load(tmp_path / "scene.npz")


def test_truncated_and_absent_files_are_refused(tmp_path):
    path = tmp_path / "scene.npz"
    scene().save(path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(SceneError, match="may be truncated"):
        ScoringScene.load(path)
    with pytest.raises(SceneError, match=r"there is no scene at .*gone.npz"):
        ScoringScene.load(tmp_path / "gone.npz")


def test_pickled_objects_are_refused(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, **{**rich(), "log_name": np.array({"a": 1}, dtype=object)})
    (tmp_path / "scene.npz").write_bytes(buffer.getvalue())
    with pytest.raises(SceneError, match="not a readable scene archive"):
        ScoringScene.load(tmp_path / "scene.npz")


NAN = float("nan")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": np.asarray(2)}, "schema_version is 2, but only 1 is read"),
        ({"devkit": np.asarray("v3")}, "devkit is 'v3', but must be one of v1.1, v2.2"),
        ({"scene_type": np.asarray("dream")}, "scene_type is 'dream', but must be one of original, synthetic"),
        ({"ego_state": np.zeros(10)}, r"ego_state has shape \(10,\), but the contract says \[11\]"),
        ({"track_poses": np.zeros((2, 50, 3))}, r"track_valid has shape \(2, 51\), but the contract says \[2, 50\]"),
        ({"track_type": np.array(["vehicle"])}, "track_type has 1 entries, but 2 are described"),
        ({"track_speed": np.array([1, 2, 3])}, r"track_speed has shape \(3,\), but the contract says \[2\]"),
        ({"ego_state": np.full(11, NAN)}, "ego_state holds 11 values that are not finite"),
        ({"human_trajectory": np.full((8, 3), NAN)}, "human_trajectory holds 24 values that are not finite"),
        ({"track_poses": np.full((2, 51, 3), NAN)}, r"track_poses \(where track_valid\) holds 171 values"),
        ({"vehicle": np.array([2.0, 0.0, 1.0, 3.0])}, r"vehicle is \[2.0, 0.0, 1.0, 3.0\], but .* must be positive"),
        ({"centerline": np.zeros((0, 2))}, "centerline has 0 points and no length"),
        ({"centerline": np.ones((3, 2))}, "centerline has 3 points and no length"),
        ({"ring_offsets": np.array([0, 4, 8, 11])}, "ring_offsets run from 0 to 11, but must rise .*, 12"),
        ({"ring_offsets": np.array([0, 2, 8, 12])}, "ring 0 has 2 vertices, but a polygon needs 3"),
        ({"ring_xy": np.zeros((12, 2))}, "ring 0 has zero area"),
        ({"ring_polygon": np.array([0, 1, 3])}, "ring_polygon reaches from 0 to 3, but there are 3 polygons"),
        ({"track_size": np.array([[4.0, 2.0], [0.0, 1.0]])}, r"track 0{15}1 is \[0.0, 1.0\] m long and wide"),
        ({"model_knots_us": np.zeros(9, dtype=np.int64)}, "model_knots_us is .*, but times must rise"),
        ({"red_light_xy": np.zeros((4, 2))}, "red_light 0 has zero area"),
    ],
)
def test_bad_scenes_are_refused(changes, message):
    with pytest.raises(SceneError, match=message):
        ScoringScene.from_arrays({**rich(), **changes})


def test_missing_keys_are_named():
    made = rich()
    del made["vehicle"], made["centerline"]
    with pytest.raises(SceneError, match="the scene lacks vehicle, centerline"):
        ScoringScene.from_arrays(made)


def test_too_few_track_columns_are_refused_by_the_metric_that_needs_them():
    made = rich()
    for name in ("track_poses", "track_valid", "red_light_active"):
        made[name] = made[name][:, :41]
    short = ScoringScene.from_arrays(made)
    assert len(collate_scenes([short], EPDMS, 8, 0.5, torch.float64)) == 1
    with pytest.raises(SceneError, match="has 41 track columns, but pdms looks at 50"):
        collate_scenes([short], PDMS, 8, 0.5, torch.float64)
    with pytest.raises(SceneError, match="there are 0 scenes"):
        collate_scenes([], PDMS, 8, 0.5, torch.float64)


def test_moving_keeps_the_index_and_the_scene_frozen():
    made = scene()
    index = made.index
    moved = made.to("cpu")
    assert moved.index is not index
    assert torch.equal(moved.index.areas.patterns, index.areas.patterns)
    with pytest.raises(AttributeError):
        made.token = "other"


def store_of(path, *tokens):
    with SceneStoreWriter(path) as writer:
        for token in tokens:
            writer.add(ScoringScene.from_arrays(rich(token=np.asarray(token))))
    return path


def test_store_round_trip_by_token(tmp_path):
    store = SceneStore(store_of(tmp_path, "a", "b", "c"))
    assert store.tokens == ["a", "b", "c"]
    assert len(store) == 3
    assert "b" in store
    assert "x" not in store
    again = store["b"].to_arrays()
    for name, value in rich(token=np.asarray("b")).items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)
    with pytest.raises(KeyError, match="x is not among the 3 scenes"):
        store["x"]


def test_store_goes_on_after_an_interruption(tmp_path):
    store_of(tmp_path, "a")
    with (tmp_path / "scenes.bin").open("ab") as data:
        data.write(b"half a record")
    store_of(tmp_path, "b")
    store = SceneStore(tmp_path)
    assert [store[token].token for token in store] == ["a", "b"]


def test_store_refusals(tmp_path):
    with pytest.raises(SceneError, match="is not a scene store"):
        SceneStore(tmp_path)
    store_of(tmp_path, "a")
    with pytest.raises(SceneError, match="token 'a' is too long or in the store already"):
        store_of(tmp_path, "a")
    data = bytearray((tmp_path / "scenes.bin").read_bytes())
    data[-400] ^= 1
    (tmp_path / "scenes.bin").write_bytes(data)
    with pytest.raises(SceneError, match=r"scene a in .* has a wrong checksum"):
        SceneStore(tmp_path)["a"]
    (tmp_path / "scenes.bin").write_bytes(data[:100])
    with pytest.raises(SceneError, match=r"scenes\.bin has 100 bytes, but its index needs"):
        SceneStore(tmp_path)
    about = (tmp_path / "store.json").read_text().replace('"store_version": 1', '"store_version": 9')
    (tmp_path / "store.json").write_text(about)
    with pytest.raises(SceneError, match=r"has store and schema versions \(9, 1\)"):
        SceneStore(tmp_path)


@pytest.mark.parametrize("text", ["null", "[]", "3", '"a"', "{", "", "\xff"])
def test_what_is_no_description_of_a_store(tmp_path, text):
    (store_of(tmp_path, "a") / "store.json").write_bytes(text.encode("latin-1"))
    for opened in (SceneStore, SceneStoreWriter):
        with pytest.raises(SceneError, match=r"store\.json .* is not a scene store"):
            opened(tmp_path)


def some_rows(kind):
    stream = io.BytesIO()
    if kind == "archive":
        np.savez(stream, token=np.zeros(1))
    else:
        rows = {
            "numbers": np.zeros(3),
            "one row": np.zeros((), INDEX_DTYPE),
            "a column less": np.zeros(1, INDEX_DTYPE.descr[:3]),
            "pickle": np.array([None]),
        }
        np.save(stream, rows[kind], allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["numbers", "one row", "a column less", "pickle", "archive"])
def test_what_is_no_index_of_a_store(tmp_path, kind):
    (store_of(tmp_path, "a") / "index.npy").write_bytes(some_rows(kind))
    for opened in (SceneStore, SceneStoreWriter):
        with pytest.raises(SceneError, match=r"index\.npy .* is not a scene store"):
            opened(tmp_path)


def damage(path, token):
    """Flip a bit in the middle of one record."""
    index = np.load(path / "index.npy")
    row = index[index["token"] == token][0]
    data = bytearray((path / "scenes.bin").read_bytes())
    data[int(row["offset"] + row["length"] // 2)] ^= 1
    (path / "scenes.bin").write_bytes(data)


def test_a_damaged_record_costs_one_scene(tmp_path):
    damage(store_of(tmp_path, "a", "b", "c"), "b")
    store = SceneStore(tmp_path)
    with pytest.raises(SceneError, match=r"scene b in .* has a wrong checksum; copy or export it again"):
        store["b"]
    assert [store[token].token for token in ("c", "a")] == ["c", "a"]


def test_stores_of_several_writers_merge(tmp_path):
    one, two, both = store_of(tmp_path / "1", "a", "b", "c"), store_of(tmp_path / "2", "d", "b"), tmp_path / "both"
    damage(one, "c")
    assert merge_stores([one, two], both) == ["c"]
    assert merge_stores([store_of(tmp_path / "3", "a", "e")], both) == []
    merged = SceneStore(both)
    assert merged.tokens == ["a", "b", "d", "e"]
    assert [merged[token].token for token in merged] == merged.tokens
    assert bytes(merged.record("d")) == bytes(SceneStore(two).record("d"))


def test_a_store_takes_one_writer_at_a_time(tmp_path):
    with SceneStoreWriter(tmp_path), pytest.raises(SceneError, match=r"is being written by another writer, .* merge_"):
        SceneStoreWriter(tmp_path)
    assert SceneStore(store_of(tmp_path, "a")).tokens == ["a"]


def test_a_store_goes_to_other_processes_by_its_path(tmp_path):
    store = SceneStore(store_of(tmp_path, "a"))
    sent = pickle.dumps(store)
    assert len(sent) < 500
    assert pickle.loads(sent)["a"].token == "a"
