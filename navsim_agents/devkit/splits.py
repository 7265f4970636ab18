"""The devkit's splits and scene filters, read from its configs without importing it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from navsim_agents.data.names import read_names
from navsim_agents.errors import DevkitError

SPLIT_FOLDER = Path("planning", "script", "config", "common", "train_test_split")
FILTER_FOLDER = SPLIT_FOLDER / "scene_filter"
FILTER_KEY = "scene_filter"


@dataclass(frozen=True)
class DevkitSplit:
    """One file of the devkit's group ``train_test_split``."""

    data_split: str  # folder of navsim_logs
    filter_path: Path
    overrides: dict[str, Any]  # of the filter's values

    def scene_filter(self) -> DictConfig:
        """The config of the filter; names that look like numbers are the text that stands in the file."""
        merged = OmegaConf.merge(OmegaConf.load(self.filter_path), self.overrides)
        assert isinstance(merged, DictConfig)
        for key, found in read_names(self.filter_path).items():
            if found.misread and key not in self.overrides:
                merged[key] = list(found.names)
        return merged


def find_split(location: Path, name: str) -> DevkitSplit:
    """The split ``name`` of the devkit whose package ``navsim`` lies at ``location``.

    Raises:
        DevkitError: it has no such split.
        InputError: a file of it is broken.
    """
    splits = {path.stem: path for path in sorted((location / SPLIT_FOLDER).glob("*.yaml"))}
    if name not in splits:
        known = ", ".join(splits) or f"no splits below {location}"
        raise DevkitError(f"train_test_split is {name!r}, but the devkit has {known}; choose one of them")
    split = OmegaConf.load(splits[name])
    assert isinstance(split, DictConfig)
    chosen = next(entry[FILTER_KEY] for entry in split["defaults"] if FILTER_KEY in entry)
    overrides = OmegaConf.to_container(split.get(FILTER_KEY) or OmegaConf.create({}))
    assert isinstance(overrides, dict)
    prefix = f"{FILTER_KEY}."
    texts = {
        key[len(prefix) :]: list(found.names)
        for key, found in read_names(splits[name]).items()
        if key.startswith(prefix)
    }
    return DevkitSplit(
        str(split["data_split"]),
        location / FILTER_FOLDER / f"{chosen}.yaml",
        {**{str(key): value for key, value in overrides.items()}, **texts},
    )
