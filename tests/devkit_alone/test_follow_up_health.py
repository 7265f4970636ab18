"""The doctor on the second stage of a two-stage split: which scenes lack pictures of how many frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from navsim_agents.data.scene_filter import SceneFilter, read_scene_filter
from navsim_agents.devkit import data_health
from navsim_agents.devkit.data_health import PictureQuery
from navsim_agents.devkit.doctor import main
from navsim_agents.devkit.follow_up_health import check_follow_ups
from tests.data.synthetic import LOG, content, write

TOKEN, OTHER = "a123456789abcdef0", "b123456789abcdef0"
PICTURES = Path("sensor_blobs") / LOG / "CAM_F0"  # 0.jpg to 3.jpg, which is now, of both scenes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, content(TOKEN), content(OTHER))
    return tmp_path


def lines(folder: Path, **query: object) -> list[str]:
    data_health._names.cache_clear()
    return [str(finding) for finding in check_follow_ups(folder, PictureQuery(**query))]  # type: ignore[arg-type]


def test_whole_scenes(folder: Path) -> None:
    (line,) = lines(folder)
    assert line.startswith("ok")
    assert line.endswith(f"{folder.name}: 2 of 2 scenes in 1 logs have all pictures of cam_f0")


def test_a_lost_history_frame_is_named_with_its_price_and_the_way_out(folder: Path) -> None:
    (folder / PICTURES / "1.jpg").unlink()
    (line,) = lines(folder, num_frames=3)
    assert line.startswith("WRONG")
    assert (
        f"0 of 2 scenes in 1 logs have all pictures of cam_f0; 2 do not (pictures: 1 missing), such as {TOKEN}" in line
    )
    assert "ends in an exception after the last scene, without a result" in line
    assert "every scene is whole in its newest 2 (momentum reads one frame more" in line
    assert lines(folder, num_frames=2)[0].startswith("ok")


def test_without_the_newest_frame_no_agent_plans(folder: Path) -> None:
    (folder / PICTURES / "3.jpg").write_bytes(b"")
    (line,) = lines(folder)
    assert "(pictures: 1 empty)" in line
    assert "some lack even the newest frame" in line


def test_a_camera_that_the_scenes_do_not_name(folder: Path) -> None:
    assert "cam_l0 not named" in lines(folder, cameras=["cam_l0"])[0]


def test_only_the_scenes_of_a_filter_count_and_absent_ones_are_named(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "filter.yaml"
    path.write_text(f"frame_interval: 1\nreactive_synthetic_initial_tokens: ['{TOKEN}', '12345678901234e56']\n")
    wanted = read_scene_filter(path)
    assert wanted == SceneFilter(
        frame_interval=1, reactive_synthetic_initial_tokens=frozenset({TOKEN, "12345678901234e56"})
    )
    found, absent = lines(folder, scene_filter=wanted)
    assert "1 of 1 scenes" in found
    assert "1 tokens (12345678901234e56) that are not there as scenes" in absent
    assert "ends without a result, as their groups lack them: download the scenes again" in absent


def test_a_damaged_pickle_hides_no_other_fault(folder: Path) -> None:
    (folder / "synthetic_scene_pickles" / f"{TOKEN}.pkl").write_bytes(b"torn")
    (folder / PICTURES / "3.jpg").unlink()
    wanted = SceneFilter(frame_interval=1, reactive_synthetic_initial_tokens=frozenset({TOKEN, OTHER, "c" * 17}))
    damaged, pictures, absent = lines(folder, scene_filter=wanted)
    assert damaged.startswith("WRONG")
    assert f"1 synthetic scenes cannot be read ({TOKEN}), the first as follows: " in damaged
    assert (
        f"0 of 1 scenes in 1 logs have all pictures of cam_f0; 1 do not (pictures: 1 missing), such as {OTHER}"
        in pictures
    )
    assert f"names 1 tokens ({'c' * 17})" in absent


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / PICTURES / "0.jpg").unlink()
    data_health._names.cache_clear()
    main(["--follow-ups", str(folder), "--frames", "3"])
    assert "2 of 2 scenes in 1 logs have all pictures" in capsys.readouterr().out
    assert main(["--follow-ups", str(folder), "--frames", "4"]) == 1
    assert "every scene is whole in its newest 3" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["no folder", "no pickle"])
def test_refusals(folder: Path, damage: str) -> None:
    if damage == "no pickle":
        (folder / "synthetic_scene_pickles" / f"{TOKEN}.pkl").write_bytes(b"nothing")
        assert "is not a readable synthetic scene" in lines(folder)[0]
    else:
        assert "has no synthetic_scene_pickles; give the folder of a two-stage split" in lines(folder / "nowhere")[0]
