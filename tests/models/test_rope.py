"""Rotary positions: worked numbers, an obvious loop, and what the pretrained models' quirk leaves of relativity."""

from __future__ import annotations

import math

import pytest
import torch

from navsim_agents.models.transformer import axis_width, rotary_table, rotate

# Head widths of: a part of 2 with nothing left; the worked example; the tiny preset; V-JEPA's predictor; ViT-L; ViT-H.
HEAD_WIDTHS = (6, 14, 20, 32, 64, 80)


def rotated(vector: torch.Tensor, position: tuple[int, int, int]) -> torch.Tensor:
    table = rotary_table(torch.tensor([[position]]), vector.shape[-1])
    return rotate(vector.view(1, 1, 1, -1), *table).flatten()


def score(query: torch.Tensor, at: tuple[int, ...], key: torch.Tensor, key_at: tuple[int, ...]) -> float:
    return float(rotated(query, at) @ rotated(key, key_at))


def shifted(position: tuple[int, int, int], axis: int, by: int) -> tuple[int, ...]:
    return tuple(value + by * (index == axis) for index, value in enumerate(position))


def test_heads_are_cut_into_three_even_parts() -> None:
    assert [axis_width(width) for width in HEAD_WIDTHS] == [2, 4, 6, 10, 20, 26]


def test_worked_example_of_fourteen_channels() -> None:
    """Time 2, row 3, column 5; parts of 4, so the angles in a part are p, p/100, p, p/100; two channels are left over.

    First pair: 1 cos 2 - 2 sin 2 = -0.41615 - 1.81859 and 2 cos 0.02 + 1 sin 0.02 = 1.99960 + 0.02000.
    """
    expected = [-2.23474, 2.01960, -4.88563, 4.05920]
    expected += [-5.79668, 6.14728, -8.05891, 8.20637]
    expected += [12.14220, 10.43732, 14.62738, 12.53477]
    expected += [13.0, 14.0]
    actual = rotated(torch.arange(1.0, 15.0), (2, 3, 5))
    torch.testing.assert_close(actual, torch.tensor(expected), atol=2e-5, rtol=0)


@pytest.mark.parametrize("head_width", HEAD_WIDTHS)
def test_table_equals_an_obvious_loop(head_width: int) -> None:
    generator = torch.Generator().manual_seed(head_width)
    vector, position = torch.randn(head_width, generator=generator), (3, 15, 31)
    part = axis_width(head_width)
    expected = vector.tolist()
    for channel in range(0, 3 * part, 2):
        place = position[channel // part]
        even, odd = (place / 10000 ** (2 * ((channel % part + i) % (part // 2)) / part) for i in (0, 1))
        x, y = vector[channel].item(), vector[channel + 1].item()
        expected[channel] = x * math.cos(even) - y * math.sin(even)
        expected[channel + 1] = y * math.cos(odd) + x * math.sin(odd)
    torch.testing.assert_close(rotated(vector, position), torch.tensor(expected), atol=1e-5, rtol=0)


def test_the_first_token_is_not_turned() -> None:
    vector = torch.randn(20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rotated(vector, (0, 0, 0)), vector, atol=0, rtol=0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_scores_depend_on_offsets_only_where_a_part_is_one_pair(axis: int) -> None:
    query, key = torch.randn(2, 6, generator=torch.Generator().manual_seed(axis))
    here, there = (1, 4, 2), (3, 0, 7)
    before = score(query, here, key, there)
    after = score(query, shifted(here, axis, 9), key, shifted(there, axis, 9))
    assert after == pytest.approx(before, abs=1e-5)
    assert score(query, shifted(here, axis, 9), key, there) != pytest.approx(before, abs=1e-2)


def test_wider_parts_make_scores_depend_on_absolute_positions() -> None:
    """A unit first channel against itself at time p scores cos² p + sin² (p / 100) and not 1: that is the quirk."""
    unit = torch.eye(14)[0]
    expected = {0: 1.0, 2: 0.17318 + 0.00040, 5: 0.08046 + 0.00250}
    for time, value in expected.items():
        assert score(unit, (time, 0, 0), unit, (time, 0, 0)) == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axes_do_not_mix(axis: int) -> None:
    """Moving both tokens along one axis changes a score by an amount that the other axes' positions have no part in."""
    query, key = torch.randn(2, 64, generator=torch.Generator().manual_seed(axis))
    other = (axis + 1) % 3

    def change(here: tuple[int, ...], there: tuple[int, ...]) -> float:
        moved = score(query, shifted(here, axis, 6), key, shifted(there, axis, 6))
        return moved - score(query, here, key, there)

    here, there = (1, 4, 2), (3, 0, 7)
    first = change(here, there)
    assert abs(first) > 1e-2
    assert change(shifted(here, other, 11), shifted(there, other, 5)) == pytest.approx(first, abs=2e-5)


def test_tables_stay_float32_under_autocast() -> None:
    positions = torch.tensor([[[3, 15, 257], [3, 15, 256]]])
    outside = rotary_table(positions, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = rotary_table(positions, 64)
    assert torch.equal(inside.cos, outside.cos)
    assert torch.equal(inside.signed_sin, outside.signed_sin)
    assert not torch.equal(inside.cos[0, 0], inside.cos[0, 1])  # 256 and 257 are one number in bfloat16


def test_bfloat16_heads_are_rounded_once() -> None:
    heads = torch.randn(2, 3, 2, 20, generator=torch.Generator().manual_seed(1)).bfloat16()
    table = rotary_table(torch.tensor([[[0, 1, 2], [3, 4, 5], [1, 0, 9]]]), 20)
    turned = rotate(heads, *table)
    assert turned.dtype == torch.bfloat16
    assert torch.equal(turned, rotate(heads.float(), *table).bfloat16())
