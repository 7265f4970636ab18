"""The plans of a submission, each by the token of its scene, whatever else the file holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from navsim_agents.data.split_mapping import FIRST_STAGE_TOKEN_LENGTH, SECOND_STAGE_TOKEN_LENGTH
from navsim_agents.data.submission import V1_KEY, V2_KEYS, faults_of, load_submission
from navsim_agents.errors import InputError

SCRIPT = "run_create_submission_pickle"
OTHER_STAGE_LENGTH = dict(zip(V2_KEYS, (SECOND_STAGE_TOKEN_LENGTH, FIRST_STAGE_TOKEN_LENGTH)))
"""List of predictions → digits of tokens that belong into the other one: NAVSIM's script takes no score from there."""


@dataclass(frozen=True)
class SubmittedPlan:
    """One plan, in the ego frame of its scene."""

    poses: Float64[np.ndarray, "T 3"]  # m, m, rad
    interval_s: float


@dataclass(frozen=True)
class SubmittedPlans:
    """What a file holds, in its order, first stage first."""

    is_two_stage: bool
    plans: dict[str, SubmittedPlan]
    faults: dict[str, str] = field(default_factory=dict)  # token -> why its plan is of no use


def read_submitted_plans(path: Path) -> SubmittedPlans:
    """The plans of ``path``, of v1.1's format (one stage) or v2.2's (two).

    Raises:
        WorldDataError: it cannot be read.
        InputError: it holds no list of predictions, or both versions', or predictions of several seeds.
    """
    content = load_submission(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, but a submission is a dict; write it by {SCRIPT}")
    present = [key for key in (V1_KEY, *V2_KEYS) if key in content]
    if present not in ([V1_KEY], list(V2_KEYS)):
        raise InputError(
            f"{path} has {present or 'no predictions'}, but a submission has {V1_KEY} (v1.1), or "
            f"{' and '.join(V2_KEYS)} (v2.2); write it by {SCRIPT}"
        )
    found: dict[str, SubmittedPlan] = {}
    faults: dict[str, str] = {}
    for key, token, value in _predictions(content, present, path):
        fault = next(faults_of(token, value), "")
        if key in V2_KEYS and len(token) == OTHER_STAGE_LENGTH[key]:
            other = V2_KEYS[1 - V2_KEYS.index(key)]
            fault = f"is in {key}, but its scene is of the other stage; put it into {other}"
        if token in found or token in faults:
            fault = "is in both stages, but a scene is of one; keep one"
            found.pop(token, None)
        if fault:
            faults[token] = fault
        else:
            found[token] = SubmittedPlan(value.poses.astype(np.float64), float(value.sampling.interval_length))
    return SubmittedPlans(present != [V1_KEY], found, faults)


def _predictions(content: Mapping[str, Any], keys: list[str], path: Path) -> Iterator[tuple[str, str, Any]]:
    for key in keys:
        seeds = content[key]
        if not isinstance(seeds, list) or len(seeds) != 1 or not isinstance(seeds[0], dict):
            what = f"a list of {len(seeds)}" if isinstance(seeds, list) else f"a {type(seeds).__name__}"
            raise InputError(
                f"{key} of {path} is {what}, but must be a list of one dict of token and trajectory, as NAVSIM "
                "scores one seed; write each seed into a file of its own"
            )
        yield from ((key, str(token), value) for token, value in seeds[0].items())
