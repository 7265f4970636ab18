"""The example's policy learns; tests/docs runs it as it is documented."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tests.reward.scenes_of_pool import hand_made, write_store

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "score_as_reward.py"


def test_rewards_grow(tmp_path: Path) -> None:
    write_store(tmp_path, hand_made(8))
    spec = importlib.util.spec_from_file_location("score_as_reward", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    means = example.main(tmp_path, 40)
    assert sum(means[-10:]) > sum(means[:10]) + 0.5
