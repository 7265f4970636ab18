from __future__ import annotations

import pytest

from navsim_agents.common.annealing import cosine


@pytest.mark.parametrize(
    ("progress", "wanted"), [(0.0, 3.0), (1 / 3, 2.5), (0.5, 2.0), (2 / 3, 1.5), (1.0, 1.0), (1.7, 1.0)]
)
def test_half_a_wave_worked_by_hand(progress: float, wanted: float) -> None:
    """From 3 to 1: cos 60° = 1/2, so that a quarter of the way is done after a third of the time."""
    assert cosine(3.0, 1.0, progress) == pytest.approx(wanted)
