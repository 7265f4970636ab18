"""Which convention the scores of a file follow: by hand, and by the devkit's recorded answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from navsim_agents.errors import InputError
from navsim_agents.evaluation.score_convention import scores_by, tell_convention
from navsim_agents.evaluation.score_files import parts_of, read_score_file
from tests.evaluation.score_tables import (
    COLLIDED,
    FIRST_FRAME,
    HALFWAY,
    ONCOMING,
    PDMS_HALFWAY,
    PERFECT,
    STALE_DIRECTION,
    STALE_LANE,
    V22_COLUMNS,
    Row,
    staged,
    v11,
    v22,
    write_csv,
)

GOLDEN = Path(__file__).parents[1] / "scoring" / "golden"
AS_ADDED = {"a": HALFWAY, "b": FIRST_FRAME, "c": COLLIDED, "d": ONCOMING, "e": PERFECT}
SUM = 13.5 / 16.0  # of HALFWAY's columns


def test_pdms(tmp_path: Path) -> None:
    found = tell_convention(read_score_file(v11(tmp_path / "a.csv", {"a": PDMS_HALFWAY})))
    assert (found.name, found.num_telling, found.words) == ("pdms", 1, "all 1 scores are PDMS of their columns")
    wrong = (*PDMS_HALFWAY[:-1], 0.5)
    found = tell_convention(read_score_file(v11(tmp_path / "a.csv", {"a": PDMS_HALFWAY, "b": wrong})))
    assert (found.name, found.num_telling) == ("neither", 1)
    assert found.words == (
        "1 of 2 scores are not PDMS of their columns: b has 0.500000, its columns add up to 0.791667"
    )


def test_scores_that_their_columns_add_up_to(tmp_path: Path) -> None:
    """Which the table alone cannot tell from a table from before the fix in which nothing was excused."""
    found = tell_convention(read_score_file(v22(tmp_path / "a.csv", AS_ADDED)))
    assert (found.name, found.num_rows, found.num_telling) == ("epdms", 5, 0)
    assert "all 5 scores are EPDMS of their columns, as since the fix" in found.words
    assert "rows alone cannot tell" in found.words


def test_epdms_star_beside_the_score_tells(tmp_path: Path) -> None:
    rows = {"a": (*HALFWAY, 11.5 / 16.0), "b": (*PERFECT, 1.0)}
    file = read_score_file(write_csv(tmp_path / "a.csv", [*V22_COLUMNS, "epdms_star"], rows))
    found = tell_convention(file)
    assert (found.name, found.num_telling) == ("epdms", 1)
    assert "EPDMS* beside them differs in 1 rows" in found.words
    star, origin = scores_by(file, found, "epdms_star", 1e-6)
    assert (star.tolist(), origin) == ([11.5 / 16.0, 1.0], "its column epdms_star")


@pytest.mark.parametrize(
    "row",
    [
        STALE_LANE,
        STALE_DIRECTION,
        (*HALFWAY[:-1], 0.0),  # a multiplier was 0
        (*HALFWAY[:-1], 8.5 / 16.0),  # time to collision
        (*HALFWAY[:-1], 0.25 * 11.5 / 16.0),  # both multipliers that know a half, and lane keeping
        (*PERFECT[:-1], 0.9),  # progress was not 0 of the plan, but it was of the human: any value is possible
        (*FIRST_FRAME[:-1], 9.5 / 14.0),
        (*ONCOMING[:-1], 3.375 / 16.0),  # its own half, and one that was excused: a collision with an object
    ],
)
def test_scores_that_the_filter_has_not_reached(row: Row, tmp_path: Path) -> None:
    file = read_score_file(v22(tmp_path / "a.csv", {**AS_ADDED, "f": row}))
    found = tell_convention(file)
    assert (found.name, found.num_rows, found.num_telling) == ("epdms_star", 6, 1)
    assert found.words.startswith("1 of 6 scores are lower than their columns add up to")
    assert f"(f has {row[-1]:.6f}, its columns add up to " in found.words
    own, origin = scores_by(file, found, "epdms_star", 1e-6)
    assert (own[-1], origin) == (row[-1], "its own scores")
    fixed, origin = scores_by(file, found, "epdms", 1e-6)
    assert origin == "recomputed from its columns"
    np.testing.assert_allclose(fixed[:5], [float(its[-1]) for its in AS_ADDED.values()], atol=1e-12)
    assert fixed[5] > own[5]


@pytest.mark.parametrize(
    "row",
    [
        (*HALFWAY[:-1], 0.9),  # more than the columns add up to
        (*HALFWAY[:-1], SUM - 0.03),  # less, but by nothing that a filter does
        (*HALFWAY[:-1], 11.5 / 14.0),  # without extended comfort, which is there
        (*HALFWAY[:-1], 100.0 * SUM),
        (*COLLIDED[:-1], 0.3),
    ],
)
def test_scores_that_are_neither(row: Row, tmp_path: Path) -> None:
    found = tell_convention(read_score_file(v22(tmp_path / "a.csv", {**AS_ADDED, "f": row})))
    assert (found.name, found.num_telling) == ("neither", 1)
    assert "1 of 6 scores are not EPDMS or EPDMS* of their columns: f has" in found.words


def test_nothing_is_excused_in_the_second_stage(tmp_path: Path) -> None:
    first = read_score_file(staged(tmp_path / "a.csv", {"a": STALE_LANE}, {"b": HALFWAY}, {}))
    second = read_score_file(staged(tmp_path / "b.csv", {"a": HALFWAY}, {"b": STALE_LANE}, {}))
    assert tell_convention(first).name == "epdms_star"
    assert tell_convention(second).name == "neither"


def test_rounded_scores_need_a_tolerance(tmp_path: Path) -> None:
    file = read_score_file(v22(tmp_path / "a.csv", {"a": (*FIRST_FRAME[:-1], round(11.5 / 14.0, 3))}))
    assert tell_convention(file).name == "neither"
    assert tell_convention(file, 6e-4).name == "epdms"


def test_what_a_file_cannot_give(tmp_path: Path) -> None:
    fixed = read_score_file(v22(tmp_path / "a.csv", AS_ADDED))
    with pytest.raises(InputError, match="there is no way to epdms_star; compare by metric=epdms"):
        scores_by(fixed, tell_convention(fixed), "epdms_star", 1e-6)
    old = read_score_file(v11(tmp_path / "b.csv", {"a": PDMS_HALFWAY}))
    with pytest.raises(InputError, match=r"holds pdms, .* no way to epdms"):
        scores_by(old, tell_convention(old), "epdms", 1e-6)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("v1.1/expected_*.npz")), ids=lambda path: path.stem)
def test_the_devkits_recorded_pdms(path: Path, tmp_path: Path) -> None:
    answers = np.load(path)
    columns = [*parts_of("pdms"), "score"]
    rows = {f"{row:04d}": [repr(float(answers[name][row])) for name in columns] for row in range(84)}
    found = tell_convention(read_score_file(write_csv(tmp_path / "a.csv", columns, rows)), 1e-9)
    assert (found.name, found.num_rows) == ("pdms", 84)


@pytest.mark.parametrize("comfort", ["no_ec", "ec0", "ec1"])
@pytest.mark.parametrize("path", sorted(GOLDEN.glob("v2.2/expected_*.npz")), ids=lambda path: path.stem)
def test_the_devkits_recorded_epdms_of_both_conventions(path: Path, comfort: str, tmp_path: Path) -> None:
    """Before the fix the table had the filtered columns beside the score of the unfiltered ones."""
    answers = np.load(path)
    fixed, stale = answers[f"score_{comfort}_filtered"], answers[f"score_{comfort}"]
    columns = {name: answers[f"{name}_filtered"] for name in V22_COLUMNS[:-2]}
    columns["two_frame_extended_comfort"] = np.full(84, {"no_ec": np.nan, "ec0": 0.0, "ec1": 1.0}[comfort])
    found = {}
    for name, scores in (("fixed", fixed), ("stale", stale)):
        rows = {f"{row:04d}": [*(repr(float(its[row])) for its in columns.values()), scores[row]] for row in range(84)}
        found[name] = tell_convention(read_score_file(write_csv(tmp_path / "a.csv", V22_COLUMNS, rows)), 1e-9)
    is_excused = np.abs(fixed - stale) > 1e-9
    assert (found["fixed"].name, found["fixed"].num_rows) == ("epdms", 84)
    assert found["stale"].name == ("epdms_star" if is_excused.any() else "epdms")
    assert found["stale"].num_telling == is_excused.sum()


def test_some_recorded_scene_excuses() -> None:
    answers = [np.load(path) for path in sorted(GOLDEN.glob("v2.2/expected_*.npz"))]
    assert any(np.abs(its["score_ec1_filtered"] - its["score_ec1"]).max() > 0.1 for its in answers)
