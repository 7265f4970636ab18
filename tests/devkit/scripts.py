"""NAVSIM's own scripts, run as a user runs them, on the built-in world.

Beside the devkit nothing is put on ``PYTHONPATH``: the package has to be installed (``make test-devkit`` does it).
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from navsim_agents.devkit.variant import Variant

ROOT = Path(__file__).resolve().parents[2]
AGENT = "agent=drive_jepa_perception_free_small"
# Scenes start at every frame: v2.2's one-stage script needs neighbours 0.5 s apart.
EVERY_FRAME = "train_test_split.scene_filter.frame_interval=1"
TEST_SPLIT = ("train_test_split=test", EVERY_FRAME)
SEQUENTIAL = "worker=sequential"
RAY = "worker=ray_distributed"
CPU_TRAINER = (
    "trainer.params.accelerator=cpu",
    "trainer.params.precision=32",
    "trainer.params.max_epochs=1",
    "dataloader.params.batch_size=4",
    "dataloader.params.num_workers=0",
    "dataloader.params.prefetch_factor=null",
    "dataloader.params.pin_memory=false",
)
SUBMITTER = ("team_name=team", "authors=[author]", "email=a@b.c", "institution=here", "country=everywhere")


@dataclass(frozen=True)
class Devkit:
    """One devkit, one world, and where its results go."""

    variant: Variant
    location: Path  # the package navsim
    world: Path
    experiments: Path
    train_logs: tuple[str, ...]
    val_logs: tuple[str, ...]

    @property
    def train_split(self) -> tuple[str, ...]:
        """Overrides that put the world's logs in the place of nuPlan's."""
        return (
            "train_test_split=trainval",
            EVERY_FRAME,
            f"train_logs=[{','.join(self.train_logs)}]",
            f"val_logs=[{','.join(self.val_logs)}]",
        )

    @property
    def score_script(self) -> str:
        """The script that scores navtest: v2.2's ``run_pdm_score`` is the two-stage one."""
        return "run_pdm_score" if self.variant is Variant.V1_1 else "run_pdm_score_one_stage"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that the scripts read."""
        return {
            **os.environ,
            "OPENSCENE_DATA_ROOT": str(self.world),
            "NUPLAN_MAPS_ROOT": str(self.world / "maps"),
            "NUPLAN_MAP_VERSION": "nuplan-maps-v1.0",
            "NAVSIM_EXP_ROOT": str(self.experiments),
            "HYDRA_FULL_ERROR": "1",
            "RAY_raylet_start_wait_time_s": "300",  # a loaded machine starts Ray slowly
        }

    def run(self, script: str, *overrides: str) -> str:
        """Run a script, and return what it printed; a failure carries the end of it."""
        return self._run(str(self.location / "planning" / "script" / f"{script}.py"), *overrides)

    def run_module(self, module: str, *overrides: str) -> str:
        """Run a command of ours in the same environment."""
        return self._run("-m", module, *overrides)

    def run_benchmark(self, module: str, *options: str) -> str:
        """Run a benchmark, which no installation brings, from the folder of these tests."""
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from benchmarks.{module} import main; main()"
        return self._run("-c", code, *options)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.environment,
            cwd=self.experiments,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout[-6000:]}"
        return done.stdout

    def outputs(self, experiment: str, pattern: str) -> list[Path]:
        """Files of an experiment, oldest first."""
        return sorted((self.experiments / experiment).rglob(pattern), key=lambda path: path.stat().st_mtime)

    def score(self, experiment: str, *overrides: str) -> pd.DataFrame:
        """Rows of the scenes, without the script's averages, indexed by token."""
        self.run(self.score_script, *TEST_SPLIT, f"experiment_name={experiment}", *overrides)
        rows = pd.read_csv(self.outputs(experiment, "*.csv")[-1], index_col=0, converters={"token": str}).set_index(
            "token"
        )
        return rows[~rows.index.str.contains("average|extended_pdm_score")]
