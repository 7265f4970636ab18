"""One build's part of ``benchmarks.scoring_builds``: does what each line of its input names, and says what that took.

It is a program of its own, started with the build that is measured on PYTHONPATH, so it uses but public names that
every release has.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import torch

from navsim_agents.scoring import (
    ScoringScene,
    pack_scene,
    packed_size,
    score_batch,
    score_trajectories,
    unpack_scenes,
)

SCENES, PROPOSALS = 64, {"cpu": 32, "cuda": 64}
PACKED_ALIGNMENT = 4096  # bytes; more than any release asks for
SMALL, FEW = 512, 8  # trajectories, and packed scenes, after which everything that scoring loads is loaded
NEEDED_LATER = ("navsim_agents.scoring.compiled.run", "llvmlite.binding")  # by builds that compile their rules
Work = Callable[[], object]


def peak_mb() -> Optional[float]:
    """Most resident memory of this process so far [MB]; None where there is no /proc."""
    status = Path("/proc/self/status")
    return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024.0 if status.exists() else None


def import_the_rest() -> None:
    """Import what this build's scorer imports at its first use; no compiled code is loaded yet."""
    try:
        for name in NEEDED_LATER:
            import_module(name)
    except ImportError:  # one that compiles nothing
        return


def fresh(scene: ScoringScene) -> ScoringScene:
    """The scene without its index."""
    found = copy.copy(scene)
    vars(found).pop("index", None)
    return found


class Works:
    """What can be asked for. Each part is prepared anew, as (what is timed, how often it does the same)."""

    def __init__(self, scenes: dict[str, list[str]], plans: str, device: str) -> None:
        self.device = device
        self.scenes = [ScoringScene.load(path).to(device) for path in scenes["epdms"]]
        self.largest = {metric: ScoringScene.load(paths[0]).to(device) for metric, paths in scenes.items()}
        self.plans = torch.from_numpy(np.load(plans)).to(device)
        self._packed: Optional[tuple[torch.Tensor, torch.Tensor]] = None

    def epdms(self) -> tuple[Work, int]:
        return lambda: score_trajectories(self.largest["epdms"], self.plans, metric="epdms"), 1

    def pdms(self) -> tuple[Work, int]:
        return lambda: score_trajectories(self.largest["pdms"], self.plans, metric="pdms"), 1

    def packed(self) -> tuple[Work, int]:
        packed, rows = self._packed = self._packed or self._pack()
        return lambda: score_batch(unpack_scenes(packed, "epdms"), rows), 1

    def index(self) -> tuple[Work, int]:
        scenes = [fresh(self.largest["epdms"]) for _ in range(9)]
        return lambda: [scene.index for scene in scenes], len(scenes)

    def indices(self) -> tuple[Work, int]:
        scenes = [fresh(scene) for scene in self.scenes]
        return lambda: [scene.index for scene in scenes], len(scenes)

    def _pack(self) -> tuple[torch.Tensor, torch.Tensor]:
        batch = [self.scenes[row % len(self.scenes)] for row in range(SCENES)]
        num_bytes = -(-max(map(packed_size, self.scenes)) // PACKED_ALIGNMENT) * PACKED_ALIGNMENT
        proposals = PROPOSALS[self.device]
        order = torch.arange(SCENES * proposals) * 1009 % len(self.plans)
        packed = torch.stack([pack_scene(scene, num_bytes) for scene in batch])
        return packed.to(self.device), self.plans[order.to(self.device)].unflatten(0, (SCENES, proposals))

    def time(self, name: str) -> dict[str, float]:
        """Seconds on the clock and of the processors."""
        work, count = getattr(self, name)()
        self._wait()
        wall, busy = time.perf_counter(), time.process_time()
        work()
        self._wait()
        return {"wall_s": (time.perf_counter() - wall) / count, "busy_s": (time.process_time() - busy) / count}

    def answers(self, name: str) -> dict[str, list[float]]:
        """Every column of the answers."""
        found = score_trajectories(self.largest[name], self.plans, metric=name)
        return {column: values.double().tolist() for column, values in found.items() if values.ndim == 1}

    def memory(self, name: str) -> dict[str, Optional[float]]:
        """Most memory [MB] with the inputs, once all code is loaded, and after the work; on a GPU its own memory."""
        work, _ = getattr(self, name)()
        inputs = self._peak_mb()
        if name == "packed":
            packed, rows = self._packed or self._pack()
            score_batch(unpack_scenes(packed[:FEW], "epdms"), rows[:FEW])
        elif name in self.largest:
            score_trajectories(self.largest[name], self.plans[:SMALL], metric=name)
        loaded = self._peak_mb()
        work()
        return {"inputs_mb": inputs, "loaded_mb": loaded, "peak_mb": self._peak_mb()}

    def _peak_mb(self) -> Optional[float]:
        return peak_mb() if self.device == "cpu" else torch.cuda.max_memory_allocated() / 2**20

    def _wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()


def say(answer: dict[str, Any]) -> None:
    """One line to whoever asked."""
    print(json.dumps(answer), flush=True)


def main() -> None:
    """Answer line by line until the input ends."""
    begun = peak_mb()
    import_the_rest()
    imported = peak_mb()
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(settings.pop("threads"))
    works = Works(**settings)
    is_here = works.device == "cpu"
    say({"begun_mb": begun if is_here else 0.0, "imported_mb": imported if is_here else 0.0})
    for line in sys.stdin:
        kind, name = line.split()
        say(getattr(works, kind)(name))


if __name__ == "__main__":
    main()
