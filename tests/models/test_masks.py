"""Masks: the blocks are where and as large as their family says, and what is cut is cut alike."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from navsim_agents.errors import InputError
from navsim_agents.models.masks import BlockSize, MaskFamily, Masks, sample_block_size, sample_covered, sample_masks
from navsim_agents.models.transformer import TokenGrid

GRID = TokenGrid(times=4, rows=16, columns=32)
SHORT = MaskFamily("short_range", num_blocks=8, min_scale=0.15, max_scale=0.15)
LONG = MaskFamily("long_range", num_blocks=2, min_scale=0.7, max_scale=0.7)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def as_grid(covered: Tensor, grid: TokenGrid = GRID) -> Tensor:
    return covered.unflatten(-1, (grid.times, grid.rows, grid.columns))


def member(ids: Tensor, grid: TokenGrid = GRID) -> Tensor:
    return torch.zeros(len(ids), grid.num_tokens, dtype=torch.bool).scatter_(1, ids, True)


def test_block_size_worked_by_hand() -> None:
    """0.15 of 512 patches are 76; at aspect 0.75 that is 7.55 x 10.07 patches, at aspect 1.5 it is 10.68 x 7.12."""
    wide, tall = replace(SHORT, max_aspect=0.75), replace(SHORT, min_aspect=1.5)
    assert sample_block_size(wide, GRID, seeded(0)) == BlockSize(4, 8, 10)
    assert sample_block_size(tall, GRID, seeded(0)) == BlockSize(4, 11, 7)
    half_as_long = replace(wide, min_duration=0.5, max_duration=0.5)
    assert sample_block_size(half_as_long, GRID, seeded(0)) == BlockSize(2, 8, 10)


def test_blocks_never_leave_the_grid() -> None:
    """0.7 of 2 x 30 patches would be 6 x 6."""
    assert sample_block_size(LONG, TokenGrid(3, 2, 30), seeded(5)).rows == 2


@pytest.mark.parametrize("family", [SHORT, LONG])
def test_scale_and_aspect_stay_within_the_family_up_to_rounding(family: MaskFamily) -> None:
    sizes = [sample_block_size(family, GRID, seeded(seed)) for seed in range(200)]
    for _, rows, columns in sizes:
        if rows < GRID.rows:  # not clamped
            assert 0.75 * (columns - 0.5) - 0.5 <= rows <= 1.5 * (columns + 0.5) + 0.5
            assert (rows - 0.5) * (columns - 0.5) <= family.max_scale * 512 <= (rows + 0.5) * (columns + 0.5) + 1
    assert len(set(sizes)) > 3
    assert {size.times for size in sizes} == {4}


def test_one_block_is_a_full_rectangle_of_the_batch_size_at_a_place_of_its_own() -> None:
    single, seed = replace(SHORT, num_blocks=1), 11
    size = sample_block_size(single, GRID, seeded(seed))
    covered = as_grid(sample_covered(single, GRID, 5, seeded(seed)))
    corners = set()
    for clip in covered:
        place = clip.nonzero()
        low, high = place.min(dim=0).values, place.max(dim=0).values
        assert tuple((high - low + 1).tolist()) == tuple(size)
        assert len(place) == size.times * size.rows * size.columns
        corners.add(tuple(low.tolist()))
    assert len(corners) == 5


def test_eight_blocks_cover_no_more_than_eight_and_last_the_whole_clip() -> None:
    size = sample_block_size(SHORT, GRID, seeded(3))
    covered = as_grid(sample_covered(SHORT, GRID, 20, seeded(3)))
    assert bool((covered == covered[:, :1]).all())
    frames = covered[:, 0].flatten(1).sum(dim=1)
    assert int(frames.max()) <= 8 * size.rows * size.columns
    assert int(frames.min()) >= size.rows * size.columns
    assert int(frames.max()) > 3 * size.rows * size.columns


def test_every_place_of_a_block_is_reached() -> None:
    grid = TokenGrid(times=3, rows=4, columns=6)
    family = MaskFamily("one", 1, 0.2, 0.2, 1.0, 1.0, min_duration=0.4, max_duration=0.4)
    size = sample_block_size(family, grid, seeded(1))
    assert size == BlockSize(1, 2, 2)
    covered = as_grid(sample_covered(family, grid, 1500, seeded(1)), grid)
    firsts = {tuple(clip.nonzero()[0].tolist()) for clip in covered}
    assert firsts == {(time, row, column) for time in range(3) for row in range(3) for column in range(5)}


@pytest.mark.parametrize("cut", ["random", "first"])
def test_masks_of_a_batch_are_disjoint_ascending_and_of_one_length(cut: str) -> None:
    for family in (SHORT, LONG):
        covered = sample_covered(family, GRID, 6, seeded(2))
        (masks,) = sample_masks([family], GRID, 6, seeded(2), cut=cut)
        assert masks.target.shape == (6, int(covered.sum(1).min()))
        assert masks.context.shape == (6, int((~covered).sum(1).min()))
        assert bool((masks.context.diff(dim=1) > 0).all())
        assert bool((masks.target.diff(dim=1) > 0).all())
        assert not bool((member(masks.context) & member(masks.target)).any())
        assert bool((covered | ~member(masks.target)).all())
        assert not bool((covered & member(masks.context)).any())


def per_time(ids: Tensor) -> list[float]:
    counts = as_grid(member(ids)).flatten(2).sum(-1).float()
    return counts.mean(dim=0).tolist()


def test_the_first_ids_starve_the_last_time_steps_and_a_random_cut_does_not() -> None:
    (first,) = sample_masks([SHORT], GRID, 64, seeded(4), cut="first")
    (even,) = sample_masks([SHORT], GRID, 64, seeded(4))
    assert first.target.shape == even.target.shape
    assert per_time(first.target)[3] < 0.25 * per_time(first.target)[0]
    assert max(per_time(even.target)) < 1.05 * min(per_time(even.target))
    covered = sample_covered(SHORT, GRID, 64, seeded(4))
    longest = int(covered.sum(1).argmax())
    assert torch.equal(first.target[longest], covered[longest].nonzero().flatten()[: first.target.shape[1]])


def test_the_full_complement_leaves_no_token_out() -> None:
    (masks,) = sample_masks([replace(SHORT, full_complement=True)], GRID, 5, seeded(2))
    assert masks.context.shape[1] + masks.target.shape[1] == GRID.num_tokens
    assert torch.equal(member(masks.context), ~member(masks.target))


def test_processes_get_their_rows_of_one_batch() -> None:
    whole = sample_masks([SHORT, LONG], GRID, 6, seeded(9))
    parts = [sample_masks([SHORT, LONG], GRID, 6, seeded(9), rows=rows) for rows in (slice(0, 2), slice(2, 6))]
    for masks, *pieces in zip(whole, *parts):
        for name in Masks._fields:
            assert torch.equal(getattr(masks, name), torch.cat([getattr(piece, name) for piece in pieces]))


def test_a_process_that_cuts_for_itself_keeps_more() -> None:
    covered = sample_covered(SHORT, GRID, 12, seeded(9))
    rows = slice(3, 5)
    (own,) = sample_masks([SHORT], GRID, 12, seeded(9), rows=rows, cut_over_all=False)
    (shared,) = sample_masks([SHORT], GRID, 12, seeded(9), rows=rows)
    assert own.target.shape == (2, int(covered[rows].sum(1).min()))
    assert own.context.shape == (2, int((~covered)[rows].sum(1).min()))
    assert own.target.shape[1] > shared.target.shape[1]
    assert not bool((member(shared.target) & ~member(own.target)).any())


def test_a_clip_that_blocks_cover_altogether_is_drawn_again() -> None:
    grid = TokenGrid(times=1, rows=2, columns=2)
    three_corners = MaskFamily("most", num_blocks=3, min_scale=0.5, max_scale=0.5, min_aspect=2.0, max_aspect=2.0)
    covered = sample_covered(three_corners, grid, 50, seeded(0))
    assert set(covered.sum(1).tolist()) == {2}


def test_blocks_that_leave_nothing_are_refused() -> None:
    with pytest.raises(InputError, match=r"'all': 2 blocks of \(4, 16, 32\) tokens leave nothing of 4x16x32"):
        sample_covered(MaskFamily("all", 2, 1.0, 1.0, 0.5, 0.5), GRID, 3, seeded(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_scale": 0.2}, r"min_scale=0\.2, max_scale=0\.15; 0 < min <= max <= 1"),
        ({"max_duration": 1.5}, r"max_duration=1\.5"),
        ({"min_aspect": 0.0}, r"min_aspect=0\.0, max_aspect=1\.5; 0 < min <= max$"),
        ({"num_blocks": 0}, r"num_blocks=0; place one block"),
    ],
)
def test_impossible_families_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(SHORT, **changes)


def test_an_unknown_cut_is_refused() -> None:
    with pytest.raises(InputError, match=r"cut is 'last', but must be one of random, first"):
        sample_masks([SHORT], GRID, 2, seeded(0), cut="last")
