"""Trainings of the rows: shared, kept, continued, and each failure the matter of one row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest

from navsim_agents.common.files import read_json, write_json
from navsim_agents.errors import InputError
from tests.training.fakes import LOGS, FakeSource, GreyFeatures, TinyAgent
from training.ablation import identity
from training.ablation import trainings as module
from training.ablation.config import AblateConfig, Given, Row
from training.ablation.inputs import Inputs, train_settings
from training.ablation.trainings import (
    RUN_FILE,
    Trainings,
    costs,
    plan_trainings,
    prepare_caches,
    run_trainings,
    tidy,
)
from training.config import TrainConfig
from training.demo_config import WorldSize

MOMENTUM = {"momentum": {"mode": "on"}}
ROWS = {
    "plain": Row(is_pretrained=False, overrides=["agent.config.losses.teacher_weight=0"]),
    "taught": Row(is_pretrained=False),
    "steady": Row(is_pretrained=False, when_planning=MOMENTUM),  # the same weights
}
INPUTS = Inputs("w'orld", "trainval", "scenes", "labels", "voc.npy", None, "unseen", "test", None)


def config(folder: Path, **changes: Any) -> AblateConfig:
    given = Given(root="world", test_root="unseen", scenes="scenes", labels="labels", vocabulary="voc.npy")
    size = WorldSize(1, 7.5)
    base = AblateConfig(str(folder), size, size, rows=ROWS, seeds=[0, 1], given=given, workers=0)
    return replace(base, **changes)


class Trainer:
    """Stands in for ``train``: remembers whom it trained, and leaves what a training leaves."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, fails: Sequence[str] = (), error: Optional[BaseException] = None
    ):
        self.trained: list[str] = []
        self._fails, self._error = fails, error
        monkeypatch.setattr(module, "train", self)

    def __call__(self, settings: TrainConfig) -> None:
        folder = Path(settings.output)
        self.trained.append(folder.name)
        if folder.name in self._fails and self._error is not None:
            raise self._error
        write_json(folder / "result.json", {})


