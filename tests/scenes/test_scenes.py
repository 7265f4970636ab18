"""One source of scenes: a store, a folder of stores, a metric cache; what lies there tells which."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from navsim_agents.errors import DevkitError, InputError, SceneError
from navsim_agents.scenes import MetricCacheScenes, StoreScenes, open_metric_cache, open_scenes, shared_scenes
from navsim_agents.scoring import SceneStoreWriter, ScoringScene
from tests.scenes.metric_caches import TIME_S, write_metric_cache
from tests.scoring.tiny import scene, track


def named(token: str, ahead_m: float = 20.0) -> ScoringScene:
    return dataclasses.replace(scene(tracks=[track(ahead_m, 0.0)]), token=token)


def write_store(folder: Path, *scenes: ScoringScene) -> Path:
    with SceneStoreWriter(folder) as writer:
        for one in scenes:
            writer.add(one)
    return folder


def test_a_folder_of_stores_is_as_good_as_one(tmp_path: Path) -> None:
    made = [named(token, ahead_m) for token, ahead_m in (("b", 11.0), ("a", 12.0), ("c", 13.0))]
    one = open_scenes(str(write_store(tmp_path / "one", *made)))
    write_store(tmp_path / "many" / "test", made[2])
    write_store(tmp_path / "many" / "mini", *made[:2])
    many = open_scenes(str(tmp_path / "many"))
    assert one.tokens == many.tokens == ["b", "a", "c"]
    assert one.checksums == many.checksums
    for wanted in made:
        assert many.scene(wanted.token).track_poses.equal(wanted.track_poses)
        assert one.scene(wanted.token).track_poses.equal(wanted.track_poses)


def test_one_token_with_two_contents_is_refused_with_both_places(tmp_path: Path) -> None:
    write_store(tmp_path / "new", named("a"), named("b", 11.0))
    write_store(tmp_path / "old", named("a"), named("b", 12.0))
    with pytest.raises(InputError, match=r"scene b of \S+/new is another one in \S+/old, but a token has one scene"):
        open_scenes(str(tmp_path))


def test_one_token_with_the_same_content_is_one_scene(tmp_path: Path) -> None:
    write_store(tmp_path / "new", named("a"), named("b"))
    write_store(tmp_path / "old", named("b"), named("c"))
    assert open_scenes(str(tmp_path)).tokens == ["a", "b", "c"]


def test_digests_change_with_scenes_but_not_with_the_place(tmp_path: Path) -> None:
    first = write_store(tmp_path / "first", named("a"))
    moved = shutil.copytree(first, tmp_path / "moved")
    others = [
        write_store(tmp_path / "another", named("a", 11.0)),
        write_store(tmp_path / "more", named("a"), named("b")),
    ]
    digests = [open_scenes(str(path)).digest for path in (first, moved, *others)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_digests_of_metric_caches_change_with_their_files_but_not_with_the_place(tmp_path: Path) -> None:
    first = write_metric_cache(tmp_path / "first", {"a": b"1", "b": b"22"})
    moved = shutil.copytree(first, tmp_path / "moved")
    others = [
        write_metric_cache(tmp_path / "fewer", {"a": b"1"}),
        write_metric_cache(tmp_path / "renamed", {"a": b"1", "c": b"22"}),
        write_metric_cache(tmp_path / "longer", {"a": b"1", "b": b"222"}),
        write_metric_cache(tmp_path / "made_again", {"a": b"1", "b": b"22"}, TIME_S + 1),
    ]
    digests = [open_scenes(str(path)).digest for path in (first, moved, *others)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 5


def test_scenes_of_a_metric_cache_are_read_through_the_devkit_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_metric_scene(path: Path) -> ScoringScene:
        return named(path.parent.name, float(path.read_bytes()))

    room = SimpleNamespace(read_metric_scene=read_metric_scene)
    monkeypatch.setitem(sys.modules, "navsim_agents.devkit.metric_cache", room)
    scenes = open_scenes(str(write_metric_cache(tmp_path, {"a": b"11", "b": b"12"})))
    assert isinstance(scenes, MetricCacheScenes)
    assert (scenes.tokens, scenes.checksums) == (["a", "b"], None)
    for token, ahead_m in (("a", 11.0), ("b", 12.0)):
        assert scenes.scene(token).track_poses.equal(named(token, ahead_m).track_poses)
    with pytest.raises(
        InputError, match=r"scene c is not among the 2 of scenes=.*; cache it with NAVSIM's .*leave it out"
    ):
        scenes.scene("c")


def test_a_damaged_metric_cache_costs_itself(tmp_path: Path) -> None:
    scenes = open_scenes(str(write_metric_cache(tmp_path, {"a": b"no pickle"})))
    with pytest.raises(DevkitError, match="is not a readable metric cache"):
        scenes.scene("a")


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    kinds = r"give a scene store \(.*\), a folder of such stores \(.*\), or a metric cache \(of NAVSIM's"
    with pytest.raises(InputError, match=rf"scenes=\S+/none is not there; {kinds}"):
        open_scenes(str(tmp_path / "none"))
    with pytest.raises(InputError, match=rf"scenes=\S+ holds no scenes; {kinds}"):
        open_scenes(str(tmp_path))
    write_store(tmp_path / "store", named("a"))
    with pytest.raises(
        InputError, match=r"\S+/store is no metric cache, but the devkit's own scorer .* reads nothing else"
    ):
        open_metric_cache(str(tmp_path / "store"))
    write_metric_cache(tmp_path, {"a": b"1"})
    with pytest.raises(
        InputError, match=r"holds a metric cache and the scene store \S+/store; move the store elsewhere"
    ):
        open_scenes(str(tmp_path))


def test_a_missing_and_a_damaged_scene(tmp_path: Path) -> None:
    scenes = open_scenes(str(write_store(tmp_path, named("a"))))
    assert isinstance(scenes, StoreScenes)
    with pytest.raises(
        InputError, match=r"scene b is not among the 1 of scenes=\S+; export it \(drive-jepa .*\), or leave"
    ):
        scenes.scene("b")
    data = tmp_path / "scenes.bin"
    data.write_bytes(bytes(data.stat().st_size))
    with pytest.raises(SceneError, match="wrong checksum"):
        open_scenes(str(tmp_path)).scene("a")


def test_home_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_store(tmp_path / "store", named("a"))
    write_metric_cache(tmp_path / "cache", {"b": b"1"})
    assert open_scenes("~/store").scene("a").token == "a"
    assert open_scenes("~/cache").tokens == open_metric_cache("~/cache").tokens == ["b"]


def test_shared_scenes_are_opened_once(tmp_path: Path) -> None:
    path = str(write_store(tmp_path, named("a")))
    assert shared_scenes(path) is shared_scenes(path)
    assert open_scenes(path) is not open_scenes(path)
