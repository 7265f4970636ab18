"""The compiled rules on a batch of scenes: arrays of its tensors, blocks of trajectories, and a thread a core."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, NamedTuple, Optional

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
from navsim_agents.scoring.compiled.driving import Plans, drive_block
from navsim_agents.scoring.compiled.ego import Layers
from navsim_agents.scoring.compiled.following import Bench, Tracker
from navsim_agents.scoring.compiled.judging import Column, Places, Room, Rules, judge_block, judge_in_each
from navsim_agents.scoring.compiled.lanes import Keeping, LineTables
from navsim_agents.scoring.compiled.location import AreaTables
from navsim_agents.scoring.compiled.meetings import Meeting, Tracks
from navsim_agents.scoring.config import MetricConfig, TrackerConfig
from navsim_agents.scoring.scene_batch import SceneBatch

LANES = 64
"""Trajectories that are simulated side by side, at most, and handed out at once: who loses a core holds up no more."""
Block = Callable[..., None]
"""Does a block of work: trajectories from one to before another of a scene."""
Maker = Callable[[], Block]
"""What a thread calls for a block function of its own."""
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
        states = _room_for_states(plans, references)
        self._work(*states.shape[:2], _driving(batch, plans, references, states))
        return torch.from_numpy(states).to(batch.ego_state)

    def judge(self, batch: SceneBatch, states: Float[Tensor, "B R S 11"]) -> Judged:
        """See the engine."""
        driven = _floats(states)
        found = Answers.for_states(driven)
        self._work(*driven.shape[:2], _judging(batch, self._tracks_of(batch), driven, found))
        return found.as_tensors(batch)

    def drive_and_judge(
        self, batch: SceneBatch, plans: Float[Tensor, "B N P 3"], references: Float[Tensor, "B E S 3"]
    ) -> tuple[Float[Tensor, "B R S 11"], Judged]:
        """See the engine; a block is judged as soon as it has been driven."""
        states = _room_for_states(plans, references)
        found = Answers.for_states(states)
        self._work(
            *states.shape[:2],
            _driving(batch, plans, references, states),
            _judging(batch, self._tracks_of(batch), states, found),
        )
        return torch.from_numpy(states).to(batch.ego_state), found.as_tensors(batch)

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

    def _work(self, num_scenes: int, num_rows: int, *makers: Maker) -> None:
        """Each thread does one block after the other with functions of its own, until none is left."""
        blocks = blocks_of(num_scenes, num_rows)
        left = iter(blocks)

        def work() -> None:
            steps = [make() for make in makers]
            for block in left:  # one step of the interpreter: no two threads get the same
                for step in steps:
                    step(*block)

        run_on_threads(work, max(1, min(self.threads, len(blocks))))


class Answers(NamedTuple):
    """What the rules say of states [B, R, S, 11]."""

    areas: npt.NDArray[np.bool_]  # [B, R, S, 3]
    columns: npt.NDArray[np.float64]  # [B, R, C]

    @staticmethod
    def for_states(states: npt.NDArray[np.float64]) -> Answers:
        """Room for them."""
        return Answers(
            np.empty((*states.shape[:3], len(EgoArea)), dtype=np.bool_), np.empty((*states.shape[:2], len(Column)))
        )

    def as_tensors(self, batch: SceneBatch) -> Judged:
        """In the batch's dtype."""
        found = torch.from_numpy(np.moveaxis(self.columns, -1, 0).copy())
        columns = {**SUB_SCORES, **(OF_HISTORY if batch.metric.uses_history else {"comfort": Column.COMFORT})}
        return Judged(
            columns={name: found[column].to(batch.ego_state) for name, column in columns.items()},
            areas=torch.from_numpy(self.areas),
            raw_progress=found[Column.PROGRESS].to(batch.ego_state),
            collision_step=found[Column.COLLISION_STEP].to(batch.ego_state),
            collision_track=found[Column.COLLISION_TRACK].long(),
            ttc_step=found[Column.TTC_STEP].to(batch.ego_state),
            ttc_track=found[Column.TTC_TRACK].long(),
        )


def is_kept() -> bool:
    """Whether all that scores in logged traffic was compiled before."""
    return drive_block.is_kept and judge_block.is_kept


def blocks_of(num_scenes: int, num_rows: int) -> list[tuple[int, int, int]]:
    """Scene, first row and the one behind the last of each block; those of a scene are about equally long."""
    count = -(-num_rows // LANES)
    bounds = [num_rows * number // count for number in range(count + 1)]
    return [(scene, *rows) for scene in range(num_scenes) for rows in zip(bounds, bounds[1:])]


def _room_for_states(plans: Tensor, references: Tensor) -> npt.NDArray[np.float64]:
    return np.empty((len(plans), plans.shape[1] + references.shape[1], NUM_STATES, len(State)))


def _driving(batch: SceneBatch, plans: Tensor, references: Tensor, states: npt.NDArray[np.float64]) -> Maker:
    """What simulates blocks of plans, and of references behind them, into ``states`` [B, R, S, 11]."""
    given = Plans(
        _floats(plans.cpu()),
        _floats(references),
        _floats(batch.ego_pose),
        _floats(batch.ego_state),
        _floats(batch.vehicle),
        _array(batch.model_knots_us),
        _array(batch.sample_times_us),
    )
    tracker, lanes = tracker_of(batch.metric.tracker), min(LANES, states.shape[1])

    def make() -> Block:
        bench = Bench.of(given.knots_us.shape[1], NUM_STATES, tracker.horizon, lanes)
        return drive_block.bound(tracker, given, bench, states)

    return make


def _judging(batch: SceneBatch, tracks: Tracks, states: npt.NDArray[np.float64], found: Answers) -> Maker:
    """What judges blocks of ``states`` [B, R, S, 11]."""
    places, rules = _places(batch, tracks), rules_of(batch.metric)
    return lambda: judge_block.bound(rules, places, Room.of(places, NUM_STATES), states, *found)


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