class Sized(TinyAgent):
    """Its features depend on the number of proposals, and 7 is one too many."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        self.number = settings["config"]["planner"].get("num_proposals")
        if self.number == 7:
            raise InputError("num_proposals=7 is too many; name fewer")

    def get_feature_builders(self) -> list[GreyFeatures]:
        return [GreyFeatures(float(self.number or 0))]


@pytest.fixture(autouse=True)
def no_files(monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    """Logs and agents of the fakes in the place of those on a disk."""
    source = FakeSource()
    for its in (module, identity):
        monkeypatch.setattr(its, "LoggedScenes", lambda *rest: source)
        monkeypatch.setattr(its, "build_agent", Sized)
    return source


def planned(settings: AblateConfig) -> Trainings:
    return plan_trainings(settings, INPUTS)


def test_rows_that_learn_the_same_share_one_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, found = Trainer(monkeypatch), planned(config(tmp_path))
    run_trainings(config(tmp_path), found)
    assert trainer.trained == ["plain-seed0", "plain-seed1", "taught-seed0", "taught-seed1"]
    assert found.of_row["steady", 1] == found.of_row["taught", 1]
    assert len(found.of_row) == 6


def test_numbers_of_teachers_are_rows_that_share_what_is_there_already(tmp_path: Path) -> None:
    rows = {name: replace(row, is_pretrained=True) for name, row in ROWS.items()}
    (tmp_path / "encoder.pt").touch()
    inputs = replace(INPUTS, encoder=str(tmp_path / "encoder.pt"))
    given = replace(config(tmp_path).given, encoder=inputs.encoder)
    settings = config(tmp_path, rows=rows, given=given, numbers_of_teachers=[0, 1, 4], seeds=[0])
    found = plan_trainings(settings, inputs)
    assert found.of_row["teachers_0", 0].name == "plain"
    assert found.of_row["teachers_1", 0].name == "teachers_1"
    assert found.of_row["teachers_1", 0].settings.agent["config"]["teachers"]["number"] == 1
    assert settings.all_rows["teachers_1"].when_planning == MOMENTUM


def test_a_killed_run_goes_on_with_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = Trainer(monkeypatch, ["taught-seed0"], KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run_trainings(config(tmp_path), planned(config(tmp_path)))
    assert killed.trained == ["plain-seed0", "plain-seed1", "taught-seed0"]
    trainer = Trainer(monkeypatch)
    run_trainings(config(tmp_path), planned(config(tmp_path)))
    assert trainer.trained == ["taught-seed0", "taught-seed1"]
    run_trainings(config(tmp_path), planned(config(tmp_path)))
    assert len(trainer.trained) == 2


def test_more_seeds_keep_the_first_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(monkeypatch)
    run_trainings(config(tmp_path, seeds=[0]), planned(config(tmp_path, seeds=[0])))
    assert trainer.trained == ["plain", "taught"]
    run_trainings(config(tmp_path), planned(config(tmp_path)))
    assert trainer.trained[2:] == ["plain-seed1", "taught-seed1"]
    assert {path.name for path in (tmp_path / "trainings").iterdir()} == {
        f"{name}-seed{seed}" for name in ("plain", "taught") for seed in (0, 1)
    }


def test_a_failed_training_costs_the_rows_that_need_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Trainer(monkeypatch, ["taught-seed1"], ValueError("no\ngood"))
    found = planned(config(tmp_path))
    run_trainings(config(tmp_path), found)
    assert {row for row, _ in found.of_row} == {"plain"}
    reason = "training with seed 1: ValueError: no good"
    assert found.failures == {"steady": reason, "taught": reason}


def test_a_full_disk_is_nobodys_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Trainer(monkeypatch, ["plain-seed0"], OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        run_trainings(config(tmp_path), planned(config(tmp_path)))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Row(agent="nobody", is_pretrained=False), "nobody"),
        (Row(is_pretrained=False, overrides=["data.spilt=x"]), "data.spilt"),
        (Row(is_pretrained=False, overrides=["trainer"]), "trainer"),
        (Row(is_pretrained=False, overrides=["agent.config.planner.num_proposals=7"]), "7 is too many; name fewer"),
        (Row(is_pretrained=True), "encoder checkpoint None is no file|encoder checkpoint .*None"),
    ],
)
def test_a_bad_row_is_named_and_left_out(tmp_path: Path, bad: Row, message: str) -> None:
    rows = {"bad": bad, **ROWS}
    settings = config(tmp_path, rows=rows, given=replace(config(tmp_path).given, encoder="some.pt"))
    found = planned(settings)
    assert {row for row, _ in found.of_row} == set(ROWS)
    assert list(found.failures) == ["bad"]
    assert re.search(message, found.failures["bad"])
    assert "\n" not in found.failures["bad"]


def test_what_a_training_learns_from_is_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other logs, labels, another seed or setting are another training."""
    first = planned(config(tmp_path)).of_row
    longer = planned(config(tmp_path, training=["trainer.params.max_epochs=3"])).of_row["plain", 0]
    with monkeypatch.context() as patch:
        patch.setattr(identity, "LoggedScenes", lambda *rest: FakeSource(version="2"))
        other_logs = planned(config(tmp_path)).of_row["plain", 0]
    with monkeypatch.context() as patch:
        patch.setattr(GreyFeatures, "get_unique_name", lambda self: "of other labels")
        other_labels = planned(config(tmp_path)).of_row["plain", 0]
    others = [longer, other_logs, other_labels, first["plain", 1], first["taught", 0]]
    assert len({its.identity for its in [*others, first["plain", 0]]}) == 6


def test_a_row_s_own_encoder_is_part_of_it_and_needs_no_other(tmp_path: Path) -> None:
    """Of two rows with encoders of their own each starts from its own, and other weights are another training."""
    files = {name: tmp_path / f"{name}.safetensors" for name in ("dinov2", "siglip2")}
    for number, path in enumerate(files.values()):
        path.write_bytes(bytes(number + 1))
    rows = {name: Row(encoder=str(path)) for name, path in files.items()}
    settings = config(tmp_path, rows=rows, seeds=[0])  # given.encoder is none
    first = planned(settings).of_row
    for name, path in files.items():
        assert first[name, 0].settings.agent["encoder_checkpoint_path"] == str(path)
    assert planned(settings).of_row["dinov2", 0].identity == first["dinov2", 0].identity
    files["dinov2"].write_bytes(bytes(9))
    second = planned(settings).of_row
    changed = [name for name in files if second[name, 0].identity != first[name, 0].identity]
    assert changed == ["dinov2"]
    shared = train_settings(settings, replace(INPUTS, encoder="shared.pt"), Row(), 0)
    assert shared.agent["encoder_checkpoint_path"] == "shared.pt"


