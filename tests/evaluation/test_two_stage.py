"""Two-stage scores: weights, pairs, groups and averages worked by hand, and what must not matter."""

from __future__ import annotations

import io
from dataclasses import replace
from math import log, sqrt
from typing import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from navsim_agents.data.split_mapping import TwoStageMapping
from navsim_agents.errors import InputError
from navsim_agents.evaluation.two_stage import (
    SceneScores,
    TwoStageScores,
    aggregate_two_stage,
    follow_up_weights,
)
from navsim_agents.scoring import epdms
from navsim_agents.scoring.aggregate import EXTENDED_COMFORT, SUB_SCORES
from tests.evaluation.staged import (
    PROGRESS,
    T0_US,
    first,
    mapping_of,
    perfect_scores,
    placed,
    random_scores,
    reordered,
    second,
    with_value,
)
from tests.scoring import tiny

ONE = mapping_of(2)  # first(0) and first(1), each with two follow-ups: second(0) and (2), second(1) and (3)
MANY = mapping_of(3, 1, 5, 2)


def value(scores: TwoStageScores, token: str, name: str) -> float:
    row = scores.tokens.index(token)
    return float(scores.weights[row] if name == "weight" else scores.columns[name][row])


def test_weights_fall_with_the_square_of_the_distance() -> None:
    """At sqrt(0.2 ln 3) m the kernel is exp(-ln 3), a third."""
    third = sqrt(0.2 * log(3.0))
    starts = np.array([(5.0, 7.0), (5.0, 7.0 - third)])
    np.testing.assert_allclose(follow_up_weights(np.array((5.0, 7.0)), starts), (0.75, 0.25), rtol=1e-14)
    both = np.array([(third / sqrt(2.0), third / sqrt(2.0)), (0.0, third)])
    np.testing.assert_allclose(follow_up_weights(np.zeros(2), both), (0.5, 0.5), rtol=1e-14)


def test_weights_are_equal_where_every_follow_up_is_far() -> None:
    """The devkit takes a sum up to 1e-8 for 0, which one follow-up reaches at sqrt(0.2 ln 1e8) = 1.9194 m."""
    edge = sqrt(0.2 * log(1e8))
    far = np.array([(edge + 1e-6, 0.0), (9.0, 0.0), (0.0, 1e6)])
    np.testing.assert_array_equal(follow_up_weights(np.zeros(2), far), np.full(3, 1.0 / 3.0))
    near = np.array([(edge - 1e-6, 0.0), (9.0, 0.0), (0.0, 1e6)])
    np.testing.assert_allclose(follow_up_weights(np.zeros(2), near), (1.0, 0.0, 0.0), atol=1e-12)


def test_scores_of_a_group_by_hand() -> None:
    """Follow-ups of now weigh 3/4 and 1/4, those of previous 1/2 each; a 0 in a part of weight 5 costs 5/16."""
    scenes = placed(
        perfect_scores(ONE),
        starts={second(2): (3.0, sqrt(0.2 * log(3.0))), second(0): (3.0, 0.0)},
        ends={first(0): (3.0, 0.0)},
    )
    scenes = with_value(scenes, first(0), PROGRESS, 0.0)  # 11/16
    scenes = with_value(scenes, second(0), "lane_keeping", 0.0)  # 14/16
    scenes = with_value(scenes, second(2), "drivable_area_compliance", 0.0)  # 0
    scenes = with_value(scenes, second(3), "time_to_collision_within_bound", 0.0)  # 11/16
    scores = aggregate_two_stage(scenes, ONE)
    assert [value(scores, second(number), "weight") for number in range(4)] == pytest.approx([0.75, 0.5, 0.25, 0.5])
    assert value(scores, first(0), "weight") == value(scores, first(1), "weight") == 1.0
    now, previous = 11 / 16 * (0.75 * 14 / 16 + 0.25 * 0.0), 1.0 * (0.5 + 0.5 * 11 / 16)
    assert scores.group_scores == pytest.approx([(now + previous) / 2], abs=1e-15)
    assert scores.averages["combined"] == {"score": pytest.approx((now + previous) / 2, abs=1e-15)}
    assert scores.averages["stage_one"]["score"] == pytest.approx((11 / 16 + 1.0) / 2)
    assert scores.averages["stage_one"][PROGRESS] == 0.5
    assert scores.averages["stage_two"]["score"] == pytest.approx((0.75 * 14 / 16 + 0.5 + 0.5 * 11 / 16) / 2)
    assert scores.averages["stage_two"]["drivable_area_compliance"] == pytest.approx((0.75 + 1.0) / 2)


