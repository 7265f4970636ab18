"""Every command of the package, what each needs to run on a tiny world, and how a test runs it."""

from __future__ import annotations

import dataclasses
import importlib
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Callable, NamedTuple
from unittest import mock

import pytest

from navsim_agents.common.settings import LEAST, MOST, READS, ROLE

ROOT = Path(__file__).resolve().parents[2]


class Command(NamedTuple):
    """One command: ``python -m <module>``."""

    module: str
    kind: str  # dataclass of its settings: module:name
    needed: Mapping[str, str]  # settings without a default; {x} stands for what the tiny world has
    entry: str = "main"
    needs_devkit: bool = False

    @property
    def config(self) -> str:
        """Package and name of the file of its settings."""
        package, name = self.module.removesuffix(".__main__").rsplit(".", 1)
        return f"{package}.{name}.conf.{name}" if name == "world" else f"{package}.conf.{name}"

    def __hash__(self) -> int:
        return hash(self.module)

    def settings(self) -> Any:
        module, _, name = self.kind.partition(":")
        return getattr(importlib.import_module(module), name)

    def overrides(self, places: Mapping[str, Any], **changes: str) -> list[str]:
        """Command line with every setting that it needs, and ``changes`` of them by key, dots as ``__``."""
        changed = {key.replace("__", "."): value for key, value in changes.items()}
        values = {key: value.format(**places) for key, value in self.needed.items()}
        return [f"{key}={value}" for key, value in {**values, **changed}.items()]

    def run(self, *overrides: str) -> Ended:
        """Run the entry point in this process."""
        main: Callable[[], None] = getattr(importlib.import_module(self.module), self.entry)
        with mock.patch.object(sys, "argv", [self.module, *overrides]):
            try:
                main()
            except SystemExit as error:
                code = error.code
                return Ended(0, "") if code in (0, None) else Ended(1, code if isinstance(code, str) else "")
        return Ended(0, "")


class Ended(NamedTuple):
    code: int
    words: str  # of sys.exit; they go to standard error


def places(folder: Path) -> dict[str, str]:
    """Names in ``needed``, for a folder in which nothing needs to be."""
    made = (
        "world unseen scene plans store vocabulary labels videos manifest run evaluation pretraining encoder_file "
        "checkpoint score_table argoverse results clips maps team_config route_file benchmark carla"
    )
    return {name: str(folder / name) for name in (*made.split(), "cache", "submission", "out")}


