"""The index of clips: what cannot be read is named, and costs only itself; nothing is read twice."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cache_tools.index_bench2drive import IndexBench2DriveConfig, index_bench2drive
from navsim_agents.bench2drive import clip_index
from navsim_agents.bench2drive.clip_index import describe
from navsim_agents.bench2drive.frames import FRONT, folder_of
from navsim_agents.errors import InputError, WorldDataError
from navsim_agents.scenes import open_scenes
from tests.bench2drive.made_clips import NAME, write_clip, write_map

GOOD, BAD = f"A{NAME}", f"B{NAME}"
NO_MAP = NAME.replace("Town03", "Town99")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A good clip, one with every fault, one that is empty and one without a map."""
    write_clip(tmp_path / "clips", GOOD, cameras=(FRONT,))
    bad = write_clip(tmp_path / "clips", BAD, change=_gone, cameras=(FRONT,))
    (bad / "anno" / "00055.json.gz").write_bytes(b"")
    (bad / "camera" / folder_of(FRONT) / "00003.jpg").unlink()
    cut_off = bad / "camera" / folder_of(FRONT) / "00004.jpg"
    cut_off.write_bytes(cut_off.read_bytes()[:-9])
    (tmp_path / "clips" / f"C{NAME}" / "anno").mkdir(parents=True)
    write_clip(tmp_path / "clips", NO_MAP, cameras=(FRONT,))
    write_map(tmp_path / "maps")
    return tmp_path


def _gone(step: int, content: dict[str, Any]) -> None:
    if step > 24:
        content["bounding_boxes"] = [box for box in content["bounding_boxes"] if box["id"] != "11"]


def config(root: Path, **more: Any) -> IndexBench2DriveConfig:
    where = {"root": f"{root}/clips", "maps": f"{root}/maps", "output": f"{root}/index", "cameras": [FRONT]}
    return IndexBench2DriveConfig(**{**where, "workers": 0, **more})


def test_everything_wrong_is_named(root: Path) -> None:
    index_bench2drive(config(root))
    rows = {row["name"]: row for row in json.loads((root / "index" / "index.json").read_text())["clips"]}
    good, bad, empty, no_map = (rows[name] for name in (GOOD, BAD, f"C{NAME}", NO_MAP))
    assert len(good["scenes"]) == 4
    assert (good["unreadable"], good["pictures"], good["vanished"], good["left_out"]) == ({}, {}, {}, {})
    assert list(bad["unreadable"]) == ["55"]
    assert {frame: fault for frame, fault in bad["pictures"][FRONT].items() if frame != "55"} == {
        "3": "missing",
        "4": "cut off",
    }
    assert bad["vanished"] == {"11": 24}
    assert bad["scenes"] == [f"{BAD}-{index:05}" for index in (5, 10)]  # 4 s before the frame that is missing
    assert "anno/00000.json.gz" in empty["error"]
    assert len(no_map["left_out"]) == 4
    assert "Town99_HD_map.npz" in next(iter(no_map["left_out"].values()))
    assert open_scenes(str(root / "index" / "scoring_scenes")).tokens == [*good["scenes"], *bad["scenes"]]


def test_the_summary_says_what_matters(root: Path) -> None:
    words = describe(index_bench2drive(config(root)), root / "index")
    assert "3 clips of 4 can be read: 186 frames, 6 scenes, 2 towns" in words
    assert "1 frames unreadable, 2 pictures missing or damaged, 1 actors vanish" in words
    assert "2 pictures of CAM_FRONT cannot be used, the first is 3 (missing)" in words


def test_what_is_known_is_not_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = index_bench2drive(config(root))
    read: list[str] = []

    def counted(folder: Path) -> Any:
        read.append(folder.name)
        return original(folder)

    original = clip_index.read_clip
    monkeypatch.setattr(clip_index, "read_clip", counted)
    assert index_bench2drive(config(root)) == first
    assert read == [f"C{NAME}"]  # what could not be read is tried again
    (root / "clips" / GOOD / "anno" / "00061.json.gz").unlink()
    assert len(index_bench2drive(config(root))[0].scenes) == 4
    assert read == [f"C{NAME}", GOOD, f"C{NAME}"]


def test_a_picture_that_comes_later_is_seen(root: Path) -> None:
    assert set(index_bench2drive(config(root))[1].pictures[FRONT]) >= {"3", "4"}
    for frame in ("00003", "00004"):
        picture = root / "clips" / BAD / "camera" / folder_of(FRONT) / f"{frame}.jpg"
        picture.write_bytes(picture.with_name("00005.jpg").read_bytes())
    assert not set(index_bench2drive(config(root))[1].pictures.get(FRONT, {})) & {"3", "4"}


def test_another_map_of_the_same_length_is_read(tmp_path: Path) -> None:
    """Archives of one length are told apart by their checksums."""
    write_clip(tmp_path / "clips", GOOD, cameras=(FRONT,))
    path = write_map(tmp_path / "maps")
    length = path.stat().st_size
    assert index_bench2drive(config(tmp_path))[0].left_out == {}
    write_map(tmp_path / "maps", {5: {}})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("filling", b" " * (length - path.stat().st_size - 120))
    with path.open("ab") as file:
        file.write(b" " * (length - path.stat().st_size))
    assert path.stat().st_size == length
    clip_index.shared_map.cache_clear()  # of this process
    assert "no lane" in next(iter(index_bench2drive(config(tmp_path))[0].left_out.values()))


def test_what_is_damaged_of_an_earlier_run_is_made_again(tmp_path: Path) -> None:
    write_clip(tmp_path / "clips", GOOD, cameras=(FRONT,))
    write_map(tmp_path / "maps")
    first = index_bench2drive(config(tmp_path))
    records = [(f"clips/{GOOD}.json", text) for text in ("", '{"na', "[1]", "null", '{"a": 1}')]
    parts = [(f"parts/{GOOD}/{name}", text) for name in ("index.npy", "store.json", "scenes.bin") for text in ("", "{")]
    for name, text in [*records, *parts]:
        (tmp_path / "index" / name).write_text(text)
        assert index_bench2drive(config(tmp_path)) == first, (name, text)
        assert open_scenes(str(tmp_path / "index" / "scoring_scenes")).tokens == first[0].scenes


def test_settings_and_places_are_checked(root: Path) -> None:
    with pytest.raises(InputError, match="CAM_TOP"):
        config(root, cameras=["CAM_TOP"])
    with pytest.raises(InputError, match="pictures='all'"):
        config(root, pictures="all")
    with pytest.raises(WorldDataError, match="no TownNN_HD_map"):
        index_bench2drive(config(root, maps=f"{root}/clips"))
