"""The demo's chain of stages: order, resumption, changed settings, failure, interruption."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser

from navsim_agents.commands import COMMANDS
from navsim_agents.common.settings import read_settings
from navsim_agents.errors import InputError
from training import stages as stages_module
from training.ablation.config import AblateConfig, Row
from training.demo_config import DemoConfig, Pretraining, TrainingRun, Variant, WorldSize
from training.demo_stages import demo_stages, training_folder
from training.stages import Stage, StageError, in_hydra, run_stages


class Shell:
    """Stands in for run_program: writes a file into the stage's folder and remembers the call."""

    def __init__(self, stages: list[Stage], act: Optional[Callable[[str], int]] = None) -> None:
        self.modules: list[str] = []
        self._folders = {stage.module: stage.folder for stage in stages}
        self._act = act or (lambda module: 0)

    def __call__(self, command: list[str], environment: Mapping[str, str]) -> int:
        module = COMMANDS[command[2]]
        self.modules.append(module)
        folder = self._folders[module]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"call{len(list(folder.iterdir()))}").touch()
        return self._act(module)


def chain(output: Path, train_arguments: tuple[str, ...] = ("epochs=2",), workers: str = "workers=2") -> list[Stage]:
    return [
        Stage("world", "make", "navsim_agents.world", ("logs=3",), output / "world", (workers,)),
        Stage("training", "fit", "training.train", train_arguments, output / "training"),
        Stage("report", "draw", "training.report", (), output / "report"),
    ]


def run(
    monkeypatch: pytest.MonkeyPatch, output: Path, stages: list[Stage], act: Optional[Callable[[str], int]] = None
) -> list[str]:
    shell = Shell(stages, act)
    monkeypatch.setattr(stages_module, "run_program", shell)
    try:
        run_stages(output, stages, "1.0")
    finally:
        monkeypatch.undo()
    return shell.modules


def test_a_finished_chain_is_not_run_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, tmp_path, chain(tmp_path)) == ["navsim_agents.world", "training.train", "training.report"]
    assert run(monkeypatch, tmp_path, chain(tmp_path)) == []
    assert run(monkeypatch, tmp_path, chain(tmp_path, workers="workers=1")) == []


def test_a_changed_stage_runs_again_from_nothing_with_all_after_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(monkeypatch, tmp_path, chain(tmp_path))
    assert run(monkeypatch, tmp_path, chain(tmp_path, ("epochs=3",))) == ["training.train", "training.report"]
    assert len(list((tmp_path / "training").iterdir())) == 1
    assert len(list((tmp_path / "world").iterdir())) == 1


def test_an_interrupted_stage_goes_on_with_what_it_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(module: str) -> int:
        if module == "training.train":
            raise KeyboardInterrupt
        return 0

    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, tmp_path, chain(tmp_path), interrupt)
    record = json.loads((tmp_path / "stages" / "training.json").read_text())
    assert not record["is_finished"]
    assert run(monkeypatch, tmp_path, chain(tmp_path)) == ["training.train", "training.report"]
    assert len(list((tmp_path / "training").iterdir())) == 2


def test_a_failed_stage_is_named_and_stops_the_chain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(module: str) -> int:
        return 3 if module == "training.train" else 0

    with pytest.raises(StageError, match="stage training ended with exit code 3; run the same command to go on"):
        run(monkeypatch, tmp_path, chain(tmp_path), fail)
    assert run(monkeypatch, tmp_path, chain(tmp_path)) == ["training.train", "training.report"]


def test_seconds_of_all_calls_of_a_stage_add_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("training.stages.time.monotonic", lambda: next(clock))
    stages = chain(tmp_path)[:1]
    monkeypatch.setattr(stages_module, "run_program", Shell(stages, lambda module: 1))
    with pytest.raises(StageError):
        run_stages(tmp_path, stages, "1.0")
    monkeypatch.setattr(stages_module, "run_program", Shell(stages))
    assert run_stages(tmp_path, stages, "1.0")[0].seconds == 20.0


def test_processor_time_of_all_calls_of_a_stage_adds_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = iter([1.0, 5.0, 5.0, 8.0])
    monkeypatch.setattr("training.stages._processor_seconds", lambda: next(clock))
    stages = chain(tmp_path)[:1]
    monkeypatch.setattr(stages_module, "run_program", Shell(stages, lambda module: 1))
    with pytest.raises(StageError):
        run_stages(tmp_path, stages, "1.0")
    monkeypatch.setattr(stages_module, "run_program", Shell(stages))
    assert run_stages(tmp_path, stages, "1.0")[0].processor_seconds == 7.0
    assert run_stages(tmp_path, stages, "1.0")[0].processor_seconds == 7.0  # done before