COMMANDS = {
    command.module: command
    for command in (
        Command(
            "navsim_agents.world.__main__", "navsim_agents.world.config:WorldConfig", {"output": "{out}", "logs": "1"}
        ),
        Command(
            "cache_tools.score_trajectories",
            "cache_tools.score_trajectories:ScoreTrajectoriesConfig",
            {"scene": "{scene}", "trajectories": "{plans}", "output": "{out}"},
        ),
        Command(
            "cache_tools.build_vocabulary",
            "cache_tools.build_vocabulary:BuildVocabularyConfig",
            {"root": "{world}", "split": "test", "k": "3", "output": "{out}"},
        ),
        Command(
            "cache_tools.score_vocabulary",
            "cache_tools.score_vocabulary:ScoreVocabularyConfig",
            {"scenes": "{store}", "vocabulary": "{vocabulary}", "output": "{out}", "workers": "0"},
        ),
        Command(
            "cache_tools.label_statistics",
            "cache_tools.label_statistics:LabelStatisticsConfig",
            {"labels": "{labels}", "output": "{out}"},
        ),
        Command(
            "cache_tools.index_videos",
            "cache_tools.index_videos:IndexVideosConfig",
            {"layout": "videos", "root": "{videos}", "output": "{out}", "workers": "0"},
        ),
        Command(
            "cache_tools.index_bench2drive",
            "cache_tools.index_bench2drive:IndexBench2DriveConfig",
            {"root": "{clips}", "maps": "{maps}", "output": "{out}", "workers": "0"},
        ),
        Command(
            "cache_tools.resize_videos",
            "cache_tools.resize_videos:ResizeVideosConfig",
            {"manifest": "{manifest}", "root": "{videos}", "output": "{out}", "workers": "0"},
        ),
        Command(
            "cache_tools.convert_encoder",
            "cache_tools.convert_encoder:ConvertEncoderConfig",
            {"input": "{encoder_file}", "output": "{out}"},
        ),
        Command(
            "cache_tools.convert_argoverse",
            "cache_tools.convert_argoverse:ConvertArgoverseConfig",
            {"root": "{argoverse}", "output": "{out}", "workers": "0"},
        ),
        Command(
            "cache_tools.validate_submission",
            "cache_tools.validate_submission:ValidateSubmissionConfig",
            {"submission": "{submission}"},
        ),
        Command(
            "cache_tools.score_submission",
            "cache_tools.score_submission:ScoreSubmissionConfig",
            {"submission": "{submission}", "scenes": "{store}", "output": "{out}"},
        ),
        Command(
            "cache_tools.bench2drive_routes",
            "cache_tools.bench2drive_routes:Bench2DriveRoutesConfig",
            {
                "routes": "{route_file}",
                "team_config": "{team_config}",
                "benchmark": "{benchmark}",
                "carla_root": "{carla}",
                "output": "{out}",
            },
        ),
        Command(
            "cache_tools.bench2drive_table",
            "cache_tools.bench2drive_table:Bench2DriveTableConfig",
            {"results": "{results}", "output": "{out}"},
        ),
        Command(
            "cache_tools.export_scenes",
            "cache_tools.export_scenes:ExportScenesConfig",
            {"scenes": "{cache}", "output": "{out}"},
            needs_devkit=True,
        ),
        Command(
            "cache_tools.compare_with_devkit",
            "cache_tools.compare_with_devkit:CompareConfig",
            {"scenes": "{cache}", "output": "{out}"},
        ),
        Command(
            "training.train",
            "training.config:TrainConfig",
            {
                "data.root": "{world}",
                "data.split": "test",
                "output": "{out}",
                "cache.workers": "0",
                "trainer.params.max_epochs": "1",
                "trainer.params.accelerator": "cpu",
                "agent.config.encoder.name": "tiny",
                "agent.config.pictures.width": "64",
                "agent.config.pictures.height": "64",
                "agent.config.planner.model_dim": "16",
            },
        ),
        Command(
            "training.average_checkpoints",
            "training.average_checkpoints:AverageCheckpointsConfig",
            {"checkpoints": "{checkpoint}", "output": "{out}"},
        ),
        Command(
            "training.evaluate",
            "training.config:EvaluateConfig",
            {"data_root": "{world}", "output": "{out}", "+runs.a": "{run}"},
        ),
        Command("training.serve", "training.serve:ServeConfig", {"run": "{run}", "port": "0", "seconds": "0.1"}),
        Command(
            "training.recoveries",
            "navsim_agents.closed_loop.recovery_config:RecoveriesConfig",
            {"output": "{out}", "+runs.a": "{run}", "logs": "1", "duration_s": "7", "cameras": "[]", "share": "1"},
        ),
        Command(
            "training.drive",
            "navsim_agents.closed_loop.config:DriveLoopConfig",
            {"output": "{out}", "+runs.a": "{run}", "routes": "1", "time_limit_s": "1", "baselines": "[]"},
        ),
        Command(
            "training.compare_tables",
            "training.compare_tables:CompareTablesConfig",
            {"output": "{out}", "+tables.a": "{score_table}", "+tables.b": "{score_table}"},
        ),
        Command(
            "training.report.__main__",
            "training.config:ReportConfig",
            {"evaluation": "{evaluation}", "data_root": "{world}", "output": "{out}", "agent_name": "a"},
        ),
        Command(
            "training.probe",
            "training.probe_config:ProbeConfig",
            {
                "data.root": "{world}",
                "data.split": "trainval",
                "test.root": "{unseen}",
                "output": "{out}",
                "+encoders.a": "random",
            },
        ),
        Command(
            "training.compare_pretrainings",
            "training.comparison_config:ComparisonConfig",
            {"output": "{out}", "given.root": "{world}", "given.test_root": "{unseen}"},
        ),
        Command(
            "training.pretrain",
            "training.pretraining.config:PretrainConfig",
            {
                "data": "world",
                "data.data_sets.world.manifest": "{manifest}",
                "data.data_sets.world.root": "{videos}",
                "output": "{out}",
                "model.encoder": "tiny",
                "model.predictor": "tiny",
                "batch_size": "1",
                "workers": "0",
                "schedule.epochs": "1",
                "schedule.iterations_per_epoch": "1",
                "precision": "float32",
                "data.num_frames": "4",
                "data.height": "32",
                "data.width": "64",
                "data.data_sets.world.cropped_rows": "0",
            },
        ),
        Command(
            "training.feature_pca",
            "training.feature_pca:FeaturePcaConfig",
            {
                "manifest": "{manifest}",
                "root": "{videos}",
                "output": "{out}",
                "encoder": "tiny",
                "+encoders.a": "random",
                "num_frames": "4",
                "height": "32",
                "width": "64",
            },
        ),
        Command(
            "training.ablate",
            "training.ablation.config:AblateConfig",
            {
                "output": "{out}",
                "given.root": "{world}",
                "given.test_root": "{unseen}",
                "given.scenes": "{store}",
                "given.labels": "{labels}",
                "given.vocabulary": "{vocabulary}",
                "given.encoder": "{pretraining}",
            },
        ),
        Command("training.demo", "training.demo_config:DemoConfig", {"output": "{out}"}),
    )
}


class Field(NamedTuple):
    """A setting of a command, those of nested dataclasses too."""

    key: str
    type: Any
    field: dataclasses.Field[Any]

    @property
    def is_written(self) -> bool:
        return self.field.metadata.get(ROLE, READS[ROLE]) != READS[ROLE]

    @property
    def is_read(self) -> bool:
        return bool(self.field.metadata.get(ROLE) == READS[ROLE])

    @property
    def most(self) -> Any:
        return self.field.metadata.get(MOST)

    @property
    def least(self) -> Any:
        return self.field.metadata.get(LEAST)


def fields_of(kind: Any, prefix: str = "") -> Iterator[Field]:
    types = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        key = prefix + field.name
        if dataclasses.is_dataclass(types[field.name]):
            yield from fields_of(types[field.name], f"{key}.")
        else:
            yield Field(key, types[field.name], field)


def assert_one_line(ended: Ended, capsys: pytest.CaptureFixture[str], *parts: str) -> None:
    """The command failed, in one line that holds every one of ``parts``, and without a traceback."""
    printed = capsys.readouterr()
    assert ended.code == 1, printed
    words = ended.words
    assert words.strip(), printed
    assert len(words.splitlines()) == 1, words
    assert "Traceback" not in printed.err + printed.out + words
    for part in parts:
        assert part in words