def test_a_row_s_encoder_contradicts_random_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"encoder=a.pt with is_pretrained=false, but it is pretrained; leave one out"):
        Row(encoder="a.pt", is_pretrained=False)
    with pytest.raises(InputError, match=r"given.encoder=null .* give given.encoder=…, rows.<name>.encoder=…"):
        config(tmp_path, rows={"own": Row(encoder="a.pt"), "shared": Row()})


def test_places_and_ways_of_running_are_not_part_of_it(tmp_path: Path) -> None:
    first = planned(config(tmp_path)).of_row
    moved = replace(INPUTS, root="moved", scenes="moved/scenes", labels="moved/labels", vocabulary="moved.npy")
    again = plan_trainings(config(tmp_path / "elsewhere", threads=2), moved).of_row
    assert {key: its.identity for key, its in again.items()} == {key: its.identity for key, its in first.items()}


def test_settings_of_a_row_are_those_of_the_train_command(tmp_path: Path) -> None:
    settings = config(tmp_path, training=["trainer.params.max_epochs=3", "dataloader.params.batch_size=5"])
    row = Row(is_pretrained=False, overrides=["dataloader.params.batch_size=7"])
    found = train_settings(settings, INPUTS, row, 6)
    assert (found.seed, found.data.root, found.cache.workers) == (6, "w'orld", 0)
    assert (found.trainer.params["max_epochs"], found.dataloader.params["batch_size"]) == (3, 7)
    assert found.agent["config"]["momentum"]["mode"] in ("off", False)
    assert found.agent["config"]["teachers"]["label_store"] == "labels"


def record(folder: Path, identity: str) -> None:
    write_json(folder / RUN_FILE, {"identity": identity})


def identities(folder: Path) -> dict[str, str]:
    return {path.parent.name: read_json(path)["identity"] for path in sorted(folder.glob(f"*/{RUN_FILE}"))}


def test_superseded_trainings_are_kept_aside_and_come_back(tmp_path: Path) -> None:
    record(tmp_path / "a", "one")
    tidy(tmp_path, {"a": "two"})
    record(tmp_path / "a", "two")
    assert identities(tmp_path) == {"a": "two", "a.one": "one"}
    tidy(tmp_path, {"a": "one"})
    assert identities(tmp_path) == {"a": "one", "a.two": "two"}


def test_trainings_may_change_names(tmp_path: Path) -> None:
    record(tmp_path / "a", "one")
    record(tmp_path / "b", "two")
    tidy(tmp_path, {"a": "two", "b": "one"})
    assert identities(tmp_path) == {"a": "two", "b": "one"}


def test_a_folder_that_is_no_training_of_ours_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "result.json").touch()
    tidy(tmp_path, {"a": "one"})
    assert [path.name for path in tmp_path.iterdir()] == ["a.other"]


def test_costs_of_all_calls_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walls, processors = iter([0.0, 10.0, 100.0, 103.0]), iter([0.0, 4.0, 0.0, 1.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(walls))
    monkeypatch.setattr(module.time, "process_time", lambda: next(processors))
    training = planned(config(tmp_path)).of_row["plain", 0]
    Trainer(monkeypatch, ["plain-seed0"], KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        module.run_training(training)
    Trainer(monkeypatch)
    found = module.run_training(training)
    assert (found.seconds, found.processor_seconds) == (13.0, 5.0)
    assert costs([training])["plain-seed0"] == {"row": "plain", "seed": 0, "seconds": 13.0, "processor_seconds": 5.0}


def test_rows_with_the_same_features_and_targets_share_their_cache(tmp_path: Path, no_files: FakeSource) -> None:
    more = {
        f"with_{number}": Row(is_pretrained=False, overrides=[f"agent.config.planner.num_proposals={number}"])
        for number in (5, 7)
    }
    settings = config(tmp_path, rows={**ROWS, **more})
    found = planned(settings)
    prepare_caches(settings, found)
    paths = {key: its.settings.cache.path for key, its in found.of_row.items()}
    assert len({paths[row, seed] for row in ROWS for seed in (0, 1)}) == 1
    assert paths["with_5", 0] == paths["with_5", 1] != paths["plain", 0]
    assert Path(paths["plain", 0]).parent == tmp_path / "cache"
    assert len(no_files.opened) == 2 * len(LOGS)
    assert found.failures == {"with_7": "InputError: num_proposals=7 is too many; name fewer"}