def test_another_version_of_the_package_starts_afresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(monkeypatch, tmp_path, chain(tmp_path))
    shell = Shell(chain(tmp_path))
    monkeypatch.setattr(stages_module, "run_program", shell)
    run_stages(tmp_path, chain(tmp_path), "2.0")
    assert shell.modules == ["navsim_agents.world", "training.train", "training.report"]


def demo_config(output: Path, **changes: Any) -> DemoConfig:
    runs = {
        "plain": TrainingRun("some", 2),
        "taught": TrainingRun("other", 3, needs_labels=True, settings=["agent.config.a=1"]),
        "untaught": TrainingRun("other", 3, needs_labels=True),
    }
    variants = {"steady": Variant("taught", {"momentum": {"mode": "on"}})}
    sizes = WorldSize(8, 9.0), WorldSize(2, 7.5)
    given = {"trainings": runs, "variants": variants, "shown": "steady", "imitating": "plain", "seed": 6, **changes}
    return DemoConfig(str(output), *sizes, **given)


def test_demo_is_tested_in_a_world_that_it_does_not_train_on(tmp_path: Path) -> None:
    stages = {stage.name: stage for stage in demo_stages(demo_config(tmp_path))}
    labels = ["vocabulary", "labels", "unseen_labels"]
    assert list(stages) == ["world", "unseen_world", *labels, "ablation", "report"]
    assert f"given.root={tmp_path / 'world'}" in stages["ablation"].arguments
    assert f"given.test_root={tmp_path / 'unseen_world'}" in stages["ablation"].arguments
    assert f"data_root={tmp_path / 'unseen_world'}" in stages["report"].arguments
    assert "seed=6" in stages["world"].arguments
    assert "seed=7" in stages["unseen_world"].arguments
    assert "seeds=[6]" in stages["ablation"].arguments


def ablation(config: DemoConfig) -> AblateConfig:
    """The settings of the demo's ablation, as the command reads its line."""
    (stage,) = (stage for stage in demo_stages(config) if stage.name == "ablation")
    with initialize_config_module("training.conf", version_base="1.2"):
        return read_settings(AblateConfig, compose("ablate", overrides=[*stage.arguments, *stage.running]))


def test_trainings_and_variants_are_the_rows_of_the_demos_table(tmp_path: Path) -> None:
    rows = ablation(demo_config(tmp_path)).rows
    assert list(rows) == ["plain", "taught", "untaught", "steady"]
    budget = ["dataloader.params.batch_size=16", "trainer.params.max_epochs=3"]
    assert rows["taught"] == Row("other", [*budget, "agent.config.a=1"], is_pretrained=False)
    assert rows["plain"].needs_labels is False


def test_variants_plan_with_the_weights_of_their_training(tmp_path: Path) -> None:
    rows = ablation(demo_config(tmp_path)).rows
    assert rows["steady"] == replace(rows["taught"], when_planning={"momentum": {"mode": "on"}})


def test_trainings_side_by_side_share_the_threads(tmp_path: Path) -> None:
    found = ablation(demo_config(tmp_path, workers=2, threads=4))
    assert (found.workers, found.threads) == (2, 2)


def test_the_demos_trainings_lie_where_they_always_lay(tmp_path: Path) -> None:
    found = ablation(demo_config(tmp_path))
    assert found.folder("trainings") / "plain" == training_folder(demo_config(tmp_path), "plain")
    assert found.folder("evaluation") == tmp_path / "evaluation"


def test_pretrained_weights_go_into_every_training(tmp_path: Path) -> None:
    config = demo_config(tmp_path, pretraining=Pretraining(steps=7))
    assert [stage.name for stage in demo_stages(config)][2:4] == ["clips", "pretraining"]
    found = ablation(config)
    assert found.given.encoder == str(tmp_path / "pretraining" / "checkpoints" / "step_00000007.pt")
    assert all(row.is_pretrained for row in found.rows.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shown": "nobody"}, "shown='nobody', but must be one of plain, taught, untaught, steady"),
        ({"imitating": "steady"}, "imitating='steady', but must be one of plain, taught, untaught"),
        ({"variants": {"steady": Variant("gone")}}, r"variants name the trainings \['gone'\], but there are"),
    ],
)
def test_names_that_lead_nowhere_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        demo_config(tmp_path, **changes)


def test_values_are_written_as_hydra_reads_them() -> None:
    parser = OverridesParser.create()
    value = {"a": ["it's", 'say "no"', 3], "b": True}
    assert parser.parse_override(f"key={in_hydra(value)}").value() == value