def test_the_planned_end_of_previous_weighs_its_own_follow_ups() -> None:
    scenes = placed(
        perfect_scores(ONE), starts={second(1): (4.0, 0.0), second(3): (0.0, 4.0)}, ends={first(1): (0.0, 4.0)}
    )
    scores = aggregate_two_stage(scenes, ONE)
    assert [value(scores, second(number), "weight") for number in range(4)] == pytest.approx([0.5, 0.0, 0.5, 1.0])


def test_both_scenes_of_a_pair_get_its_comfort() -> None:
    """A pair that disagrees costs 2/16 in both of its scenes and in no other."""
    scenes = perfect_scores(ONE)
    states = scenes.simulated_states.clone()
    states[scenes.tokens.index(second(2)), :, 5] = 5.0  # m/s^2
    scores = aggregate_two_stage(replace(scenes, simulated_states=states), ONE)
    for token in ONE.tokens:
        comfort = 0.0 if token in (second(2), second(3)) else 1.0
        assert value(scores, token, EXTENDED_COMFORT) == comfort
        assert value(scores, token, "score") == (14.0 + 2.0 * comfort) / 16.0


def test_comfort_compares_plans_where_they_overlap() -> None:
    """A car that brakes from 2 s on in one plan does so from 1.6 s on in the plan 0.4 s later, and from no other."""
    mapping = mapping_of(1)
    scenes = perfect_scores(mapping)
    times, states = scenes.times_us.copy(), scenes.simulated_states.clone()
    now, previous = (scenes.tokens.index(token) for token in mapping.groups[0].pairs[0])
    times[previous] = T0_US - 400_000
    states[previous, 20:, 5] = states[now, 16:, 5] = -6.0
    agreeing = aggregate_two_stage(replace(scenes, times_us=times, simulated_states=states), mapping)
    assert value(agreeing, first(0), EXTENDED_COMFORT) == 1.0
    times[previous] = T0_US - 500_000
    assert value(
        aggregate_two_stage(replace(scenes, times_us=times, simulated_states=states), mapping),
        first(0),
        EXTENDED_COMFORT,
    ) == pytest.approx(0.0)


def test_groups_count_alike_however_many_follow_ups_they_have() -> None:
    mapping = mapping_of(1, 4)
    scenes = perfect_scores(mapping)
    for token in (second(0), second(1)):
        scenes = with_value(scenes, token, "traffic_light_compliance", 0.0)
    scores = aggregate_two_stage(scenes, mapping)
    np.testing.assert_allclose(scores.group_scores, (0.0, 1.0), atol=1e-15)
    assert scores.averages["combined"]["score"] == 0.5
    assert scores.averages["stage_two"]["traffic_light_compliance"] == 0.5


@pytest.mark.parametrize("seed", range(3))
def test_an_obvious_loop_gives_the_same(seed: int) -> None:
    scenes = random_scores(MANY, seed)
    scores = aggregate_two_stage(scenes, MANY)
    assert {0.0, 1.0} == set(scores.columns[EXTENDED_COMFORT])
    columns = {name: torch.from_numpy(values) for name, values in scores.columns.items()}
    own = epdms({name: columns[name] for name in SUB_SCORES["epdms"]}, columns[EXTENDED_COMFORT]).tolist()
    of = dict(zip(scenes.tokens, own))
    where = {token: (scenes.start_xy[row], scenes.end_xy[row]) for row, token in enumerate(scenes.tokens)}
    groups = []
    for group in MANY.groups:
        halves = []
        for token, follow_ups in group.halves:
            distances = [float(np.linalg.norm(where[other][0] - where[token][1])) for other in follow_ups]
            kernel = [np.exp(-(distance**2) / 0.2) for distance in distances]
            if sum(kernel) <= 1e-8:
                kernel = [1.0] * len(kernel)
            second_stage = sum(weight * of[other] for weight, other in zip(kernel, follow_ups)) / sum(kernel)
            halves.append(of[token] * second_stage)
        groups.append(sum(halves) / 2.0)
    np.testing.assert_allclose(scores.group_scores, groups, atol=1e-12)
    assert scores.averages["combined"]["score"] == pytest.approx(sum(groups) / len(groups), abs=1e-12)


