"""The compiled rules on a batch of scenes: arrays of its tensors, blocks of trajectories, and a thread a core."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, Optional

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.common.conventions import NUM_STATES
from navsim_agents.common.processes import run_on_threads
from navsim_agents.scoring.aggregate import Judged
from navsim_agents.scoring.axes import EgoArea, State
from navsim_agents.scoring.compiled.comfort import Bounds, Smoothers
from navsim_agents.scoring.compiled.driving import Plans, drive_blocks
from navsim_agents.scoring.compiled.ego import Layers
from navsim_agents.scoring.compiled.following import Bench, Tracker
from navsim_agents.scoring.compiled.judging import Column, Places, Room, Rules, judge_blocks, judge_in_each
from navsim_agents.scoring.compiled.lanes import Keeping, LineTables
from navsim_agents.scoring.compiled.location import AreaTables
from navsim_agents.scoring.compiled.meetings import Meeting, Tracks
from navsim_agents.scoring.config import MetricConfig, TrackerConfig
from navsim_agents.scoring.scene_batch import SceneBatch

LANES = 64
"""Trajectories that are simulated side by side."""
Take = Callable[[], npt.NDArray[np.int64]]
SUB_SCORES = {
    "no_at_fault_collisions": Column.NO_COLLISION,
    "drivable_area_compliance": Column.DRIVABLE,
    "driving_direction_compliance": Column.DIRECTION,
    "time_to_collision_within_bound": Column.TTC,
}
OF_HISTORY = {
    "history_comfort": Column.COMFORT,
    "traffic_light_compliance": Column.LIGHTS,
    "lane_keeping": Column.LANE,
}
SHARES = 8
"""Parts of the work for each thread: one that is held up by others' work leaves its next part to the rest."""


class Compiled:
    """See :class:`~navsim_agents.scoring.engines.Engine`; works in float64 on the CPU, answers in the batch's dtype."""

    torch_threads: Optional[int] = 1
    works_on_all = False

    def __init__(self, threads: int = 1) -> None:
        """``threads`` share the work."""
        self.threads = threads
        self._tracks: Optional[tuple[Tensor, Tracks]] = None  # of the last poses of tracks

    def drive(
        self, batch: SceneBatch, plans: Float[Tensor, "B N P 3"], references: Float[Tensor, "B E S 3"]
    ) -> Float[Tensor, "B R S 11"]:
        """See the engine."""
        given = Plans(
            _floats(plans.cpu()),
            _floats(references),
            _floats(batch.ego_pose),
            _floats(batch.ego_state),
            _floats(batch.vehicle),
            _array(batch.model_knots_us),
            _array(batch.sample_times_us),
        )
        num_rows, tracker = plans.shape[1] + references.shape[1], tracker_of(batch.metric.tracker)
        states = np.empty((len(batch), num_rows, NUM_STATES, len(State)))

        def work(take: Take) -> None:
            bench = Bench.of(given.knots_us.shape[1], NUM_STATES, tracker.horizon, LANES)
            while len(blocks := take()):
                drive_blocks(tracker, given, bench, states, blocks)

        _on_threads(work, self.threads, len(batch), num_rows)
        return torch.from_numpy(states).to(batch.ego_state)

    def judge(self, batch: SceneBatch, states: Float[Tensor, "B R S 11"]) -> Judged:
        """See the engine."""
        places, rules = _places(batch, self._tracks_of(batch)), rules_of(batch.metric)
        shape, driven = states.shape[:2], _floats(states)
        areas, answers = np.empty((*shape, NUM_STATES, len(EgoArea)), dtype=np.bool_), np.empty((*shape, len(Column)))

        def work(take: Take) -> None:
            room = Room.of(places, NUM_STATES)
            while len(blocks := take()):
                judge_blocks(rules, places, room, driven, areas, answers, blocks)

        _on_threads(work, self.threads, *shape)
        found = torch.from_numpy(np.moveaxis(answers, -1, 0).copy())
        columns = {**SUB_SCORES, **(OF_HISTORY if batch.metric.uses_history else {"comfort": Column.COMFORT})}
        return Judged(
            columns={name: found[column].to(batch.ego_state) for name, column in columns.items()},
            areas=torch.from_numpy(areas),
            raw_progress=found[Column.PROGRESS].to(batch.ego_state),
            collision_step=found[Column.COLLISION_STEP].to(batch.ego_state),
            collision_track=found[Column.COLLISION_TRACK].long(),
            ttc_step=found[Column.TTC_STEP].to(batch.ego_state),
            ttc_track=found[Column.TTC_TRACK].long(),
        )

    def no_collision_with_each(self, crowd: SceneBatch, states: Float[Tensor, "1 1 S 11"]) -> Float[Tensor, "1 N"]:
        """See the engine."""
        places, rules = _places(crowd, self._tracks_of(crowd)), rules_of(crowd.metric)
        found = np.empty(len(places.columns))
        judge_in_each(rules, places, Room.of(places, NUM_STATES), _floats(states.flatten(0, 2)), found)
        return torch.from_numpy(found).to(crowd.ego_state)[None]

    def _tracks_of(self, batch: SceneBatch) -> Tracks:
        """Those of a batch; what differs from the last one in who sees them alone has the same."""
        if self._tracks is None or self._tracks[0] is not batch.track_poses:
            self._tracks = batch.track_poses, Tracks.of(batch, NUM_STATES)
        return self._tracks[1]


