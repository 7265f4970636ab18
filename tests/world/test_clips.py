"""``format=bench2drive``: what the command writes, what it keeps and what it refuses; on small towns and drives."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("geopandas")

from navsim_agents.bench2drive.clips import find_clips, read_clip
from navsim_agents.errors import InputError, WorldDataError
from navsim_agents.world.config import ClipsConfig, WorldConfig
from navsim_agents.world.generate import generate_world
from navsim_agents.world.parts import WorldParts
from navsim_agents.world.summary import summary
from tests.world.small_town import small_drive, small_town
from tests.world.small_world import plain_picture


class PlainPainter:
    def __init__(self, town: Any) -> None:
        pass

    render = staticmethod(plain_picture)


def town_of(location: str, seed: int) -> Any:
    return dataclasses.replace(small_town(), location=location)


def drive_through(town: Any, index: int, seed: int, config: Any) -> Any:
    """The small drive, 3 s of it."""
    drive = small_drive()
    ego = {field.name: getattr(drive.ego, field.name)[:31] for field in dataclasses.fields(drive.ego)}
    return dataclasses.replace(drive, location=town.location, ego=dataclasses.replace(drive.ego, **ego))


PARTS = WorldParts(build_town=town_of, simulate_drive=drive_through, build_painter=PlainPainter)


def config_of(root: Path, **changes: Any) -> WorldConfig:
    clips = ClipsConfig(cameras=["CAM_FRONT"], width=320, picture_interval=5)
    ours = {"output": str(root), "logs": 3, "seed": 3, "duration_s": 3.0, "format": "bench2drive", "clips": clips}
    return WorldConfig(**{**ours, **changes})


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_clips_and_maps_lie_where_they_are_looked_for(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    index = generate_world(config, PARTS)
    names = sorted(name for names in index.splits.values() for name in names)
    assert [folder.name for folder in find_clips(tmp_path / "clips")] == names
    assert len(read_clip(tmp_path / "clips" / names[0])) == 31
    towns = {name.split("_")[1] for name in names}
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {f"{town}_HD_map.npz" for town in towns}
    assert len(list((tmp_path / "clips" / names[0]).rglob("*.jpg"))) == 7
    words = summary(config, index)
    assert f"index-bench2drive root={tmp_path}/clips maps={tmp_path}/maps" in words
    assert not (tmp_path / "navsim_logs").exists()


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    generate_world(config_of(tmp_path), PARTS)
    before = contents(tmp_path)
    for pattern in ("*/anno/00007.json.gz", "*/camera/rgb_front/00010.jpg"):
        next((tmp_path / "clips").glob(pattern)).unlink()
    generate_world(config_of(tmp_path), PARTS)
    assert contents(tmp_path) == before


def test_worlds_of_two_formats_do_not_mix(tmp_path: Path) -> None:
    generate_world(config_of(tmp_path), PARTS)
    with pytest.raises(WorldDataError, match="world of format=bench2drive, but format=navsim"):
        generate_world(config_of(tmp_path, format="navsim"), PARTS)
    with pytest.raises(WorldDataError, match="world of clips="):
        generate_world(config_of(tmp_path, clips=ClipsConfig(width=160)), PARTS)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"format": "kitti"}, "format='kitti' must be one of navsim, bench2drive"),
        ({"lidar": True}, "clips have neither"),
        ({"two_stage": True}, "clips have neither"),
    ],
)
def test_what_clips_have_not_is_refused(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        config_of(tmp_path, **changes)


def test_unknown_cameras_are_refused() -> None:
    with pytest.raises(InputError, match=r"clips.cameras has \['cam_f0'\]"):
        ClipsConfig(cameras=["cam_f0"])
