"""The trainings behind the rows: each made once, whichever rows and seeds ask for it, and kept from call to call."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

from navsim_agents.common.ending import is_machines_fault
from navsim_agents.common.files import read_json, write_json
from navsim_agents.common.processes import try_jobs
from navsim_agents.data.logs import sensors_of
from navsim_agents.drive_jepa.runs import RESULT_FILE, build_agent
from navsim_agents.evaluation.seeds import seeded
from navsim_agents.sources import LoggedScenes, split_logs
from training.ablation.config import AblateConfig
from training.ablation.identity import Digests, content_hash
from training.ablation.inputs import Inputs, train_settings
from training.cache import Builders, build_cache
from training.config import CacheConfig, TrainConfig
from training.fitting import train

RUN_FILE = "ablation_run.json"


@dataclass(frozen=True)
class Training:
    """One training; those of one identity learn the same."""

    name: str  # of the first row that asked for it
    seed: int
    settings: TrainConfig  # with the folder that it has
    identity: str

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return Path(self.settings.output)

    @property
    def is_finished(self) -> bool:
        """Whether there are weights to plan with."""
        return (self.folder / RESULT_FILE).exists()


@dataclass(frozen=True)
class Cost:
    """What a training took, all calls together."""

    seconds: float
    processor_seconds: float


@dataclass
class Trainings:
    """By row and seed, and why some rows have none."""

    of_row: dict[tuple[str, int], Training] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)  # row -> reason

    @property
    def distinct(self) -> list[Training]:
        """Each once."""
        return list({training.identity: training for training in self.of_row.values()}.values())

    def drop(self, row: str, reason: str) -> None:
        """Leave a row out of the table."""
        self.failures.setdefault(row, reason)
        self.of_row = {key: training for key, training in self.of_row.items() if key[0] != row}

    def drop_training(self, failed: Training, reason: str) -> None:
        """Leave out every row that needs it."""
        rows = {row for (row, _), training in self.of_row.items() if training.identity == failed.identity}
        for row in sorted(rows):
            self.drop(row, f"training with seed {failed.seed}: {reason}")


def plan_trainings(config: AblateConfig, inputs: Inputs) -> Trainings:
    """Which trainings the rows need, each in its folder, kept ones among them; a bad row costs one row."""
    found, made = Trainings(), dict[str, Training]()
    digests = Digests()
    for name, row in config.all_rows.items():
        try:
            settings = {seed: train_settings(config, inputs, row, seed) for seed in config.seeds}
            identities = {seed: digests.identity(its) for seed, its in settings.items()}
        except Exception as error:  # of an agent that is no class of ours, anything
            if is_machines_fault(error):
                raise
            found.drop(name, _reason(error))
            continue
        for seed, identity in identities.items():
            folder = config.folder("trainings") / folder_name(config, name, seed)
            training = Training(name, seed, replace(settings[seed], output=str(folder)), identity)
            found.of_row[name, seed] = made.setdefault(identity, training)
    tidy(config.folder("trainings"), {its.folder.name: its.identity for its in found.distinct})
    return found


def folder_name(config: AblateConfig, row: str, seed: int) -> str:
    """What a row's training, and its agent in the evaluation, is called: as the row where there is one seed."""
    return seeded(row, seed) if len(config.seeds) > 1 else row


def tidy(folder: Path, wanted: Mapping[str, str]) -> None:
    """Let every training that is there already lie under its name.

    Args:
        folder: of all trainings.
        wanted: name → identity; another training of a wanted name is kept as ``<name>.<its identity>``.
    """
    for name, identity in wanted.items():
        kept = _identity_in(folder / name)
        if (folder / name).exists() and kept != identity:
            (folder / name).rename(_free(folder, f"{name}.{kept or 'other'}"))
    kept_as = {_identity_in(path.parent): path.parent for path in sorted(folder.glob(f"*/{RUN_FILE}"))}
    for name, identity in wanted.items():
        if identity in kept_as and kept_as[identity].name != name:
            kept_as[identity].rename(folder / name)


