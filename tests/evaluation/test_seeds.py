"""Mean and standard deviation over runs that differ in their seed."""

from __future__ import annotations

import math

import pytest

from navsim_agents.evaluation.seeds import runs_by_name, seeded, spread, spread_table, spreads


def test_names_that_end_in_a_seed_belong_together() -> None:
    names = ["human", seeded("full", 0), "full-seed10", "full-momentum-seed1", "seed-seed", "full-seed1-ema"]
    assert runs_by_name(names) == {"full": ["full-seed0", "full-seed10"], "full-momentum": ["full-momentum-seed1"]}


def test_spread_by_hand() -> None:
    got = spread([{"pdms": 1.0, "epdms": 0.5}, {"pdms": 2.0}, {"pdms": 6.0, "epdms": 0.1}])
    assert list(got) == ["pdms"]  # a metric that one run lacks has no mean over the seeds
    assert got["pdms"]["mean"] == 3.0
    assert got["pdms"]["sd"] == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert got["pdms"]["values"] == [1.0, 2.0, 6.0]
    assert spread([{"pdms": 1.0}])["pdms"]["sd"] is None


def test_table_has_a_line_a_group_and_names_what_has_no_seeds() -> None:
    runs = {
        "human": {"pdms": 0.9, "epdms.lane_keeping": 1.0, "num_planned": 4, "num_failed": 0},
        "full-seed0": {"pdms": 0.25, "epdms.lane_keeping": 0.5, "num_planned": 4, "num_failed": 0},
        "full-seed1": {"pdms": 0.75, "epdms.lane_keeping": 0.5, "num_planned": 4, "num_failed": 0},
        "plain-seed0": {"pdms": 0.5, "num_planned": 4, "num_failed": 0},
    }
    lines = spread_table("agent", spreads(runs), {"human": runs["human"]}).splitlines()
    assert lines[0].split() == ["agent", "pdms", "seeds", "scenes"]
    assert lines[2].split() == ["full", "0.500", "±", "0.354", "2", "4"]
    assert lines[3].split() == ["plain", "0.500", "1", "4"]
    assert lines[4].split() == ["(human)", "0.900", "4"]
