"""NAVSIM's scene filters: which windows of a split's logs are scenes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from navsim_agents.common.conventions import NUM_FUTURE_FRAMES, NUM_HISTORY_FRAMES
from navsim_agents.data.logs import split_into_scenes
from navsim_agents.data.names import load_yaml, quote_hint, read_names
from navsim_agents.data.scene import LogFrame
from navsim_agents.errors import InputError

NAME_KEYS = ("log_names", "tokens", "reactive_synthetic_initial_tokens")


@dataclass(frozen=True)
class SceneFilter:
    """Fields and meaning are those of the devkit's ``SceneFilter``; ``scenes_of`` are those of the first stage."""

    num_history_frames: int = NUM_HISTORY_FRAMES
    num_future_frames: int = NUM_FUTURE_FRAMES
    frame_interval: Optional[int] = None  # frames between starts; null: as many as a scene has, so that none overlap
    has_route: bool = True
    max_scenes: Optional[int] = None
    log_names: Optional[frozenset[str]] = None  # null: all of the split
    tokens: Optional[frozenset[str]] = None  # of the current frames; null: all
    reactive_synthetic_initial_tokens: Optional[frozenset[str]] = None  # of the second stage's current frames
    note: str = field(default="", compare=False)  # what is odd about the names themselves

    def scenes_of(self, frames: list[LogFrame]) -> Iterator[list[LogFrame]]:
        """Scenes of one log, as the devkit's loader cuts them."""
        num_frames = self.num_history_frames + self.num_future_frames
        for window in split_into_scenes(frames, num_frames, self.frame_interval or num_frames):
            now = window[self.num_history_frames - 1]
            if (now["roadblock_ids"] or not self.has_route) and (self.tokens is None or now["token"] in self.tokens):
                yield window


EVERY_FRAME = SceneFilter(frame_interval=1)


def read_scene_filter(path: Path, overrides: Optional[Mapping[str, Any]] = None) -> SceneFilter:
    """The filter of a YAML file of the devkit's group ``scene_filter``; names are read as text.

    Args:
        path: the file.
        overrides: values that replace the file's.

    Raises:
        InputError: no such file, no YAML, or a value is of the wrong kind.
    """
    lists = read_names(path)
    values = load_yaml(path)
    misread = tuple(name for key in NAME_KEYS if key in lists for name in lists[key].misread)
    texts = {key: lists[key].names for key in NAME_KEYS if key in lists}
    merged = {**values, **texts, **(overrides or {})}
    named = {key: frozenset(merged[key]) for key in NAME_KEYS if isinstance(merged.get(key), (list, tuple))}
    return _filter_of({**merged, **named}, str(path), quote_hint(str(path), misread))


def _filter_of(values: Mapping[str, Any], where: str, note: str) -> SceneFilter:
    """``values`` of the fields that are known here, checked."""
    known = {name: values[name] for name in SceneFilter.__dataclass_fields__ if values.get(name) is not None}
    for name, lowest in (("num_history_frames", 1), ("num_future_frames", 0), ("frame_interval", 1), ("max_scenes", 1)):
        value = known.get(name, lowest)
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            raise InputError(f"{name}={value!r} in {where}, but it must be a number of at least {lowest}; correct it")
    for name in NAME_KEYS:
        if not isinstance(known.get(name, frozenset()), frozenset):
            raise InputError(f"{name}={known[name]!r} in {where}, but it must be a list of names or null; correct it")
    return SceneFilter(**{**known, "note": note})
