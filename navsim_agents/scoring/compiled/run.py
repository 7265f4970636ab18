"""The compiled rules on a batch of scenes: arrays of its tensors, blocks of trajectories, and a thread a core."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Optional

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.common.conventions import NUM_STATES
from navsim_agents.scoring.compiled.comfort import Bounds, Signals, Smoothers
from navsim_agents.scoring.compiled.ego import Ego, Layers
from navsim_agents.scoring.compiled.following import Bench, Tracker
from navsim_agents.scoring.compiled.lanes import Keeping, LineTables
from navsim_agents.scoring.compiled.location import AreaTables
from navsim_agents.scoring.compiled.meetings import Meeting, Tracks
from navsim_agents.scoring.compiled.rows import NUM_STATE, Answers, Column, Room, Rules, Scenes, score_blocks
from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.scene_batch import SceneBatch

LANES = 64
"""Trajectories that are simulated side by side."""
SHARES = 8
"""Parts of the work for each thread: one that is held up by others' work leaves its next part to the rest."""


def evaluate_rows(batch: SceneBatch, plans: Float[Tensor, "B N P 3"], references: Float[Tensor, "B E S 3"]) -> Answers:
    """Answers for the plans of each scene and E more trajectories whose reference poses are known.

    Everything is float64, on the CPU.
    """
    scenes = _scenes(batch, plans, references)
    num_scenes, num_rows = len(batch), plans.shape[1] + references.shape[1]
    answers = Answers(
        np.empty((num_scenes, num_rows, NUM_STATES, NUM_STATE)),
        np.empty((num_scenes, num_rows, NUM_STATES, 3), dtype=np.bool_),
        np.empty((num_scenes, num_rows, len(Column))),
    )
    blocks = np.array([(b, i, min(i + LANES, num_rows)) for b in range(num_scenes) for i in range(0, num_rows, LANES)])
    threads = max(1, min(torch.get_num_threads(), len(blocks)))
    shares = iter(np.array_split(blocks, min(len(blocks), threads * SHARES)))  # a thread takes the next: one step
    rules = rules_of(batch.metric)

    def work() -> None:
        room = _room(scenes, rules)
        for share in shares:
            score_blocks(rules, scenes, room, answers, share)

    if threads == 1:
        work()
        return answers
    running = [_pool(os.getpid(), threads - 1).submit(work) for _ in range(threads - 1)]
    work()
    for one in running:
        one.result()
    return answers


@lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads of this process; a process that was forked has none of its parent's."""
    return ThreadPoolExecutor(threads, thread_name_prefix="scoring")


@lru_cache(maxsize=8)
def rules_of(metric: MetricConfig) -> Rules:
    """Figures of a metric for the kernels."""
    return Rules(
        Tracker.of(metric.tracker, NUM_STATES - 1),
        Meeting.of(metric),
        Keeping.of(metric),
        Smoothers.of(metric),
        Bounds.of(metric.comfort),
        metric.uses_history,
    )


def _room(scenes: Scenes, rules: Rules) -> Room:
    num_words = scenes.layers.lanes.shape[1]
    return Room(
        Bench.of(scenes.knots_us.shape[1], NUM_STATES, rules.tracker.horizon, LANES),
        Ego.of(NUM_STATES, num_words),
        np.empty(NUM_STATES),
        Signals.of(scenes.history.shape[1] + NUM_STATES),
    )


def _scenes(batch: SceneBatch, plans: Tensor, references: Tensor, seen: Optional[tuple[Tensor, Tensor]] = None) -> Scenes:
    """Arrays of a batch; most share the tensors' memory."""
    tracks = Tracks.of(batch, NUM_STATES)
    num_tracks, num_columns = tracks.valid.shape[1:]
    red = batch.red_light_active
    bits = red[:, :, :NUM_STATES].permute(0, 2, 1)[..., None] * batch.index.light_bits[:, None]
    return Scenes(
        plans=_array(plans.double()),
        references=_array(references.double()),
        ego_pose=_array(batch.ego_pose.double()),
        ego_state=_array(batch.ego_state.double()),
        vehicle=_array(batch.vehicle.double()),
        knots_us=_array(batch.model_knots_us),
        samples_us=_array(batch.sample_times_us),
        history=_array(batch.history_states.double()),
        history_length=np.array(batch.history_length) * batch.metric.uses_history,
        centerline=_array(batch.centerline.double()),
        tracks=tracks,
        columns=np.arange(num_tracks)[None],
        until=np.full((1, num_tracks), num_columns),
        red=_array(red),
        red_bits=_array(bits.sum(2)),
        areas=AreaTables.of(batch.index.areas),
        layers=Layers.of(batch.index),
        line=LineTables.of(batch.index.centerline),
        lights=LineTables.of(batch.index.lights),
    )


def _array(values: Tensor) -> np.ndarray:
    return values.detach().contiguous().numpy()
