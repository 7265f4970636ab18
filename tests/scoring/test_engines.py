"""Who scores: compiled code where there is much to do on the CPU and Numba is there, torch otherwise."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from navsim_agents.common import extras
from navsim_agents.scoring import engines
from navsim_agents.scoring.by_tensors import ByTensors
from navsim_agents.scoring.compiled import run as compiled_run
from navsim_agents.scoring.config import EPDMS
from navsim_agents.scoring.scene_batch import collate_scenes
from tests.scoring.numba_state import forget_numba
from tests.scoring.tiny import scene

compiling: Any = pytest.importorskip("navsim_agents.scoring.compiling", reason="Numba is not installed")


def batch():
    return collate_scenes([scene()], EPDMS, 8, 0.5, torch.float64)


def test_little_work_is_done_by_torch():
    assert isinstance(engines.engine_for(batch(), engines.WORTH_COMPILED - 1), ByTensors)
    assert not isinstance(engines.engine_for(batch(), engines.WORTH_COMPILED), ByTensors)


def test_little_work_that_is_done_again_and_again_is_compiled():
    assert not isinstance(engines.engine_for(batch(), 1, is_repeated=True), ByTensors)


def test_a_numba_whose_inner_parts_are_others_is_done_without_and_that_is_said_once(monkeypatch):
    def changed(function, arguments):
        raise AttributeError("'JITCodeLibrary' object has no attribute 'serialize_using_object_code'")

    forget_numba()
    monkeypatch.setattr(compiling, "compile_kernel", changed)
    monkeypatch.setattr(compiled_run, "is_kept", lambda: False)
    try:
        with pytest.warns(UserWarning, match=r"numba [\d.]+.* makes no machine code here .*scored by torch") as said:
            found = [engines.engine_for(batch(), 10_000) for _ in range(2)]
    finally:
        forget_numba()
    assert [type(one) for one in found] == [ByTensors, ByTensors]
    assert len(said) == 1


@pytest.mark.parametrize("reason", ["No module named 'numba'", "Numba needs NumPy 2.9 or less"])
def test_without_a_usable_numba_torch_does_all_and_it_is_said_once(reason, monkeypatch):
    def refuse(name):
        raise ImportError(reason)

    forget_numba()
    monkeypatch.setattr(extras, "import_module", refuse)
    monkeypatch.setattr(compiled_run, "is_kept", lambda: False)
    try:
        with pytest.warns(UserWarning, match=rf"numba cannot be used \({reason}\).*scored by torch.*\[fast\]") as said:
            first, second = (engines.engine_for(batch(), 10_000) for _ in range(2))
    finally:
        forget_numba()
    assert isinstance(first, ByTensors)
    assert isinstance(second, ByTensors)
    assert len(said) == 1


def test_scoring_is_imported_without_numba():
    code = "import sys; import navsim_agents.scoring; assert not {'numba', 'llvmlite'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_was_compiled_before_is_used_without_numba(monkeypatch):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr(compiled_run, "is_kept", lambda: True)
    monkeypatch.setattr(extras, "import_module", refuse)
    assert isinstance(engines.engine_for(batch(), 10_000), compiled_run.Compiled)
