"""Mappings of two-stage splits: read as they stand, and each broken rule named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from navsim_agents.data.split_mapping import (
    SceneGroup,
    TwoStageMapping,
    parse_two_stage_mapping,
    read_two_stage_mapping,
)
from navsim_agents.errors import InputError

NOW, PREVIOUS, OTHER, ANOTHER = ("12345678901234e5", "0123456701234567", "a" * 16, "b" * 16)
SECOND = [f"{number}2345678901234e5{number}" for number in range(6)]
CONTENT = [[NOW, PREVIOUS, [SECOND[:2], SECOND[2:4]]], [OTHER, ANOTHER, [SECOND[4:]]]]


def test_groups_of_a_splits_file(tmp_path: Path) -> None:
    path = tmp_path / "split.yaml"
    path.write_text(OmegaConf.to_yaml({"defaults": [{"scene_filter": "x"}], "reactive_all_mapping": CONTENT}))
    mapping = read_two_stage_mapping(path)
    assert mapping.groups == (
        SceneGroup(NOW, PREVIOUS, ((SECOND[0], SECOND[1]), (SECOND[2], SECOND[3]))),
        SceneGroup(OTHER, ANOTHER, ((SECOND[4], SECOND[5]),)),
    )
    assert mapping.first_stage == (NOW, PREVIOUS, OTHER, ANOTHER)
    assert mapping.second_stage == tuple(SECOND)
    assert mapping.groups[0].pairs == ((NOW, PREVIOUS), (SECOND[0], SECOND[1]), (SECOND[2], SECOND[3]))
    assert mapping.groups[0].halves == ((NOW, (SECOND[0], SECOND[2])), (PREVIOUS, (SECOND[1], SECOND[3])))
    assert mapping.note == ""


def test_tokens_without_quotes_stay_text_and_are_pointed_out(tmp_path: Path) -> None:
    path = tmp_path / "split.yaml"
    path.write_text(f"reactive_all_mapping:\n- [{NOW}, {PREVIOUS}, [[{SECOND[0]}, '{SECOND[1]}']]]\n")
    mapping = read_two_stage_mapping(path)
    assert mapping.tokens == (NOW, PREVIOUS, SECOND[0], SECOND[1])
    assert "has 3 names without quotes that YAML reads as numbers" in mapping.note
    assert mapping.of_scenes([NOW]).note == mapping.note


def test_groups_of_some_scenes() -> None:
    mapping = parse_two_stage_mapping(CONTENT)
    assert mapping.of_scenes([PREVIOUS]).groups == mapping.groups[:1]
    assert mapping.of_scenes(SECOND).groups == ()
    assert mapping.of_complete_groups([*mapping.groups[1].tokens, NOW, PREVIOUS]).groups == mapping.groups[1:]
    assert mapping.of_complete_groups(mapping.tokens) == mapping


def changed(*keys: int, to: Any) -> list[Any]:
    """The content, with another value at ``keys``."""
    content: Any = OmegaConf.to_container(OmegaConf.create(CONTENT))
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    return list(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, r"is {}, but must be a list of groups \[now, previous,"),
        ([], r"is \[\], but must be a list of groups"),
        ("abc", "is 'abc', but must be a list"),
        (changed(1, to=[OTHER, ANOTHER]), r"mapping\[1\] is \['a.*a group is \[now, previous, .*; correct it"),
        (changed(1, to=OTHER), r"mapping\[1\] is 'a+', but a group is"),
        (changed(1, 2, to=SECOND[4]), r"mapping\[1\] is .*, but a group is"),
        (
            changed(0, 2, 1, to=SECOND[2:3]),
            rf"mapping\[0\] has the follow-up \['{SECOND[2]}'\], but each needs its pair",
        ),
        (changed(0, 2, 1, to=SECOND[2]), rf"mapping\[0\] has the follow-up '{SECOND[2]}', but .* or leave it out"),
        (changed(0, 2, 1, to=SECOND[1:4]), r"mapping\[0\] has the follow-up \[.*, but each needs its pair"),
        (changed(0, 2, to=[]), rf"mapping\[0\] has no follow-ups of {NOW}, .* leave the group out"),
        (changed(0, 0, to="abc"), r"mapping\[0\] names 'abc' in the first stage, whose tokens have 16 digits"),
        (changed(1, 1, to=SECOND[0]), rf"mapping\[1\] names '{SECOND[0]}' in the first stage, .* 16 digits"),
        (changed(0, 2, 1, 0, to=OTHER), r"mapping\[0\] names 'a+' in the second stage, whose tokens have 17 digits"),
        (changed(0, 0, to=1234567890123456), r"mapping\[0\] names 1234567890123456 in the first .* in quotes"),
        (changed(1, 0, to=NOW), rf"names 1 scenes more than once \({NOW}\), .* leave each in one place"),
        (changed(1, 2, 0, 0, to=SECOND[5]), rf"names 1 scenes more than once \({SECOND[5]}\)"),
        (changed(0, 2, 0, 0, to=SECOND[5]), rf"names 1 scenes more than once \({SECOND[5]}\)"),
    ],
)
def test_each_broken_rule_is_named(content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_two_stage_mapping(content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data_split: test\n", "has no reactive_all_mapping, .* such as train_test_split/navhard_two_stage.yaml"),
        ("reactive_all_mapping: null\n", "leaves reactive_all_mapping empty, as the private test split does"),
        ("- a\n", "has no reactive_all_mapping"),
        ("", "has no reactive_all_mapping"),
        ("reactive_all_mapping: ['abc']\n", r"split.yaml: reactive_all_mapping\[0\] is 'abc'"),
        ("a: [", "is no list of names, neither YAML nor text"),
        (None, "is not a file that can be read"),
    ],
)
def test_files_without_a_mapping_are_named(tmp_path: Path, text: Any, message: str) -> None:
    path = tmp_path / "split.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_two_stage_mapping(path)


def test_an_empty_mapping_is_no_fault_of_its_own() -> None:
    """What is left of one may be nothing; who averages it says so."""
    assert TwoStageMapping(()).tokens == ()
