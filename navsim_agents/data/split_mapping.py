"""Which scenes of a two-stage split belong together: ``reactive_all_mapping`` of NAVSIM v2.2's split files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from navsim_agents.data.names import quote_hint, read_nested_names
from navsim_agents.errors import InputError

MAPPING_KEY = "reactive_all_mapping"
FIRST_STAGE_TOKEN_LENGTH, SECOND_STAGE_TOKEN_LENGTH = 16, 17
"""Digits of tokens; the devkit's metric cache tells synthetic scenes by them (``metric_cache_processor.py``)."""
FORM = "[now, previous, [[follow-up of now, follow-up of previous], …]]"
NUM_EXAMPLES = 3

Pair = tuple[str, str]


@dataclass(frozen=True)
class SceneGroup:
    """Two first-stage scenes that follow each other in a log, and the second-stage scenes where they may lead."""

    now: str
    previous: str
    follow_ups: tuple[Pair, ...]  # of now, and of previous

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Scenes (now, previous) whose plans are compared, those of the first stage first."""
        return ((self.now, self.previous), *self.follow_ups)

    @property
    def halves(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The first-stage scenes now and previous, each with its own follow-ups."""
        follow_now, follow_previous = zip(*self.follow_ups)
        return ((self.now, follow_now), (self.previous, follow_previous))

    @property
    def tokens(self) -> tuple[str, ...]:
        """All scenes, pair by pair."""
        return tuple(token for pair in self.pairs for token in pair)


@dataclass(frozen=True)
class TwoStageMapping:
    """Groups of scenes; no scene is in two of them.

    Raises:
        InputError: a group has no follow-ups, a token has not the length of its stage, or comes twice.
    """

    groups: tuple[SceneGroup, ...]
    note: str = field(default="", compare=False)  # what is odd about the names themselves

    def __post_init__(self) -> None:
        for index, group in enumerate(self.groups):
            _check_group(index, group)
        counts = Counter(self.tokens)
        twice = [token for token, count in counts.items() if count > 1]
        if twice:
            raise InputError(
                f"{MAPPING_KEY} names {len(twice)} scenes more than once ({some(twice)}), but a scene has one pair and "
                "one weight; leave each in one place"
            )

    @property
    def first_stage(self) -> tuple[str, ...]:
        """Tokens of the logged scenes."""
        return tuple(token for group in self.groups for token in (group.now, group.previous))

    @property
    def second_stage(self) -> tuple[str, ...]:
        """Tokens of the synthetic scenes."""
        return tuple(token for group in self.groups for pair in group.follow_ups for token in pair)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Tokens of both stages, group by group."""
        return tuple(token for group in self.groups for token in group.tokens)

    def of_scenes(self, tokens: Collection[str]) -> TwoStageMapping:
        """The groups that NAVSIM's scripts look at when they have these scenes: one of the first-stage two suffices."""
        known = set(tokens)
        return self._keep(group for group in self.groups if {group.now, group.previous} & known)

    def of_complete_groups(self, tokens: Collection[str]) -> TwoStageMapping:
        """The groups all of whose scenes are among ``tokens``: the others have no score."""
        known = set(tokens)
        return self._keep(group for group in self.groups if known.issuperset(group.tokens))

    def _keep(self, groups: Iterator[SceneGroup]) -> TwoStageMapping:
        return TwoStageMapping(tuple(groups), self.note)


def read_two_stage_mapping(path: Path) -> TwoStageMapping:
    """The mapping of a file of the devkit's group ``train_test_split``; tokens are the text that stands there.

    Raises:
        InputError: no such file, no YAML, no mapping in it, or the mapping breaks a rule.
    """
    found = read_nested_names(path, MAPPING_KEY)
    if found is None or found.content is None:
        has = "leaves" if found else "has no"
        empty = " empty, as the private test split does" if found else ""
        raise InputError(
            f"{path} {has} {MAPPING_KEY}{empty}, so nothing says which scenes belong together; give a split's file "
            "that has it, such as train_test_split/navhard_two_stage.yaml"
        )
    try:
        mapping = parse_two_stage_mapping(found.content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return TwoStageMapping(mapping.groups, quote_hint(str(path), found.misread))


def parse_two_stage_mapping(content: Any) -> TwoStageMapping:
    """The mapping in nested lists, as the split's file holds it.

    Raises:
        InputError: it is not made of groups of two scenes and pairs, or breaks a rule of :class:`TwoStageMapping`.
    """
    if not _is_list(content) or not content:
        raise InputError(f"{MAPPING_KEY} is {content!r}, but must be a list of groups {FORM}; correct it")
    return TwoStageMapping(tuple(_group(index, entry) for index, entry in enumerate(content)))


def _group(index: int, entry: Any) -> SceneGroup:
    where = f"{MAPPING_KEY}[{index}]"
    if not _is_list(entry) or len(entry) != 3 or not _is_list(entry[2]):
        raise InputError(f"{where} is {_shown(entry)}, but a group is {FORM}; correct it")
    now, previous, follow_ups = entry
    for pair in follow_ups:
        if not _is_list(pair) or len(pair) != 2:
            raise InputError(
                f"{where} has the follow-up {_shown(pair)}, but each needs its pair [now, previous], 0.5 s apart; "
                "name both scenes or leave it out"
            )
    _check_tokens(where, [now, previous, *(token for pair in follow_ups for token in pair)])
    return SceneGroup(now, previous, tuple((pair[0], pair[1]) for pair in follow_ups))


def _check_group(index: int, group: SceneGroup) -> None:
    """Raises InputError where a group has no second stage, or a token is not of its stage."""
    where = f"{MAPPING_KEY}[{index}]"
    if not group.follow_ups:
        raise InputError(
            f"{where} has no follow-ups of {group.now}, but its score is a product with theirs; leave the group out"
        )
    _check_tokens(where, group.tokens)


def _check_tokens(where: str, tokens: Sequence[Any]) -> None:
    """Raises InputError where the first two are not of the first stage, or others not of the second."""
    for number, token in enumerate(tokens):
        stage, length = ("second", SECOND_STAGE_TOKEN_LENGTH) if number > 1 else ("first", FIRST_STAGE_TOKEN_LENGTH)
        if not isinstance(token, str) or len(token) != length:
            raise InputError(
                f"{where} names {token!r} in the {stage} stage, whose tokens have {length} digits as text (by their "
                "number NAVSIM tells the stages apart); correct it, in quotes"
            )


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _shown(value: Any) -> str:
    """``value`` in a message, not too long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def some(tokens: Collection[str]) -> str:
    """A few of them, in their order."""
    names = list(tokens)
    return ", ".join(names[:NUM_EXAMPLES]) + (", …" if len(names) > NUM_EXAMPLES else "")
