"""Scores of two-stage scenes out of nothing, for tests of what is made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import numpy as np
import torch

from navsim_agents.data.split_mapping import SceneGroup, TwoStageMapping
from navsim_agents.evaluation.two_stage import SceneScores
from navsim_agents.scoring.aggregate import SUB_SCORES

T0_US = 1_630_000_000_123_457
STEP_US = 100_000
GAPS_US = (500_000, 500_050, 499_950, 100_000, 450_123, 540_000)
MAP_ORIGIN = (331_234.5, 4_690_876.25)  # as far off as nuPlan's maps
PROGRESS, COMFORT = "ego_progress", "history_comfort"


def first(number: int) -> str:
    return f"{number:016x}"


def second(number: int) -> str:
    return f"{number:017x}"


def mapping_of(*numbers_of_follow_ups: int) -> TwoStageMapping:
    """Groups with so many follow-ups each."""
    groups, used = [], 0
    for index, number in enumerate(numbers_of_follow_ups):
        pairs = tuple((second(2 * (used + pair)), second(2 * (used + pair) + 1)) for pair in range(number))
        groups.append(SceneGroup(first(2 * index), first(2 * index + 1), pairs))
        used += number
    return TwoStageMapping(tuple(groups))


def perfect_scores(mapping: TwoStageMapping) -> SceneScores:
    """Cars that stand at the origin of the map in every scene, each pair 0.5 s apart, and score 1."""
    tokens = mapping.tokens
    number = len(tokens)
    is_previous = np.arange(number) % 2 == 1  # tokens go pair by pair
    return SceneScores(
        tokens,
        {name: np.ones(number) for name in SUB_SCORES["epdms"]},
        torch.zeros(number, 41, 11, dtype=torch.float64),
        T0_US - 500_000 * is_previous.astype(np.int64),
        np.zeros((number, 2)),
        np.zeros((number, 2)),
    )


def random_scores(mapping: TwoStageMapping, seed: int) -> SceneScores:
    """Sub-scores, gaps, places and motions of all kinds: plans that agree and not, ends near follow-ups and far."""
    random = np.random.default_rng(seed)
    number = len(mapping.tokens)
    columns = {name: (random.random(number) < 0.85).astype(float) for name in SUB_SCORES["epdms"]}
    columns["no_at_fault_collisions"] = random.choice([0.0, 0.5, 1.0], number, p=[0.1, 0.1, 0.8])
    columns[PROGRESS] = random.random(number)
    times = np.full(number, T0_US, dtype=np.int64) + 10_000_000 * np.repeat(np.arange(number // 2), 2)
    times[1::2] -= random.choice(GAPS_US, number // 2)
    starts = np.array(MAP_ORIGIN) + random.normal(0.0, 1000.0, (number, 2))
    ends = starts + random.normal(0.0, 20.0, (number, 2))
    rows = {token: row for row, token in enumerate(mapping.tokens)}
    for group in mapping.groups:
        spread = random.choice([0.1, 0.5, 1.5, 30.0])  # m
        for token, follow_ups in group.halves:
            places = ends[rows[token]] + random.normal(0.0, spread, (len(follow_ups), 2))
            starts[[rows[follow_up] for follow_up in follow_ups]] = places
    return SceneScores(mapping.tokens, columns, _motions(random, times), times, starts, ends)


def _motions(random: np.random.Generator, times_us: np.ndarray) -> torch.Tensor:
    """Pairs of plans [B, 41, 11] that differ by more or less; accelerations and headings grow steadily."""
    number = len(times_us)
    states = np.zeros((number, 41, 11))
    differs = np.repeat(random.choice([0.1, 1.0], number // 2), 2)[:, None]
    since = ((times_us - np.repeat(times_us[1::2], 2)) / 1e6)[:, None] + np.arange(41) / 10.0
    for column, change in ((5, 0.6), (6, 0.3), (2, 0.1)):
        shared = np.repeat(random.normal(0.0, 1.0, number // 2), 2)[:, None] * since
        own = random.normal(0.0, change, (number, 1)) * differs * since
        states[:, :, column] = shared + own + random.normal(0.0, 1e-4, (number, 41))
    return torch.from_numpy(states)


def reordered(scenes: SceneScores, rows: np.ndarray) -> SceneScores:
    """Some of the scenes, in another order."""
    return SceneScores(
        [scenes.tokens[row] for row in rows],
        {name: values[rows] for name, values in scenes.columns.items()},
        scenes.simulated_states[torch.from_numpy(rows)],
        scenes.times_us[rows],
        scenes.start_xy[rows],
        scenes.end_xy[rows],
    )


def with_value(scenes: SceneScores, token: str, name: str, value: float) -> SceneScores:
    """The same, with another sub-score of one scene."""
    changed = scenes.columns[name].copy()
    changed[list(scenes.tokens).index(token)] = value
    return replace(scenes, columns={**scenes.columns, name: changed})


def placed(
    scenes: SceneScores,
    starts: Optional[dict[str, tuple[float, float]]] = None,
    ends: Optional[dict[str, tuple[float, float]]] = None,
) -> SceneScores:
    """The same, with other starts or planned ends [m] of some scenes."""
    rows = {token: row for row, token in enumerate(scenes.tokens)}
    start_xy, end_xy = scenes.start_xy.copy(), scenes.end_xy.copy()
    for places, into in ((starts, start_xy), (ends, end_xy)):
        for token, place in (places or {}).items():
            into[rows[token]] = place
    return replace(scenes, start_xy=start_xy, end_xy=end_xy)
