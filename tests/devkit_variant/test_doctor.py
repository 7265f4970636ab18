"""The pseudo-inverse self-test, with a good and a bad one; the stand-ins for the devkit's classes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from navsim_agents.devkit.cache_files import FILE_NAME
from navsim_agents.devkit.data_health import check_metric_cache, check_splits
from navsim_agents.devkit.doctor import check_pseudo_inverse, is_importable, main, tracker_normal_matrix
from navsim_agents.devkit.environment import check_environment
from navsim_agents.devkit.standalone import SensorConfig
from tests.devkit_variant.logs import write_log

RECORDED = np.load(Path(__file__).with_name("tracker_least_squares.npz"))


def test_the_tracker_system_is_a_recorded_one() -> None:
    """A system recorded inside the devkit's tracker, on which the pinv of a broken build was off by 8e4."""
    np.testing.assert_allclose(tracker_normal_matrix(), RECORDED["normal"], rtol=0, atol=1e-12)
    solution = np.linalg.pinv(tracker_normal_matrix()) @ RECORDED["rhs"]
    assert solution[0] == pytest.approx(12.533835, abs=1e-6)


def test_numpys_pseudo_inverse_passes() -> None:
    assert check_pseudo_inverse(np.linalg.pinv).is_good


def test_an_inaccurate_pseudo_inverse_is_found() -> None:
    finding = check_pseudo_inverse(lambda matrix: np.linalg.pinv(matrix.astype(np.float32)).astype(np.float64))
    assert not finding.is_good
    assert "numpy>=1.26" in finding.text
    assert str(finding).startswith("WRONG")


def test_absent_modules_are_found_absent() -> None:
    assert is_importable("navsim_configs.agent")
    assert not is_importable("no_such_package.no_such_module")


def test_stand_in_sensor_config_answers_like_the_devkits() -> None:
    config = SensorConfig(cam_f0=[1, 3], cam_b0=True)
    assert config.get_sensors_at_iteration(0) == ["cam_b0"]
    assert config.get_sensors_at_iteration(3) == ["cam_f0", "cam_b0"]


def wrong(environ: dict[str, str]) -> list[str]:
    return [finding.text for finding in check_environment(environ, needs_data=True) if not finding.is_good]


def test_environment(tmp_path: Path) -> None:
    assert wrong({}) == []
    good = {"OPENSCENE_DATA_ROOT": str(tmp_path), "NUPLAN_MAPS_ROOT": str(tmp_path), "NODE_RANK": "1", "NUM_NODES": "2"}
    (tmp_path / "nuplan-maps-v1.0.json").touch()
    assert wrong(good) == []
    (tmp_path / "nuplan-maps-v1.0.json").unlink()
    (text,) = wrong(good)
    assert "has no nuplan-maps-v1.0.json" in text
    bad = {"PROGRESS_MODE": "gen_gt", "OPENSCENE_DATA_ROOT": "/no/where", "NUPLAN_MAP_VERSION": "v2", "NODE_RANK": "3"}
    texts = "\n".join(wrong(bad))
    for part in ("PROGRESS_MODE=gen_gt is set", "OPENSCENE_DATA_ROOT=/no/where is not a folder"):
        assert part in texts
    for part in ("NUPLAN_MAP_VERSION=v2, but NAVSIM uses nuplan-maps-v1.0", "NODE_RANK=3 without the other"):
        assert part in texts


def test_scenes_without_pictures_are_counted(tmp_path: Path) -> None:
    """16 frames make 3 scenes; frame 4's picture is gone, which the last two scenes have in their history."""
    logs, blobs = tmp_path / "navsim_logs" / "test", tmp_path / "sensor_blobs" / "test"
    logs.mkdir(parents=True)
    names = write_log(logs, "a", 16)
    for name in names:
        (blobs / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(blobs / name)
    (finding,) = check_splits(tmp_path, [], ["cam_f0"])
    assert (finding.is_good, finding.text) == (True, "split test: 3 of 3 scenes in 1 logs have all pictures of cam_f0")

    from navsim_agents.devkit import data_health

    os.remove(blobs / names[4])
    data_health._names.cache_clear()
    (finding,) = check_splits(tmp_path, ["test"], ["cam_f0"])
    assert not finding.is_good
    assert "1 of 3 scenes in 1 logs" in finding.text
    assert f"2 lack some, such as a4: {names[4]}" in finding.text
    (finding,) = check_splits(tmp_path, [], ["cam_f0", "cam_b0"])
    assert "0 of 3 scenes" in finding.text
    (finding,) = check_splits(tmp_path / "none", [], ["cam_f0"])
    assert "has no navsim_logs/<split>" in finding.text
    (finding,) = check_splits(tmp_path, ["val"], ["cam_f0"])
    assert "is not a folder; logs lie in" in finding.text


def test_metric_caches(tmp_path: Path) -> None:
    paths = [tmp_path / "log" / "unknown" / token / FILE_NAME for token in ("t", "u")]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.touch()
    assert "has no list in metadata/" in check_metric_cache(tmp_path).text
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "one.csv").write_text("\n".join(["file_name", *map(str, paths)]))
    assert check_metric_cache(tmp_path).is_good
    (tmp_path / "metadata" / "two.csv").write_text(f"file_name\n/moved/log/unknown/t/{FILE_NAME}\n")
    paths[1].unlink()
    finding = check_metric_cache(tmp_path)
    assert not finding.is_good
    for part in ("holds 1 scenes", "has 2 lists", "was moved: 1 listed", "lacks 1 listed files (u)"):
        assert part in finding.text
    assert not check_metric_cache(tmp_path / "none").is_good


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROGRESS_MODE", "OPENSCENE_DATA_ROOT", "NUPLAN_MAPS_ROOT", "NODE_RANK", "NUM_NODES"):
        monkeypatch.delenv(name, raising=False)
    assert main([]) == 0
    assert main(["--metric-cache", str(tmp_path / "none")]) == 1
    assert "WRONG  metric cache" in capsys.readouterr().out
