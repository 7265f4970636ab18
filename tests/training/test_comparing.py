"""The comparison of pretrainings: what is made, with which settings, what is kept, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hydra import compose, initialize_config_module

from navsim_agents.commands import COMMANDS
from navsim_agents.common.files import read_json, write_json, write_text
from navsim_agents.common.settings import read_settings
from navsim_agents.errors import InputError
from training import stages as stages_module
from training.comparing import compare
from training.comparison_config import ComparisonConfig, GivenLogs
from training.demo_config import WorldSize
from training.pretraining.config import PretrainConfig
from training.probe_config import ProbeConfig

SIZE = WorldSize(1, 7.5)
# Average displacement by row: of its first seed; each further seed has 1 m more.
ADE = {"plain": 4.0, "long": 3.0, "random": 5.0}


def composed(name: str, kind: Any, arguments: list[str]) -> Any:
    with initialize_config_module("training.conf", version_base="1.2"):
        return read_settings(kind, compose(name, overrides=arguments))


class Shell:
    """Stands in for run_program: reads each command's line as the command does, and leaves what it leaves."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.pretrained: dict[str, PretrainConfig] = {}
        self.probed: dict[str, ProbeConfig] = {}
        self.clips = "clips"

    def __call__(self, command: list[str], environment: Mapping[str, str]) -> int:
        name, arguments = command[2], command[3:]
        given = dict(argument.lstrip("+").split("=", 1) for argument in arguments)
        if name == "index-videos":
            write_text(Path(given["output"]), self.clips)
        elif name == "pretrain":
            self._pretrain(composed(name, PretrainConfig, arguments))
        elif name == "probe":
            self._probe(composed(name, ProbeConfig, arguments))
        else:
            for folder in ("trainval", "test"):
                write_text(Path(given["output"]) / "navsim_logs" / folder / "drive.pkl", "frames")
        self.said.append(f"{name} {Path(given['output']).name}" if name in ("pretrain", "probe") else name)
        assert COMMANDS[name]
        return 0

    def _pretrain(self, config: PretrainConfig) -> None:
        folder = Path(config.output)
        self.pretrained[folder.name] = config
        write_text(folder / "checkpoints" / "last.pt", "weights")
        write_json(folder / "result.json", {"checkpoint": "checkpoints/last.pt"})

    def _probe(self, config: ProbeConfig) -> None:
        (name,) = config.encoders
        self.probed[name] = config
        values = [ADE[name] + number for number in range(len(config.seeds))]
        scenes = {"mean": 7.0, "sd": 0.0, "values": [7] * len(values)}
        fit = {"ade_m": {"mean": sum(values) / len(values), "sd": 0.5, "values": values}, "num_planned": scenes}
        encoder = {"weights": config.candidate(name).weights, "seeds": config.seeds, "linear_fit": fit}
        baselines = {"command alone": {"ade_m": 6.0, "num_planned": 7}}
        write_json(Path(config.output) / "probe.json", {"encoders": {name: encoder}, "linear_fit_baselines": baselines})


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = Shell()
    monkeypatch.setattr(stages_module, "run_program", shell)
    return shell


def config(folder: Path, **changes: Any) -> ComparisonConfig:
    shared = ["model.encoder=tiny", "batch_size=3"]
    base = ComparisonConfig(
        output=str(folder / "out"),
        train_world=SIZE,
        test_world=SIZE,
        rows={"plain": ["masks=paper"], "long": ["masks=temporal", "data.num_frames=16", "batch_size=2"]},
        seeds=[3, 5],
        pretraining=shared,
        probe=["measures=[linear_fit]"],
        world=["textures=true"],
        given=given_logs(folder),
    )
    return replace(base, **changes)


def given_logs(folder: Path) -> GivenLogs:
    for root, split in (("here", "trainval"), ("there", "test")):
        write_text(folder / root / "navsim_logs" / split / "drive.pkl", "frames")
    return GivenLogs(root=str(folder / "here"), test_root=str(folder / "there"))


PRETRAININGS = [f"pretrain {row}-seed{seed}" for row in ("plain", "long") for seed in (3, 5)]


def test_every_row_is_pretrained_with_every_seed_and_random_ones_stand_beside(shell: Shell, tmp_path: Path) -> None:
    table = compare(config(tmp_path)).splitlines()
    first, second = PRETRAININGS[:2], PRETRAININGS[2:]
    assert shell.said == ["index-videos", *first, "probe plain", *second, "probe long", "probe random"]
    assert [line.split()[0] for line in table[3:]] == ["plain", "long", "random", "(command"]
    assert table[4].split()[1:4] == ["3.500", "±", "0.500"]
    frame = pd.read_csv(Path(config(tmp_path).output) / "seeds.csv")
    assert frame[frame.row == "long"][["seed", "measure", "metric", "value"]].values.tolist() == [
        [3, "linear_fit", "ade_m", 3.0],
        [5, "linear_fit", "ade_m", 4.0],
    ]
    saved = read_json(Path(config(tmp_path).output) / "comparison.json")
    assert list(saved["encoders"]) == ["plain", "long", "random"]
    assert saved["config"]["seeds"] == [3, 5]


