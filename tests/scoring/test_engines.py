"""Who scores: compiled code where there is much to do on the CPU and Numba is there, torch otherwise."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from navsim_agents.common import extras
from navsim_agents.scoring import engines
from navsim_agents.scoring.by_tensors import ByTensors
from navsim_agents.scoring.config import EPDMS
from navsim_agents.scoring.scene_batch import collate_scenes
from tests.scoring.tiny import scene

pytest.importorskip("numba", reason="Numba is not installed")


def batch():
    return collate_scenes([scene()], EPDMS, 8, 0.5, torch.float64)


def test_little_work_is_done_by_torch():
    assert isinstance(engines.engine_for(batch(), engines.WORTH_COMPILED - 1), ByTensors)
    assert not isinstance(engines.engine_for(batch(), engines.WORTH_COMPILED), ByTensors)


def test_without_numba_torch_does_all_and_it_is_said_once(monkeypatch):
    extras.has_numba.cache_clear()
    monkeypatch.setitem(sys.modules, "numba", None)
    try:
        with pytest.warns(UserWarning, match=r"numba cannot be used.*scored by torch.*\[fast\]") as said:
            first, second = (engines.engine_for(batch(), 10_000) for _ in range(2))
    finally:
        extras.has_numba.cache_clear()
    assert isinstance(first, ByTensors)
    assert isinstance(second, ByTensors)
    assert len(said) == 1


def test_scoring_is_imported_without_numba():
    code = "import sys; import navsim_agents.scoring; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