def _identity_in(folder: Path) -> Optional[str]:
    path = folder / RUN_FILE
    return str(read_json(path)["identity"]) if path.exists() else None


def _free(folder: Path, name: str) -> Path:
    names = [name, *(f"{name}.{number}" for number in range(2, 1000))]
    return next(folder / its for its in names if not (folder / its).exists())


def prepare_caches(config: AblateConfig, trainings: Trainings) -> None:
    """Compute features and targets, once for all trainings that need the same; a bad row costs one row."""
    for row in dict.fromkeys(row for row, _ in list(trainings.of_row)):
        try:
            _prepare_cache(config, trainings, row)
        except Exception as error:
            if is_machines_fault(error):
                raise
            trainings.drop(row, _reason(error))


def _prepare_cache(config: AblateConfig, trainings: Trainings, row: str) -> None:
    keys = [key for key in trainings.of_row if key[0] == row]
    settings = trainings.of_row[keys[0]].settings
    data, agent = settings.data, build_agent(settings.agent)
    source = LoggedScenes(data.root, data.split, sensors_of([agent]), data.frame_interval)
    builders = Builders.of(agent)
    stamp = [builders.stamp(), data.frame_interval]
    folder = config.folder("cache") / content_hash(stamp)
    logs = split_logs(source.log_names(), data.train_logs, data.val_logs, data.val_fraction)
    build_cache(folder, source, builders, [*logs[0], *logs[1]], workers=config.workers)
    cache = CacheConfig(path=str(folder), workers=0)
    for key in keys:
        training = trainings.of_row[key]
        trainings.of_row[key] = replace(training, settings=replace(training.settings, cache=cache))


def run_trainings(config: AblateConfig, trainings: Trainings) -> None:
    """Make those that are not there yet, ``config.workers`` at a time; one that fails costs the rows that need it."""
    missing = [training for training in trainings.distinct if not training.is_finished]
    _say(f"{len(missing)} of {len(trainings.distinct)} trainings to make, {max(1, config.workers)} at a time")
    outcomes = try_jobs(run_training, missing, config.workers, threads=config.threads)
    for number, (training, future) in enumerate(outcomes, start=1):
        error = future.exception()
        title = f"[{number}/{len(missing)}] {training.name}, seed {training.seed}"
        if error is None:
            cost = future.result()
            _say(f"{title}: {cost.seconds:.0f} s, {cost.processor_seconds:.0f} s of processor")
        elif isinstance(error, Exception) and not is_machines_fault(error):
            trainings.drop_training(training, _reason(error))
            _say(f"{title} failed: {_reason(error)}")
        else:
            raise error


def run_training(training: Training) -> Cost:
    """Make or continue one training in this process."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # several of them talk at once
    path = training.folder / RUN_FILE
    before = read_json(path) if path.exists() else {"seconds": 0.0, "processor_seconds": 0.0}
    record = {"identity": training.identity, "row": training.name, "seed": training.seed, **before}
    write_json(path, record)
    wall, processor = time.monotonic(), time.process_time()
    try:
        train(training.settings)
    finally:
        record["seconds"] = round(before["seconds"] + time.monotonic() - wall, 1)
        record["processor_seconds"] = round(before["processor_seconds"] + time.process_time() - processor, 1)
        write_json(path, record)
    return Cost(record["seconds"], record["processor_seconds"])


def costs(trainings: Sequence[Training]) -> Mapping[str, dict[str, Any]]:
    """What each training took, by the name of its folder."""
    return {
        training.folder.name: {
            key: value for key, value in read_json(training.folder / RUN_FILE).items() if key != "identity"
        }
        for training in trainings
        if (training.folder / RUN_FILE).exists()
    }


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _say(words: str) -> None:
    print(words, flush=True)