def test_settings_reach_the_commands_as_the_row_says(shell: Shell, tmp_path: Path) -> None:
    settings = config(tmp_path)
    compare(settings)
    long = shell.pretrained["long-seed5"]
    assert (long.seed, long.batch_size, long.model.encoder, long.data["num_frames"]) == (5, 2, "tiny", 16)
    assert [family.name for family in long.masks.families] == ["half_of_clip"]
    assert long.data["data_sets"]["world"]["root"] == str(tmp_path / "here")
    plain = shell.pretrained["plain-seed3"]
    assert (plain.seed, plain.batch_size, plain.data["num_frames"]) == (3, 3, 8)
    probe = shell.probed["long"]
    folders = [f"{settings.output}/pretrainings/long-seed{seed}/checkpoints/last.pt" for seed in (3, 5)]
    assert (probe.encoders, probe.seeds) == ({"long": folders}, [3, 5])
    assert (probe.data.root, probe.test.root) == (str(tmp_path / "here"), str(tmp_path / "there"))
    assert shell.probed["random"].encoders == {"random": "random"}
    assert len({probe.cache.path for probe in shell.probed.values()}) == 1


def test_only_what_changed_is_made_again(shell: Shell, tmp_path: Path) -> None:
    settings = config(tmp_path)
    compare(settings)

    def again(its: ComparisonConfig) -> list[str]:
        shell.said.clear()
        compare(its)
        return list(shell.said)

    assert again(settings) == []
    assert again(replace(settings, workers=1, threads=3)) == []
    fewer = replace(settings, rows={"long": settings.rows["long"]}, has_random_row=False)
    assert again(fewer) == []
    other = replace(settings, rows={**settings.rows, "plain": ["masks=vjepa2"]})
    assert again(other) == [*PRETRAININGS[:2], "probe plain"]
    more = [f"pretrain {row}-seed8" for row in ("plain", "long")]
    assert again(replace(other, seeds=[3, 5, 8])) == [more[0], "probe plain", more[1], "probe long", "probe random"]


def test_other_clips_or_other_logs_make_all_of_it_again(shell: Shell, tmp_path: Path) -> None:
    settings = config(tmp_path, seeds=[3], rows={"plain": ["masks=paper"]})
    compare(settings)
    shell.said.clear()
    write_text(tmp_path / "there" / "navsim_logs" / "test" / "drive.pkl", "other frames")
    compare(settings)
    assert shell.said == ["pretrain plain-seed3", "probe plain", "probe random"]


def test_without_logs_two_worlds_are_made_alike_but_for_their_towns(shell: Shell, tmp_path: Path) -> None:
    settings = config(tmp_path, given=GivenLogs(), world_seed=6)
    train, test = settings.worlds.stages()
    assert {"seed=6", "textures=true"} <= set(train.arguments)
    assert {"seed=7", "textures=true"} <= set(test.arguments)
    compare(settings)
    assert shell.said[:3] == ["world", "world", "index-videos"]
    assert shell.pretrained["plain-seed3"].data["data_sets"]["world"]["root"] == str(train.folder)
    assert shell.probed["plain"].test.root == str(test.folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": {}, "has_random_row": False}, r"rows=\{\} leaves nothing to compare"),
        ({"rows": {"a-seed1": []}}, r"rows are called \['a-seed1'\], but names are of letters, digits and _"),
        ({"rows": {"random": []}}, "and not random"),
        ({"seeds": [1, 1]}, r"seeds=\[1, 1\] must be one or several different numbers"),
        ({"seeds": []}, r"seeds=\[\] must be"),
    ],
)
def test_unfit_settings_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config(tmp_path, **changes)


def test_logs_are_given_for_both_or_for_neither() -> None:
    with pytest.raises(InputError, match=r"given\.root=a with given\.test_root=None, but they go together"):
        GivenLogs(root="a")


def test_the_file_of_settings_is_complete_and_its_lines_are_those_of_the_commands() -> None:
    found = composed("compare_pretrainings", ComparisonConfig, ["output=out", "+rows.long=['data.num_frames=16']"])
    assert list(found.rows) == ["paper", "temporal", "long"]
    shared = ["output=x", "data=world", "data.data_sets.world.manifest=m", "data.data_sets.world.root=r"]
    pretraining = composed("pretrain", PretrainConfig, [*shared, *found.pretraining, *found.rows["long"]])
    assert (pretraining.schedule.total_steps, pretraining.data["num_frames"]) == (1000, 16)
    lines = ["output=x", "data.root=r", "test.root=t", "+encoders.a=random", *found.probe]
    assert composed("probe", ProbeConfig, lines).measures == ["linear_fit"]
