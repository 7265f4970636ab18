"""The batched scorer gives the devkit's answers on scenes of the built-in world.

The larger run: ``drive-jepa compare-with-devkit scenes=… output=… vocabulary=…``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from navsim_agents.devkit import traffic_parity
from navsim_agents.devkit.cache_files import list_metric_cache
from navsim_agents.devkit.cache_pickle import read_metric_cache
from navsim_agents.devkit.parity_run import ParityOptions, ParityReport, measure_parity
from navsim_agents.devkit.scoring import score_with_devkit
from navsim_agents.devkit.variant import Variant
from navsim_agents.errors import DevkitError, TrajectoryError
from navsim_agents.scoring import ScoringScene
from navsim_agents.scoring.traffic.of_plans import PlansTraffic
from navsim_agents.scoring.traffic.scored import plans_traffic
from tests.devkit.scripts import Devkit

OPTIONS = ParityOptions(scenes=2, trajectories=24, alone=24, tolerance=1e-6, seed=3)


def test_two_scenes(devkit: Devkit, metric_cache: Path, tmp_path: Path) -> None:
    report = measure_parity(metric_cache, OPTIONS, vocabulary=None)
    assert report.num_different == 0, report.summary()
    summary = report.summary()
    assert summary["trajectories"] == summary["scored_alone_by_the_devkit"] == 48
    assert summary["devkit"] == devkit.variant.value
    assert summary["extended_comfort_pairs"] == (24 if devkit.variant is Variant.V2_2 else 0)
    for name in ("drivable_area_compliance", "comfort" if devkit.variant is Variant.V1_1 else "history_comfort"):
        assert summary["values_seen"][name] == [0.0, 1.0]
    report.write(tmp_path / "parity.json")
    assert (tmp_path / "parity.json").stat().st_size > 1000


@pytest.mark.slow
def test_reactive_traffic_of_a_scene(devkit: Devkit, metric_cache: Path, tmp_path: Path) -> None:
    options = ParityOptions(scenes=1, trajectories=8, alone=0, tolerance=1e-6, seed=4, traffic=8)
    if devkit.variant is Variant.V1_1:
        with pytest.raises(DevkitError, match=r"has no reactive traffic; take a metric cache of v2\.2"):
            measure_parity(metric_cache, options, vocabulary=None)
        return
    report = measure_parity(metric_cache, options, vocabulary=None)
    found = report.summary()["reactive_traffic"]
    assert report.num_different == 0, found
    assert found["differences"] == []
    assert found["plans"] == 8
    assert found["steps_with_other_tracks"] == 0
    assert 0.0 < found["max_box_distance"] < 1e-6
    report.write(tmp_path / "parity.json")
    assert "reactive_traffic" in (tmp_path / "parity.json").read_text()


@pytest.mark.slow
def test_traffic_that_differs_is_listed_plan_by_plan(
    devkit: Devkit, metric_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boxes that lie a metre off: each plan is named, and the scene differs with them."""
    if devkit.variant is Variant.V1_1:
        pytest.skip("v1.1 has no reactive traffic")
    monkeypatch.setattr(traffic_parity, "plans_traffic", a_metre_farther)
    options = ParityOptions(scenes=1, trajectories=8, alone=0, tolerance=1e-6, seed=4, traffic=3)
    report = measure_parity(metric_cache, options, vocabulary=None)
    found = report.summary()["reactive_traffic"]
    assert report.num_different == 1
    assert found["max_box_distance"] > 0.1
    assert [line.split(", ")[1].split(":")[0] for line in found["differences"]] == ["plan 0", "plan 1", "plan 2"]


def a_metre_farther(scene: ScoringScene, states: np.ndarray) -> PlansTraffic:
    """The traffic with every box a metre off."""
    met = plans_traffic(scene, states)
    return replace(met, shared=replace(met.shared, poses=met.shared.poses + 1.0), own_poses=met.own_poses + 1.0)


def test_a_difference_is_found(metric_cache: Path) -> None:
    """A tolerance below rounding: some distance must exceed it, or nothing was compared."""
    strict = ParityOptions(scenes=1, trajectories=9, alone=0, tolerance=1e-18, seed=5)
    report = measure_parity(metric_cache, strict, vocabulary=np.zeros((2, 40, 3)))
    assert isinstance(report, ParityReport)
    assert report.num_different == 1
    assert 0.0 < report.scenes[0].state_distance < 1e-6


def test_refusals(devkit: Devkit, metric_cache: Path) -> None:
    cached = read_metric_cache(list_metric_cache(metric_cache).entries[0].path)
    with pytest.raises(TrajectoryError, match=r"trajectories has shape \(1, 7, 3\) with interval_s=0.5"):
        score_with_devkit(cached, np.zeros((1, 7, 3)))
    if devkit.variant is Variant.V1_1:
        with pytest.raises(TrajectoryError, match=r"devkit v1\.1 has no human filter; unset it"):
            score_with_devkit(cached, np.zeros((1, 8, 3)), human_penalty_filter=True)
