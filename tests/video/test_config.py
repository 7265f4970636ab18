"""Settings of clips as YAML has them."""

from __future__ import annotations

from typing import Any

import pytest

from navsim_agents.common.errors import SettingError
from navsim_agents.video.config import ClipDataConfig, DataSetConfig


def test_settings_fill_in_for_defaults() -> None:
    part = {"manifest": "m.jsonl", "root": "r", "weight": 0.2}
    made = ClipDataConfig.of({"data_sets": {"covla": part}, "height": 96})
    assert made == ClipDataConfig({"covla": DataSetConfig("m.jsonl", "r", 0.2)}, height=96)
    assert ClipDataConfig.of(made) is made


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hight": 96}, "hight is no setting"),
        ({"data_sets": {"covla": {"manifest": "m", "root": "r", "wait": 1.0}}}, "data_sets.covla.wait is no setting"),
        ({"data_sets": {"covla": {"manifest": "m"}}}, "data_sets.covla.root: not given"),
    ],
)
def test_misspelt_and_missing_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        ClipDataConfig.of(settings)