def _on_threads(work: Callable[[Take], None], count: int, num_scenes: int, num_rows: int) -> None:
    """Calls ``work`` on ``count`` threads, with a function that hands out blocks until none is left."""
    blocks = np.array([(b, i, min(i + LANES, num_rows)) for b in range(num_scenes) for i in range(0, num_rows, LANES)])
    threads = max(1, min(count, len(blocks)))
    shares = iter(np.array_split(blocks, min(len(blocks), threads * SHARES)))

    def take() -> npt.NDArray[np.int64]:
        return next(shares, blocks[:0])  # one step of the interpreter: no two threads get the same

    run_on_threads(lambda: work(take), threads)


@lru_cache(maxsize=8)
def tracker_of(config: TrackerConfig) -> Tracker:
    """Figures of the tracker for the kernels."""
    return Tracker.of(config, NUM_STATES - 1)


@lru_cache(maxsize=8)
def rules_of(metric: MetricConfig) -> Rules:
    """Figures of a metric for the kernels."""
    return Rules(
        Meeting.of(metric),
        Keeping.of(metric),
        Smoothers.of(metric),
        Bounds.of(metric.comfort),
        metric.uses_history,
    )


def _places(batch: SceneBatch, tracks: Tracks) -> Places:
    """Arrays of a batch; most share the tensors' memory."""
    red = batch.red_light_active
    if batch.sight is None:
        columns, until = (
            np.arange(tracks.valid.shape[1])[None],
            np.full((1, tracks.valid.shape[1]), tracks.valid.shape[2]),
        )
    else:
        columns = _array(batch.sight.track)
        until = np.where(columns < batch.sight.num_shared, _array(batch.sight.until), tracks.valid.shape[2])
    bits = red[:, :, :NUM_STATES].permute(0, 2, 1)[..., None] * batch.index.light_bits[:, None]
    return Places(
        vehicle=_floats(batch.vehicle),
        history=_floats(batch.history_states),
        history_length=np.array(batch.history_length) * batch.metric.uses_history,
        centerline=_floats(batch.centerline),
        tracks=tracks,
        columns=columns,
        until=until,
        red=_array(red),
        red_bits=_array(bits.sum(2)),
        areas=AreaTables.of(batch.index.areas),
        layers=Layers.of(batch.index),
        line=LineTables.of(batch.index.centerline),
        lights=LineTables.of(batch.index.lights),
    )


def _floats(values: Tensor) -> npt.NDArray[np.float64]:
    return _array(values.double())


def _array(values: Tensor) -> npt.NDArray[Any]:
    return np.asarray(values.detach().contiguous().numpy())
