"""Settings of clips as YAML has them."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue

from training.video.config import ClipDataConfig, DataSetConfig


def test_settings_fill_in_for_defaults() -> None:
    part = {"manifest": "m.jsonl", "root": "r", "weight": 0.2}
    made = ClipDataConfig.of({"data_sets": {"covla": part}, "height": 96})
    assert made == ClipDataConfig({"covla": DataSetConfig("m.jsonl", "r", 0.2)}, height=96)
    assert ClipDataConfig.of(made) is made


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"hight": 96}, ConfigKeyError),
        ({"data_sets": {"covla": {"manifest": "m", "root": "r", "wait": 1.0}}}, ConfigKeyError),
        ({"data_sets": {"covla": {"manifest": "m"}}}, MissingMandatoryValue),
    ],
)
def test_misspelt_and_missing_settings_are_refused(settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        ClipDataConfig.of(settings)
