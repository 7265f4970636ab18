"""Bytes and loading time of cached scoring scenes: by their own length, and padded to one.

    python -m benchmarks.cached_scenes                    # the recorded scenes of tests/scoring/golden/v2.2
    python -m benchmarks.cached_scenes --scenes FOLDER    # a SceneStore, a folder of them or of scene_*.npz

``training`` is the cache of training.train (memory maps), ``NAVSIM`` the devkit's (gzip of level 1 and pickle, default
collation). Batches are loaded and stacked in one process, files in memory; medians, both kinds in turn.
"""

from __future__ import annotations

import argparse
import gzip
import pickle
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

import torch
from torch import Tensor
from torch.utils.data import default_collate
from tqdm import tqdm

from benchmarks.scoring_tools import scenes_of
from navsim_agents.drive_jepa.scene_targets import SCORING_SCENE
from navsim_agents.drive_jepa.training_step import packed_batch
from navsim_agents.scoring import PackedText, ScoringScene, pack_scene
from training.columns import open_columns, open_writers
from training.dataset import collate

Value = Any  # a tensor of one length, or a text
Load = Callable[[list[int]], Tensor]


def training_cache(folder: Path, values: list[Value]) -> Load:
    """Write one log's column as training.cache does, and give its loader."""
    folder.mkdir()
    rows = [{SCORING_SCENE: value.numpy() if isinstance(value, Tensor) else value} for value in values]
    writers = open_writers(folder, rows[0], len(rows))
    for row in rows:
        writers[SCORING_SCENE].append(row[SCORING_SCENE])
    writers[SCORING_SCENE].close()
    (column,) = open_columns(folder).values()
    return lambda batch: collate([({}, {SCORING_SCENE: column[row]}) for row in batch])[1][SCORING_SCENE]


def navsim_cache(folder: Path, values: list[Value]) -> Load:
    """Write one file a scene as NAVSIM does, and give its loader."""
    folder.mkdir()
    for row, value in enumerate(values):
        with gzip.open(folder / f"{row}.gz", "wb", compresslevel=1) as file:
            pickle.dump({SCORING_SCENE: value}, file)

    def read(row: int) -> dict[str, Value]:
        with gzip.open(folder / f"{row}.gz", "rb") as file:
            return pickle.load(file)

    return lambda batch: packed_batch(default_collate([read(row) for row in batch])[SCORING_SCENE], torch.device("cpu"))


def load_all(load: Load, batches: list[list[int]]) -> float:
    """Seconds a batch."""
    start = time.perf_counter()
    for batch in batches:
        load(batch)
    return (time.perf_counter() - start) / len(batches)


def compare(scenes: list[ScoringScene], options: argparse.Namespace) -> None:
    own = [PackedText.of(pack_scene(scene)) for scene in scenes]
    padded = [pack_scene(scene, options.scene_bytes) for scene in scenes]
    rows = list(range(len(scenes)))
    batches = [rows[start : start + options.batch] for start in range(0, len(rows), options.batch)]
    print(f"{len(scenes)} scenes; padded, own (ratio){'bytes a scene':>20}{'ms a batch of ' + str(options.batch):>29}")
    for name, write in (("training", training_cache), ("NAVSIM", navsim_cache)):
        with tempfile.TemporaryDirectory() as folder:
            kinds = {"padded": padded, "own": own}
            loaders = {kind: write(Path(folder) / kind, values) for kind, values in kinds.items()}
            sizes = [sum(path.stat().st_size for path in (Path(folder) / kind).iterdir()) for kind in kinds]
            times: dict[str, list[float]] = {kind: [] for kind in kinds}
            for _ in tqdm(range(options.repeats + 1), desc=name, leave=False):
                for kind, load in loaders.items():
                    times[kind].append(load_all(load, batches))
        padded_s, own_s = (statistics.median(seconds[1:]) for seconds in times.values())
        before, after = (size / len(scenes) for size in sizes)
        print(
            f"{name:<20}{before:>14,.0f}{after:>12,.0f} ({after / before:.2f})"
            f"{1e3 * padded_s:>10.1f}{1e3 * own_s:>8.1f} ({own_s / padded_s:.2f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, help="recorded scenes of v2.2 by default")
    parser.add_argument("--count", type=int, default=96, help="scenes, over and over again where there are fewer")
    parser.add_argument("--scene-bytes", type=int, default=2_097_152, help="length of the padded ones")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    compare(scenes_of(options.scenes, options.count), options)


if __name__ == "__main__":
    main()
