"""The table by hand: mean ± standard deviation over seeds, baselines, sentences about the noise."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from training.ablation.chart import write_chart
from training.ablation.results import AblationResults, read_rows
from training.ablation.tables import in_words, markdown_table

SCENES = ("s1", "s2", "s3", "s4")
EPDMS = {
    "plain-seed3": (0.2, 0.4, 0.6, 0.8),  # mean 0.5
    "plain-seed5": (0.3, 0.5, 0.7, 0.9),  # 0.6
    "rich-seed3": (0.4, 0.6, 0.8, 1.0),  # 0.7: everywhere 0.2 more
    "rich-seed5": (0.5, 0.7, 0.9, 1.1),  # 0.8: likewise
    "human": (0.5, 0.6, 0.9, 1.0),
}
ROWS = {"plain": {3: "plain-seed3", 5: "plain-seed5"}, "rich": {3: "rich-seed3", 5: "rich-seed5"}}


@pytest.fixture
def results(tmp_path: Path) -> AblationResults:
    agents = {}
    for name, values in EPDMS.items():
        table = pd.DataFrame({"token": SCENES, "log_name": ["a", "b", "c", "d"], "valid": True, "epdms": values})
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        agents[name] = {"epdms": sum(values) / 4, "epdms.lane_keeping": 1.0, "num_planned": 4, "num_failed": 0}
    return read_rows(tmp_path, agents, ROWS, ["human"])


def test_the_table_is_mean_and_deviation_over_seeds(results: AblationResults) -> None:
    lines = markdown_table(results).splitlines()
    assert lines[0] == "|  | EPDMS | seeds |"
    assert lines[2:] == [  # deviation of 0.5 and 0.6: 0.1 / sqrt(2)
        "| plain | 0.550 ± 0.071 | 2 |",
        "| rich | 0.750 ± 0.071 | 2 |",
        "| human | 0.750 |  |",
    ]


def test_csv_has_a_line_a_row_and_seed_and_a_line_a_row(results: AblationResults) -> None:
    by_seed, by_row = results.by_seed(), results.by_row()
    assert list(zip(by_seed["row"], by_seed["seed"])) == [
        ("plain", 3),
        ("plain", 5),
        ("rich", 3),
        ("rich", 5),
        ("human", ""),
    ]
    assert list(by_seed["epdms"]) == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.75])
    assert set(by_seed) >= {"epdms.lane_keeping", "num_planned", "num_failed"}
    assert list(by_row["epdms"]) == pytest.approx([0.55, 0.75, 0.75])
    assert list(by_row["epdms.sd"][:2]) == pytest.approx([0.1 / 2**0.5] * 2)
    assert list(by_row["seeds"]) == [2, 2, 0]


def test_words_say_what_exceeds_the_noise_and_in_how_many_seeds(results: AblationResults) -> None:
    words = in_words(results, "epdms")
    assert "- rich − plain: +0.200 ± 0.000; better in 2 of 2 seeds" in words
    assert words.endswith("apart:\n- rich and human")


def test_baselines_are_paired_with_every_seed(results: AblationResults) -> None:
    """The human is 0.25, 0.2, 0.25, 0.2 above the mean of the plain row's seeds, 0.25 and 0.15 of each seed."""
    found = next(its for its in results.comparisons("epdms") if (its.row, its.other) == ("human", "plain"))
    assert found.difference == pytest.approx(0.2)
    assert (found.seeds_better, found.seeds) == (2, 2)


def test_a_metric_that_nobody_has_is_no_fault(results: AblationResults) -> None:
    assert in_words(results, "warmth") == "No two rows have warmth."


def test_the_chart_is_a_picture(results: AblationResults, tmp_path: Path) -> None:
    write_chart(results, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
