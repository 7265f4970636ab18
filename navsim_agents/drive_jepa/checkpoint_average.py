"""The mean of several checkpoints of one agent, as a checkpoint that loads wherever they do."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from navsim_agents.drive_jepa.averaging import MeanWeights
from navsim_agents.drive_jepa.checkpoints import ENCODER_HINT, RECORD, SEEN
from navsim_agents.errors import CheckpointError
from navsim_agents.models.checkpoint_file import read_checkpoint
from navsim_agents.models.key_table import are_tensors, mismatches

logger = logging.getLogger(__name__)

AVERAGED = "navsim_drive_jepa_averaged"
"""Where the checkpoint says what it is of: the files' names, and their steps where they say them."""
OF_LIGHTNING = ("epoch", "global_step", "pytorch-lightning_version")
"""What Lightning asks of a file whose weights it shall test; the last step's."""
COUNTER = ".num_batches_tracked"
"""Batch norms count batches, and read the count nowhere while planning: the last step's is kept."""
STATISTICS = (".running_mean", ".running_var")
NUM_SHOWN = 3


def average_checkpoints(paths: Sequence[Path]) -> dict[str, Any]:
    """Contents of a checkpoint with the mean of the ``state_dict`` of each, summed up in float64 and cast back.

    What is no fraction has to be the same in all; of batch norms' counters that of the latest step is taken. Nothing
    to go on training from (optimiser, schedule) is in it.

    Raises:
        CheckpointError: a file cannot be read, or is of another architecture or of other settings than the first.
    """
    mean = MeanWeights()
    first: Mapping[str, Any] = {}
    steps: list[Any] = []
    latest: dict[str, Any] = {}
    for path in paths:
        contents = read_checkpoint(path)
        weights = _weights(path, contents)
        if mean.count:
            _require_alike(paths[0], first, path, contents)
        else:
            first = contents
        mean.add(weights)
        steps.append(contents.get("global_step"))
        if AVERAGED in contents:
            logger.warning("%s is an average itself, and counts as one file", path)
        if not latest or _step(contents) >= _step(latest):
            latest = {**_header(contents), **_counters(weights)}
    _say(paths, steps)
    averaged = {name: latest.get(name, value) for name, value in mean.mean().items()}
    return {
        "state_dict": averaged,
        **{name: latest[name] for name in OF_LIGHTNING if name in latest},
        **({RECORD: first[RECORD]} if RECORD in first else {}),
        AVERAGED: {"files": [path.name for path in paths], "steps": steps},
    }


def moving_statistics(paths: Sequence[Path]) -> list[str]:
    """Names of the batch norms whose running statistics are not the same in all of ``paths``."""
    first: Mapping[str, Tensor] = read_checkpoint(paths[0])["state_dict"]
    names = [name for name in first if name.endswith(STATISTICS)]
    moved: dict[str, None] = {}
    for path in paths[1:]:
        other = read_checkpoint(path)["state_dict"]
        moved.update({name.rpartition(".")[0]: None for name in names if not torch.equal(first[name], other[name])})
    return list(moved)


def _weights(path: Path, contents: Mapping[str, Any]) -> Mapping[str, Tensor]:
    weights = contents.get("state_dict")
    if not isinstance(weights, Mapping) or not weights or not are_tensors(weights):
        raise CheckpointError(f"{path} has no state_dict, so it is no agent's Lightning checkpoint; {ENCODER_HINT}")
    odd = [name for name, value in weights.items() if value.layout != torch.strided or value.is_complex()]
    if odd:
        raise CheckpointError(f"{path}: {_shown(odd)} is sparse or complex, which no agent of ours is; leave it out")
    broken = [name for name, value in weights.items() if value.is_floating_point() and not _is_finite(value)]
    if broken:
        raise CheckpointError(f"{path}: {_shown(broken)} is not finite, so no mean of it is; leave the file out")
    return weights


def _is_finite(value: Tensor) -> bool:
    """Whether all of it is; torch itself cannot tell of numbers of one byte."""
    return bool((value.float() if value.element_size() == 1 else value).isfinite().all())


def _require_alike(first_path: Path, first: Mapping[str, Any], path: Path, other: Mapping[str, Any]) -> None:
    """Raises CheckpointError where the two are not of one agent; names what differs."""
    ours, theirs = first["state_dict"], other["state_dict"]
    problems = mismatches(ours, theirs)
    if not problems:
        kinds = [name for name in ours if ours[name].dtype != theirs[name].dtype]
        fixed = [name for name in ours if not ours[name].is_floating_point() and not name.endswith(COUNTER)]
        tables = [name for name in fixed if name not in kinds and not torch.equal(ours[name], theirs[name])]
        problems += [f"another dtype: {_shown(kinds)}"] if kinds else []
        problems += [f"other whole numbers, which have no mean: {_shown(tables)}"] if tables else []
    problems += _other_settings(first.get(RECORD), other.get(RECORD))
    if problems:
        raise CheckpointError(
            f"{path} and {first_path} are not of one agent: {'; '.join(problems)}; average checkpoints of one "
            "architecture and one kind of training"
        )


def _other_settings(first: Any, other: Any) -> list[str]:
    """Settings that the weights were trained with, where the two files say different ones."""
    seen, theirs = (record.get(SEEN) if isinstance(record, Mapping) else None for record in (first, other))
    if not isinstance(seen, Mapping) or not isinstance(theirs, Mapping):
        return [] if seen == theirs else ["only one of them says which settings it was trained with"]
    names = [name for name in {**seen, **theirs} if seen.get(name) != theirs.get(name)]
    return [f"{name}={theirs.get(name)} instead of {seen.get(name)}" for name in names]


def _step(contents: Mapping[str, Any]) -> int:
    step = contents.get("global_step")
    return step if isinstance(step, int) else -1


def _header(contents: Mapping[str, Any]) -> dict[str, Any]:
    return {name: contents[name] for name in OF_LIGHTNING if name in contents}


def _counters(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in weights.items() if name.endswith(COUNTER)}


def _say(paths: Sequence[Path], steps: Sequence[Any]) -> None:
    """What was averaged, and what a user may not have meant."""
    listed = ", ".join(f"{path} (step {step})" for path, step in zip(paths, steps))
    logger.info("mean of the weights of %d checkpoints: %s", len(paths), listed)
    if len(paths) == 1:
        logger.warning("%s is one checkpoint alone: nothing is averaged, it is written without its optimiser", paths[0])
    twice = sorted({step for step in steps if step is not None and steps.count(step) > 1})
    if twice and len({path.parent for path in paths}) == 1:
        logger.warning("more than one file is of step %s: weights of one step count as often as there are files", twice)


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:NUM_SHOWN]) + (", …" if len(names) > NUM_SHOWN else "")
