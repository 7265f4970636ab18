"""Items in order of their own time, however they come."""

from __future__ import annotations

from itertools import permutations

import pytest

from navsim_agents.alpasim.timeline import Timeline


def line(*stamps: int, capacity: int = 9) -> Timeline[str]:
    made: Timeline[str] = Timeline(capacity)
    for stamp in stamps:
        made.add(stamp, f"item {stamp}")
    return made


@pytest.mark.parametrize("order", list(permutations((10, 20, 30))))
def test_order_of_arrival_does_not_matter(order: tuple[int, ...]) -> None:
    assert line(*order).between(0, 99) == [(10, "item 10"), (20, "item 20"), (30, "item 30")]


def test_a_doubled_stamp_keeps_its_first_item() -> None:
    made = line(10, 20)
    made.add(10, "again")
    assert made.up_to(10) == (10, "item 10")
    assert len(made) == 2


@pytest.mark.parametrize(
    ("at", "before", "after"), [(9, None, 10), (10, 10, 20), (19, 10, 20), (20, 20, 30), (31, 30, None)]
)
def test_neighbours(at: int, before: int | None, after: int | None) -> None:
    made = line(30, 10, 20)
    assert made.up_to(at) == (None if before is None else (before, f"item {before}"))
    assert made.after(at) == (None if after is None else (after, f"item {after}"))


@pytest.mark.parametrize(("at", "within", "found"), [(14, 5, 10), (15, 6, 20), (16, 5, 20), (15, 5, None), (5, 6, 10)])
def test_nearest(at: int, within: int, found: int | None) -> None:
    assert line(10, 20).nearest(at, within) == (None if found is None else (found, f"item {found}"))


def test_nothing_is_nearest_of_nothing() -> None:
    assert line().nearest(3, 99) is None


def test_forgetting_keeps_the_newest_of_the_old() -> None:
    made = line(10, 20, 30, 40)
    made.forget_before(30)
    assert made.between(0, 99) == [(30, "item 30"), (40, "item 40")]
    made.forget_before(39)
    assert made.up_to(39) == (30, "item 30")
    made.forget_before(5)
    assert len(made) == 2


def test_of_too_many_the_oldest_go() -> None:
    assert line(30, 10, 20, 40, capacity=3).between(0, 99)[0] == (20, "item 20")
