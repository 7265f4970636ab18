"""Token ids and their places."""

from __future__ import annotations

import torch

from navsim_agents.models.transformer import TokenGrid


def test_ids_run_along_columns_then_rows_then_time() -> None:
    grid = TokenGrid(times=2, rows=3, columns=4)
    assert grid.num_tokens == 24
    ids = torch.tensor([0, 3, 4, 11, 12, 23])
    expected = [[0, 0, 0], [0, 0, 3], [0, 1, 0], [0, 2, 3], [1, 0, 0], [1, 2, 3]]
    assert grid.positions(ids).tolist() == expected


def test_positions_number_back_to_ids() -> None:
    grid = TokenGrid(times=2, rows=3, columns=4)
    ids = grid.all_ids().view(2, 3, 4)
    time, row, column = grid.positions(ids).unbind(-1)
    assert torch.equal((time * 3 + row) * 4 + column, ids)
