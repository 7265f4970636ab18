"""Parity with the devkit over the scenes of a metric cache, with a report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from navsim_agents.common.files import write_text
from navsim_agents.devkit.cache_files import list_metric_cache
from navsim_agents.devkit.cache_pickle import read_metric_cache
from navsim_agents.devkit.logged_future import LoggedFutures
from navsim_agents.devkit.metric_cache import cache_variant
from navsim_agents.devkit.parity import (
    SceneParity,
    ScoredScene,
    are_consecutive,
    compare_alone,
    compare_extended_comfort,
    compare_scene,
    score_both,
)
from navsim_agents.devkit.parity_plans import plans_among_others
from navsim_agents.devkit.traffic_parity import compare_traffic
from navsim_agents.devkit.variant import Variant
from navsim_agents.scoring.axes import State

SLOWEST_MPS = 3.0  # plans among others of a standing car move too
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ParityOptions:
    """What to compare."""

    scenes: int
    trajectories: int  # per scene
    alone: int  # of them, scored one by one by the devkit too
    tolerance: float  # of states, progress and scores
    seed: int
    traffic: int = 0  # of them too, in traffic that reacts (v2.2, with its maps)


@dataclass(frozen=True)
class ParityReport:
    """Every scene's differences."""

    variant: str
    options: ParityOptions
    scenes: list[SceneParity]

    @property
    def num_different(self) -> int:
        """Scenes with any difference beyond the tolerance."""
        return sum(not scene.is_equal(self.options.tolerance) for scene in self.scenes)

    def summary(self) -> dict[str, Any]:
        """The whole run in a few numbers."""
        names = sorted({name for scene in self.scenes for name in scene.continuous_distance})
        mismatches: dict[str, int] = {}
        seen: dict[str, set[float]] = {}
        for scene in self.scenes:
            for name, rows in scene.discrete_mismatches.items():
                mismatches[name] = mismatches.get(name, 0) + len(rows)
            for name, values in scene.values_seen.items():
                seen.setdefault(name, set()).update(values)
        return {
            "devkit": self.variant,
            "scenes": len(self.scenes),
            "trajectories": sum(scene.num_trajectories for scene in self.scenes),
            "scenes_that_differ": self.num_different,
            "max_state_distance": max(scene.state_distance for scene in self.scenes),
            "max_raw_progress_distance": max(scene.raw_progress_distance for scene in self.scenes),
            **{f"max_{name}_distance": max(scene.continuous_distance[name] for scene in self.scenes) for name in names},
            "discrete_mismatches": mismatches,
            "scored_alone_by_the_devkit": sum(scene.num_alone for scene in self.scenes),
            "max_alone_distance": max(scene.alone_distance for scene in self.scenes),
            "max_filtered_distance": max(scene.filtered_distance for scene in self.scenes),
            "excused_by_the_human": sum(scene.num_excused for scene in self.scenes),
            "extended_comfort_pairs": sum(scene.num_pairs for scene in self.scenes),
            "values_seen": {name: sorted(values) for name, values in sorted(seen.items())},
            **({"reactive_traffic": traffic_summary(self.scenes)} if self.options.traffic else {}),
        }

    def write(self, path: Path) -> None:
        """Write summary and scenes as JSON, whole or not at all."""
        content = {
            "summary": self.summary(),
            "options": asdict(self.options),
            "scenes": [asdict(s) for s in self.scenes],
        }
        write_text(path, json.dumps(content, indent=1))


def measure_parity(
    cache: Path,
    options: ParityOptions,
    vocabulary: Optional[FloatArray],
    futures: Optional[LoggedFutures] = None,
) -> ParityReport:
    """Compare the first scenes of a metric cache, in order of log and time.

    Args:
        vocabulary: trajectories [V, 40, 3] at 0.1 s.
        futures: logs that give v1.1's scenes their human trajectory, which is then among the trajectories.

    Raises:
        DevkitError: there is no metric cache, or a file of it cannot be read.
        SceneError: a scene breaks a rule of the contract.
    """
    scenes: list[SceneParity] = []
    variant = Variant.NONE
    generator = np.random.default_rng(options.seed)
    previous: Optional[ScoredScene] = None
    caches = _in_order_of_time(cache, options.scenes)
    for metric_cache in tqdm(caches, total=options.scenes, desc="parity"):
        variant = cache_variant(metric_cache)
        in_traffic = options.traffic > 0
        scored, plans = score_both(metric_cache, options.trajectories, generator, vocabulary, futures, in_traffic)
        parity = compare_scene(scored)
        if options.alone:
            compare_alone(parity, metric_cache, plans, scored, options.alone)
        if in_traffic:
            among = plans_among_others(
                max(float(scored.scene.ego_state[State.VELOCITY_X]), SLOWEST_MPS), options.traffic, generator
            )
            parity.traffic = compare_traffic(metric_cache, scored.scene, among, options.tolerance)
        if variant is Variant.V2_2 and previous is not None and are_consecutive(scored.scene, previous.scene):
            compare_extended_comfort(parity, scored, previous)
        scenes.append(parity)
        previous = scored
    return ParityReport(variant.value, options, scenes)


def traffic_summary(scenes: list[SceneParity]) -> dict[str, Any]:
    """Of reactive traffic: how much was compared, the largest differences, and each that lies beyond the tolerance."""
    found = {scene.token: scene.traffic for scene in scenes}
    traffic = list(found.values())
    return {
        "plans": sum(one.num_plans for one in traffic),
        "plans_that_change_it": sum(one.num_reacting for one in traffic),
        "max_box_distance": max(one.box_distance for one in traffic),
        "steps_with_other_tracks": sum(one.other_tracks for one in traffic),
        "max_score_distance": max(one.score_distance for one in traffic),
        "max_filtered_distance": max(one.filtered_distance for one in traffic),
        "excused_by_the_human": sum(one.num_excused for one in traffic),
        "differences": [f"{token}, {line}" for token, one in found.items() for line in one.mismatches],
    }


def _in_order_of_time(cache: Path, count: int) -> Iterator[Any]:
    """The devkit's caches of the first ``count`` scenes; a log's are read together to be put in order."""
    entries = list_metric_cache(cache).entries
    logs = sorted({entry.log_name for entry in entries})
    num_left = count
    for log in logs:
        caches = [read_metric_cache(entry.path) for entry in entries if entry.log_name == log]
        for metric_cache in sorted(caches, key=lambda item: int(item.ego_state.time_point.time_us))[:num_left]:
            num_left -= 1
            yield metric_cache
        if num_left <= 0:
            return