def test_order_does_not_matter() -> None:
    """Neither that of scenes, nor of groups, nor of follow-ups."""
    scenes, random = random_scores(MANY, 5), np.random.default_rng(0)
    scores = aggregate_two_stage(scenes, MANY)
    rows = random.permutation(len(scenes.tokens))
    groups = [replace(group, follow_ups=group.follow_ups[::-1]) for group in MANY.groups[::-1]]
    other = aggregate_two_stage(reordered(scenes, rows), TwoStageMapping(tuple(groups)))
    assert other.tokens == tuple(scores.tokens[row] for row in rows)
    for name, values in scores.columns.items():
        np.testing.assert_array_equal(other.columns[name], values[rows])
    np.testing.assert_allclose(other.weights, scores.weights[rows], rtol=1e-12)
    np.testing.assert_allclose(other.group_scores, scores.group_scores[::-1], rtol=1e-12)
    for stage, averages in scores.averages.items():
        assert other.averages[stage] == pytest.approx(averages, rel=1e-12)


def test_moving_the_map_does_not_matter() -> None:
    scenes = random_scores(MANY, 6)
    far = np.array((-1234.0, 777.0))
    moved = replace(scenes, start_xy=scenes.start_xy + far, end_xy=scenes.end_xy + far)
    assert aggregate_two_stage(moved, MANY).averages["combined"] == pytest.approx(
        aggregate_two_stage(scenes, MANY).averages["combined"], abs=1e-8
    )


def test_a_better_scene_never_lowers_the_average() -> None:
    scenes = random_scores(MANY, 7)
    base = aggregate_two_stage(scenes, MANY).averages["combined"]["score"]
    better = [
        aggregate_two_stage(with_value(scenes, token, PROGRESS, 1.0), MANY).averages["combined"]["score"]
        for token in MANY.tokens
    ]
    assert min(better) >= base - 1e-15
    assert max(better) > base


def test_the_table_has_the_devkits_form() -> None:
    scores = aggregate_two_stage(random_scores(MANY, 8), MANY)
    table = pd.read_csv(io.StringIO(scores.table().to_csv()), index_col=0, dtype={"token": str})
    names = [*SUB_SCORES["epdms"], EXTENDED_COMFORT]
    stages = [f"{name}_{stage}" for stage in ("stage_one", "stage_two") for name in names]
    assert list(table.columns) == ["token", "valid", *stages, "score"]
    assert list(table["token"][-3:]) == [
        f"extended_pdm_score_{stage}" for stage in ("stage_one", "stage_two", "combined")
    ]
    assert table["valid"].all()
    by_token = table.set_index("token")
    one, two = by_token.loc[list(MANY.first_stage)], by_token.loc[list(MANY.second_stage)]
    assert one.filter(like="_stage_one").notna().all(axis=None)
    assert one.filter(like="_stage_two").isna().all(axis=None)
    assert two.filter(like="_stage_one").isna().all(axis=None)
    assert two.filter(like="_stage_two").notna().all(axis=None)
    combined = by_token.loc["extended_pdm_score_combined"]
    assert combined["score"] == scores.averages["combined"]["score"]
    assert combined["lane_keeping_stage_two"] == scores.averages["stage_two"]["lane_keeping"]
    first_row = by_token.loc["extended_pdm_score_stage_one"]
    assert (first_row["score"], first_row.filter(like="_stage_two").isna().all()) == (
        scores.averages["stage_one"]["score"],
        True,
    )


