"""Scenes of a reward pool, and what of them each worker is sent: a path, or its own share of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Callable, Union

import numpy.typing as npt

from navsim_agents.scenes import shared_scenes
from navsim_agents.scoring import SceneStore, ScoringScene

SceneSource = Union[str, "os.PathLike[str]", SceneStore, Mapping[str, ScoringScene]]
Reader = Callable[[str], ScoringScene]


def tokens_of(scenes: SceneSource) -> list[str]:
    """Tokens of all scenes, in their order.

    Raises:
        InputError, SceneError, DevkitError: as :func:`navsim_agents.scenes.open_scenes`, where ``scenes`` is a path.
    """
    if isinstance(scenes, (str, os.PathLike)):
        return shared_scenes(os.fspath(scenes)).tokens
    return list(scenes)


def reader_of(scenes: SceneSource, tokens: Sequence[str], *, is_sent: bool) -> Reader:
    """Reads a scene of ``tokens``; can be pickled where it ``is_sent`` to another process."""
    if isinstance(scenes, (str, os.PathLike)):
        return partial(_read_from_path, os.fspath(scenes))
    if isinstance(scenes, SceneStore) or not is_sent:
        return scenes.__getitem__
    return partial(_read_from_arrays, {token: scenes[token].to_arrays() for token in tokens})


def _read_from_path(path: str, token: str) -> ScoringScene:
    return shared_scenes(path).scene(token)


def _read_from_arrays(arrays: dict[str, dict[str, npt.NDArray[Any]]], token: str) -> ScoringScene:
    return ScoringScene.from_arrays(arrays[token])
