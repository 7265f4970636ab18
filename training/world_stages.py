"""The stages that make what trainings on the built-in world need: two worlds, a pretrained encoder, labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from navsim_agents.common.conventions import EPDMS_NAME, FRONT_CAMERA
from training.demo_config import Pretraining, WorldSize
from training.pretraining.checkpoints import checkpoint_path
from training.pretraining.loop import CHECKPOINT_FOLDER
from training.stages import Stage, in_hydra

TRAIN_WORLD, TEST_WORLD = "world", "unseen_world"
TRAIN_FOLDER, TEST_FOLDER = "trainval", "test"  # of a world's logs and scoring scenes
MANIFEST, PRETRAINING = "clips", "pretraining"
VOCABULARY, LABELS, TEST_LABELS = "vocabulary", "labels", "unseen_labels"
LABELLED_METRIC = EPDMS_NAME


@dataclass(frozen=True)
class WorldStages:
    """A world to train on and one of other towns for the test, with what is made of them in ``output``."""

    output: Path
    train_world: WorldSize
    test_world: WorldSize
    pretraining: Pretraining
    vocabulary_size: int
    seed: int  # of the training's world; the test's has the next one
    workers: int
    threads: int
    needs_labels: bool
    world: tuple[str, ...] = ()  # settings of drive-jepa world, of both

    def stages(self) -> list[Stage]:
        """In their order."""
        stages = [
            self._world(TRAIN_WORLD, self.train_world, self.seed, "train"),
            self._world(TEST_WORLD, self.test_world, self.seed + 1, "test"),
        ]
        if self.pretraining.steps:
            clips = clips_stage(self.output, self.output / TRAIN_WORLD, TRAIN_FOLDER, self.workers)
            stages += [clips, self._pretraining()]
        if self.needs_labels:
            stages += [
                self._vocabulary(),
                self._labels(LABELS, TRAIN_WORLD, TRAIN_FOLDER),
                self._labels(TEST_LABELS, TEST_WORLD, TEST_FOLDER),
            ]
        return stages

    @property
    def encoder(self) -> Optional[str]:
        """The pretrained encoder's checkpoint, where there is one."""
        if not self.pretraining.steps:
            return None
        return str(checkpoint_path(self.output / PRETRAINING / CHECKPOINT_FOLDER, self.pretraining.steps))

    @property
    def vocabulary(self) -> Path:
        """The vocabulary's file."""
        return self.output / VOCABULARY / "vocabulary.npy"

    @property
    def scenes(self) -> Path:
        """Scoring scenes of the training's world."""
        return self.output / TRAIN_WORLD / "scoring_scenes"

    def _world(self, name: str, size: WorldSize, seed: int, split: str) -> Stage:
        folder = self.output / name
        shares = {share: int(share == split) for share in ("train", "val", "test")}
        arguments = (
            f"output={folder}",
            f"logs={size.logs}",
            f"seed={seed}",
            f"duration_s={size.duration_s:g}",
            f"splits={in_hydra(shares)}",
            f"cameras=[{FRONT_CAMERA}]",
            "skip_unseen_frames=true",
            *self.world,
        )
        purpose = (
            f"drive {size.logs} times {size.duration_s:g} s through towns of seed {seed}, rendering the front camera"
        )
        return Stage(name, purpose, "navsim_agents.world", arguments, folder, (f"workers={self.workers}",))

    def _pretraining(self) -> Stage:
        settings = (
            f"seed={self.seed}",
            "schedule.epochs=1",
            f"schedule.iterations_per_epoch={self.pretraining.steps}",
            *self.pretraining.settings,
        )
        root, manifest = self.output / TRAIN_WORLD, manifest_path(self.output)
        return pretraining_stage(PRETRAINING, self.output / PRETRAINING, manifest, root, settings, self.threads)

    def _vocabulary(self) -> Stage:
        arguments = (
            "source=logs",
            f"root={self.output / TRAIN_WORLD}",
            f"split={TRAIN_FOLDER}",
            f"k={self.vocabulary_size}",
            f"seed={self.seed}",
            f"output={self.vocabulary}",
        )
        purpose = f"cluster the driven trajectories into {self.vocabulary_size}"
        return Stage(VOCABULARY, purpose, "cache_tools.build_vocabulary", arguments, self.output / VOCABULARY)

    def _labels(self, name: str, world: str, folder: str) -> Stage:
        arguments = (
            f"scenes={self.output / world / 'scoring_scenes' / folder}",
            f"vocabulary={self.vocabulary}",
            f"metric={LABELLED_METRIC}",
            f"output={self.output / name}",
        )
        purpose = f"score the vocabulary in every scene of {world}: trajectories that score well are pseudo-teachers"
        running = (f"workers={self.workers}",)
        return Stage(name, purpose, "cache_tools.score_vocabulary", arguments, self.output / name, running)


def manifest_path(output: Path) -> Path:
    """The list of clips that :func:`clips_stage` makes."""
    return output / MANIFEST / "manifest.jsonl"


def clips_stage(output: Path, root: Path, split: str, workers: int) -> Stage:
    """List the pictures of a split of the logs at ``root``."""
    arguments = (
        "layout=navsim",
        "data_set=world",
        f"root={root}",
        f"split={split}",
        f"output={manifest_path(output)}",
    )
    purpose = "list the drives' pictures as videos"
    return Stage(MANIFEST, purpose, "cache_tools.index_videos", arguments, output / MANIFEST, (f"workers={workers}",))


def pretraining_stage(
    name: str, folder: Path, manifest: Path, root: Path, settings: Sequence[str], threads: int
) -> Stage:
    """Pretrain on the clips that ``manifest`` lists, pictures at ``root``, with further settings of the command."""
    arguments = (
        f"output={folder}",
        "data=world",
        f"data.data_sets.world.manifest={manifest}",
        f"data.data_sets.world.root={root}",
        *settings,
    )
    purpose = "teach the video encoder on the drives' pictures, without labels (V-JEPA)"
    return Stage(name, purpose, "training.pretrain", arguments, folder, (f"processes.threads={threads}",))