def test_ends_are_planned_poses_in_the_map_frame() -> None:
    """A car at (10, 20) that looks north and plans to end 6 m ahead and 1 m to its left ends at (9, 26)."""
    scene = replace(
        tiny.scene(tracks=[], token=np.asarray(first(3)), timestamp_us=np.asarray(T0_US)),
        ego_pose=torch.tensor((10.0, 20.0, np.pi / 2), dtype=torch.float64),
    )
    plans = np.zeros((1, 8, 3))
    plans[0, -1] = (6.0, 1.0, 0.3)
    scenes = SceneScores.of_scenes([scene], plans, {}, torch.zeros(1, 41, 11, dtype=torch.float64))
    np.testing.assert_allclose(scenes.start_xy, [(10.0, 20.0)])
    np.testing.assert_allclose(scenes.end_xy, [(9.0, 26.0)], atol=1e-12)
    assert (scenes.tokens, scenes.times_us.tolist()) == ([first(3)], [T0_US])


def without(token: str) -> Callable[[SceneScores], SceneScores]:
    def change(scenes: SceneScores) -> SceneScores:
        return reordered(scenes, np.array([row for row, name in enumerate(scenes.tokens) if name != token]))

    return change


def apart(gap_us: int) -> Callable[[SceneScores], SceneScores]:
    def change(scenes: SceneScores) -> SceneScores:
        times = scenes.times_us.copy()
        times[scenes.tokens.index(second(3))] = T0_US - gap_us
        return replace(scenes, times_us=times)

    return change


def unplanned(scenes: SceneScores) -> SceneScores:
    return placed(scenes, ends={first(1): (float("nan"), 0.0)})


def unsimulated(scenes: SceneScores) -> SceneScores:
    states = scenes.simulated_states.clone()
    states[scenes.tokens.index(second(1)), 40, 3] = float("inf")
    return replace(scenes, simulated_states=states)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without(first(1)), f"1 scenes of the mapping are not among those scored .{first(1)}.* leaves 1 of 1 groups"),
        (without(second(2)), f"not among those scored .{second(2)}.*score them too, or ask .*of_complete_groups"),
        (apart(600_000), f"{second(2)} starts 0.6 s after {second(3)}, .* less than 0.55 s; correct the mapping"),
        (apart(0), f"{second(2)} starts 0 s after {second(3)}"),
        (apart(-500_000), f"{second(2)} starts -0.5 s after {second(3)}"),
        (lambda scenes: with_value(scenes, second(0), PROGRESS, float("nan")), f"not finite .{second(0)}"),
        (unplanned, f"not finite .{first(1)}"),
        (unsimulated, f"not finite .{second(1)}"),
        (lambda scenes: reordered(scenes, np.array([0, *range(6)])), f"scored more than once .{first(0)}.; give each"),
        (lambda scenes: replace(scenes, columns={PROGRESS: np.ones(6)}), "have no no_at_fault_collisions, .*by epdms"),
    ],
)
def test_what_has_no_score_is_named(change: Callable[[SceneScores], SceneScores], message: str) -> None:
    with pytest.raises(InputError, match=message):
        aggregate_two_stage(change(perfect_scores(ONE)), ONE)


def test_scenes_of_no_group_are_named_and_complete_groups_have_a_score() -> None:
    scenes = random_scores(MANY, 9)
    known = reordered(scenes, np.arange(len(scenes.tokens) - 1))
    complete = MANY.of_complete_groups(known.tokens)
    assert complete.groups == MANY.groups[:-1]
    with pytest.raises(InputError, match=r"5 scenes are in no group of the mapping \(0+12, 0+13, 0+14, …\)"):
        aggregate_two_stage(known, complete)
    rest = reordered(known, np.arange(len(complete.tokens)))
    everything = aggregate_two_stage(scenes, MANY)
    np.testing.assert_allclose(aggregate_two_stage(rest, complete).group_scores, everything.group_scores[:-1])
    with pytest.raises(InputError, match="no group left"):
        aggregate_two_stage(rest, MANY.of_complete_groups([]))
