"""What the rows learn from and are tested on: given, or made on the built-in world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from navsim_agents.common.settings import read_settings
from navsim_agents.errors import InputError
from training.ablation.config import AblateConfig, Row
from training.config import TrainConfig
from training.report.provenance import versions
from training.stages import run_stages
from training.world_stages import LABELS, TEST_FOLDER, TEST_WORLD, TRAIN_FOLDER, TRAIN_WORLD

DISTRIBUTION = "navsim-drive-jepa"


@dataclass(frozen=True)
class Inputs:
    """Paths, each as a command's setting takes it."""

    root: str
    split: str
    scenes: Optional[str]
    labels: Optional[str]
    vocabulary: Optional[str]
    encoder: Optional[str]
    test_root: str
    test_split: str
    test_scenes: Optional[str]


def prepare_inputs(config: AblateConfig) -> Inputs:
    """Those that are given; else the built-in world's, made by the stages that are not finished.

    Raises:
        StageError: a stage failed.
    """
    given = config.given
    if given.root is not None and given.test_root is not None:
        return Inputs(**{name: getattr(given, name) for name in Inputs.__dataclass_fields__})
    output, world = Path(config.output), config.world
    run_stages(output, world.stages(), version(), {"OMP_NUM_THREADS": str(world.threads)})
    return Inputs(
        root=str(output / TRAIN_WORLD),
        split=TRAIN_FOLDER,
        scenes=str(world.scenes),
        labels=str(output / LABELS),
        vocabulary=str(world.vocabulary),
        encoder=given.encoder or world.encoder,
        test_root=str(output / TEST_WORLD),
        test_split=TEST_FOLDER,
        test_scenes=None,
    )


def version() -> str:
    """This package's version; results of another one are not taken for ours."""
    return versions().get(DISTRIBUTION, "")


def train_settings(config: AblateConfig, inputs: Inputs, row: Row, seed: int) -> TrainConfig:
    """Settings of a row's training as ``drive-jepa train`` reads them; output and cache are still to be chosen.

    Raises:
        InputError: Hydra or the command refuses a setting.
    """
    overrides = [
        f"agent={row.agent}",
        f"data.root={in_quotes(inputs.root)}",
        f"data.split={inputs.split}",
        "output=undecided",
        f"seed={seed}",
        f"threads={config.threads}",
        "cache.workers=0",
        "+trainer.params.enable_progress_bar=false",  # several trainings write to one terminal
    ]
    if row.is_pretrained:
        overrides.append(f"agent.encoder_checkpoint_path={in_quotes(row.encoder or inputs.encoder)}")
    if row.needs_labels:
        overrides += [
            f"agent.config.scenes={in_quotes(inputs.scenes)}",
            f"agent.config.teachers.label_store={in_quotes(inputs.labels)}",
            f"agent.config.teachers.vocabulary={in_quotes(inputs.vocabulary)}",
            "agent.config.momentum.mode=off",  # it chooses, it does not learn; and it needs one more picture
        ]
    return read_settings(TrainConfig, composed([*overrides, *config.training, *row.overrides]))


def composed(overrides: Sequence[str]) -> Any:
    """The settings of ``drive-jepa train`` with ``overrides``.

    Raises:
        InputError: Hydra refuses one.
    """
    running = Singleton.get_state()  # where a command composes, Hydra is at work already
    try:
        GlobalHydra.instance().clear()
        with hydra.initialize_config_module("training.conf", version_base="1.2"):
            return hydra.compose("train", overrides=list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(f"drive-jepa train refuses settings: {' '.join(str(error).split())}; correct them") from error
    finally:
        Singleton.set_state(running)


def in_quotes(path: Optional[str]) -> str:
    """A path as Hydra's command line reads it, whatever stands in it."""
    return "'" + str(path).replace("'", "\\'") + "'"
