"""GridMask: where it hides, when, and by whose chance."""

from __future__ import annotations

import pytest
import torch

from navsim_agents.errors import InputError
from navsim_agents.models.pictures import GridMask, stripes


def test_stripes_by_hand() -> None:
    """The picture of 8 px lies on a canvas of 12 px from px 2 on; stripes start at px 3 and 8 of the canvas."""
    kept = stripes(length=8, period=5, stripe=2, start=3)
    assert kept.int().tolist() == [0, 1, 1, 0, 0, 0, 1, 1]


def test_a_canvas_has_as_many_stripes_as_whole_periods() -> None:
    """Period 7 fits once on 12 px, so there is no second stripe at px 9 of the canvas."""
    assert stripes(length=8, period=7, stripe=2, start=2).int().tolist() == [1, 1, 0, 0, 0, 0, 0, 0]


def test_rectangles_between_rows_and_columns_are_hidden() -> None:
    generator = torch.Generator().manual_seed(0)
    mask = GridMask(ratio=0.5, probability=1.0)
    for _ in range(20):
        kept = mask.draw((24, 40), generator)
        rows, columns = kept.all(1), kept.all(0)
        assert torch.equal(kept, rows.unsqueeze(1) | columns)


def test_about_three_quarters_are_kept() -> None:
    generator = torch.Generator().manual_seed(0)
    mask = GridMask(ratio=0.5, probability=1.0)
    kept = torch.stack([mask.draw((24, 40), generator).float().mean() for _ in range(300)]).mean()
    assert 0.6 < kept < 0.8


def test_hidden_pixels_are_zero_in_all_pictures_alike() -> None:
    pictures = torch.rand(2, 3, 5, 24, 40) + 1.0
    masked = GridMask(ratio=0.5, probability=1.0).train()(pictures, torch.Generator().manual_seed(3))
    kept = masked != 0
    assert not kept.all()
    assert torch.equal(kept, kept[:1, :1, :1].expand_as(kept))
    assert torch.equal(masked, pictures * kept)


def test_chance_comes_from_the_generator() -> None:
    mask, pictures = GridMask(ratio=0.5, probability=0.7).train(), torch.ones(1, 24, 40)
    draws = [mask(pictures, torch.Generator().manual_seed(seed)) for seed in (1, 1, *range(2, 102))]
    assert torch.equal(draws[0], draws[1])
    share = sum(bool((draw == 0).any()) for draw in draws) / len(draws)
    assert 0.55 < share < 0.85


def test_evaluation_hides_nothing() -> None:
    pictures = torch.ones(1, 24, 40)
    assert GridMask(ratio=0.5, probability=1.0).eval()(pictures) is pictures
    assert GridMask(ratio=0.5, probability=0.0).train()(pictures) is pictures


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(InputError, match=r"ratio=1.5 of the grid mask must be a fraction"):
        GridMask(ratio=1.5, probability=0.7)
    with pytest.raises(InputError, match=r"probability=-1.0 of the grid mask must be a fraction"):
        GridMask(ratio=0.5, probability=-1.0)
    with pytest.raises(InputError, match=r"a picture of 2 rows is too small"):
        GridMask(ratio=0.5, probability=1.0).draw((2, 40))
