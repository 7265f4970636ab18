"""The pseudo-inverse self-test, with a good and a bad one; the stand-ins for the devkit's classes; versions."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from navsim_agents.devkit.cache_files import FILE_NAME
from navsim_agents.devkit.data_health import check_metric_cache
from navsim_agents.devkit.doctor import check_pseudo_inverse, main, tracker_normal_matrix, versions
from navsim_agents.devkit.environment import DEVKIT_ROOT, FOLDERS, check_environment
from navsim_agents.devkit.standalone import SensorConfig

ROOT = Path(__file__).resolve().parents[2]
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


def test_a_package_without_a_distribution_is_found_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nuplan-devkit on PYTHONPATH, as `make test-devkit NUPLAN=…` has it."""
    monkeypatch.delitem(sys.modules, "nuplan", raising=False)
    monkeypatch.setattr(metadata, "version", Mock(side_effect=metadata.PackageNotFoundError))
    absent = set(versions())
    assert "nuplan-devkit not installed" in absent or any(text.startswith("nuplan-devkit found at") for text in absent)
    (tmp_path / "nuplan").mkdir()
    (tmp_path / "nuplan" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert f"nuplan-devkit found at {tmp_path / 'nuplan'}, no version known" in set(versions())


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
    for name in ("PROGRESS_MODE", *FOLDERS, DEVKIT_ROOT, "NODE_RANK", "NUM_NODES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert main([]) == 0
    assert f"{DEVKIT_ROOT} is unset" in capsys.readouterr().out
    assert main(["--metric-cache", str(tmp_path / "none")]) == 1
    assert "WRONG  metric cache" in capsys.readouterr().out
