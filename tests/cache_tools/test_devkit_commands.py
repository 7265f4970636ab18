"""The devkit's commands where there is no devkit, and with options that break a rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cache_tools import compare_with_devkit, export_scenes
from navsim_agents.devkit.variant import Host, Variant
from navsim_agents.errors import DevkitError, TrajectoryError

EXPORT = export_scenes.ExportScenesConfig(scenes="m", output="o", worker={}, output_dir="l")
COMPARE = compare_with_devkit.CompareConfig(scenes="m", output="o")


@pytest.fixture
def no_devkit(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (export_scenes, compare_with_devkit):
        monkeypatch.setattr(module, "detect_host", lambda: Host(Variant.NONE))


@pytest.mark.usefixtures("no_devkit")
def test_without_a_devkit_the_way_out_is_named() -> None:
    with pytest.raises(SystemExit, match="no NAVSIM devkit is on the path, but its metric caches are pickles"):
        export_scenes.main()
    with pytest.raises(DevkitError, match="no NAVSIM devkit is on the path to compare with"):
        compare_with_devkit.compare(COMPARE)


def test_another_package_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Host:
        raise DevkitError("the package 'navsim' is not the NAVSIM devkit")

    monkeypatch.setattr(export_scenes, "detect_host", refuse)
    with pytest.raises(SystemExit, match="DevkitError: the package 'navsim' is not the NAVSIM devkit"):
        export_scenes.main()


def test_options_of_the_export() -> None:
    with pytest.raises(DevkitError, match="format is 'csv', but must be one of store, npz"):
        export_scenes.export(replace(EXPORT, format="csv"))
    with pytest.raises(DevkitError, match="scenes_per_wave is 0, but must be at least 1"):
        export_scenes.export(replace(EXPORT, scenes_per_wave=0))


def test_vocabularies(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    np.save(path, np.ones((5, 40, 3), dtype=np.float32))
    vocabulary = compare_with_devkit.load_vocabulary(str(path))
    assert vocabulary is not None
    assert vocabulary.dtype == np.float64
    assert compare_with_devkit.load_vocabulary(None) is None
    np.save(path, np.ones((5, 8, 3)))
    with pytest.raises(TrajectoryError, match=r"has shape \(5, 8, 3\), but a vocabulary is \[V, 40, 3\] at 0.1 s"):
        compare_with_devkit.load_vocabulary(str(path))
