"""The batched scorer gives the devkit's answers on scenes of the built-in world.

The larger run: ``drive-jepa compare-with-devkit scenes=… output=… vocabulary=…``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from navsim_agents.devkit.cache_files import list_metric_cache
from navsim_agents.devkit.cache_pickle import read_metric_cache
from navsim_agents.devkit.parity_run import ParityOptions, ParityReport, measure_parity
from navsim_agents.devkit.scoring import score_with_devkit
from navsim_agents.devkit.variant import Variant
from navsim_agents.errors import TrajectoryError
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
