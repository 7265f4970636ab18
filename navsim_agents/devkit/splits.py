"""The devkit's splits and scene filters, read from its configs without importing it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from navsim_agents.data.names import load_yaml, read_names
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
        texts = {key: list(found.names) for key, found in read_names(self.filter_path).items() if found.misread}
        return OmegaConf.create({**load_yaml(self.filter_path), **texts, **self.overrides})


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
    split, lists = load_yaml(splits[name]), read_names(splits[name])
    chosen = next(entry[FILTER_KEY] for entry in split["defaults"] if FILTER_KEY in entry)
    overrides = {
        key: list(lists[f"{FILTER_KEY}.{key}"].names) if f"{FILTER_KEY}.{key}" in lists else value
        for key, value in (split.get(FILTER_KEY) or {}).items()
    }
    return DevkitSplit(str(split["data_split"]), location / FILTER_FOLDER / f"{chosen}.yaml", overrides)
