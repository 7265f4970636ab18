"""A log from its files against the functions that it was written from; rotations against scipy; what is broken."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from navsim_agents.argoverse.categories import CATEGORIES, agent_type
from navsim_agents.argoverse.ego import states_at
from navsim_agents.argoverse.log import ANNOTATIONS, POSES, read_log, speed_of, track_poses_at
from navsim_agents.argoverse.rotations import headings, matrices, turned_together
from navsim_agents.common.agent_types import AgentType
from navsim_agents.errors import InputError
from navsim_agents.scoring.axes import State
from tests.argoverse.sensor_logs import MOVERS, NAME, ego_path, read_feather, write_feather


def test_rotations_are_scipys():
    quaternions = np.random.default_rng(3).normal(size=(40, 4))
    wanted = Rotation.from_quat(quaternions[:, [1, 2, 3, 0]])
    np.testing.assert_allclose(matrices(quaternions), wanted.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(headings(matrices(quaternions)), wanted.as_euler("ZYX")[:, 0], atol=1e-9)


def test_signs_follow_each_other():
    quaternions = np.array([[1.0, 0, 0, 0], [-0.9, 0, 0, -0.1], [-0.8, 0, 0, -0.2], [0.7, 0, 0, 0.3]])
    together = turned_together(quaternions)
    assert (together[:, 0] > 0.0).all()
    np.testing.assert_array_equal(np.abs(together), np.abs(quaternions))


def test_the_ego_is_where_it_was(log):
    assert log.name == NAME
    times = np.linspace(1.0, 15.0, 57)
    wanted = ego_path(times)
    np.testing.assert_allclose(
        log.ego.at(times)[:, :2], wanted[:, :2], atol=1e-4
    )  # between logged poses it is straight
    np.testing.assert_allclose(log.ego.at(times)[:, 2], wanted[:, 2], atol=3e-3)  # its frame is tilted in a turn


def test_between_poses_of_either_sign_the_car_is_turned_as_beside_them(log):
    times = ((log.ego.times[1:] + log.ego.times[:-1]) / 2)[50:1500:3]
    rotations, positions = log.ego.in_space(times)
    np.testing.assert_allclose(np.cos(headings(rotations) - log.ego.at(times)[:, 2]), 1.0, atol=1e-9)
    np.testing.assert_allclose(rotations[:, 2, 2], np.cos(0.02) * np.cos(0.03), atol=1e-6)  # as tilted as ever
    np.testing.assert_allclose(positions[:, :2], log.ego.at(times)[:, :2], atol=1e-9)


def test_boxes_are_where_they_were_though_the_car_is_tilted(log):
    tracks = {track.token: track for track in log.tracks}
    assert set(tracks) == set(MOVERS)
    for token, mover in MOVERS.items():
        track, wanted = tracks[token], mover.path(tracks[token].times)
        np.testing.assert_allclose(track.poses[:, :2], wanted[:, :2], atol=1e-6)
        turn = track.poses[:, 2] - wanted[:, 2]
        np.testing.assert_allclose(turn - turn[0], 0.0, atol=1e-6)  # the spinner goes on beyond a whole turn
        assert np.cos(turn[0]) == pytest.approx(1.0)
        assert track.size.tolist() == list(mover.size[:2])
        assert track.kind == CATEGORIES[mover.category]


def test_speeds_are_differences(log):
    tracks = {track.token: track for track in log.tracks}
    assert speed_of(tracks["lead"], 5.0, 0.25) == pytest.approx(7.0)
    assert speed_of(tracks["lead"], float(tracks["lead"].times[0]), 0.25) == pytest.approx(7.0)  # one side alone
    assert speed_of(tracks["parked"], 5.0, 0.25) == pytest.approx(0.0, abs=1e-6)
    assert speed_of(tracks["once"], 5.0, 0.25) == 0.0  # seen once


def test_a_track_is_there_from_its_first_box_to_its_last(log):
    tracks = {track.token: track for track in log.tracks}
    times = float(log.sweeps[80]) + 0.1 * np.arange(51)
    poses, valid = track_poses_at(tracks["walker"], times, 0.05)
    np.testing.assert_array_equal(valid, times <= tracks["walker"].times[-1] + 0.05)
    assert 8 <= valid.sum() <= 10
    np.testing.assert_allclose(poses[valid][:7, 1], -9.0 + 0.5 * times[:7], atol=1e-6)
    assert not track_poses_at(tracks["once"], times, 0.05)[1].any()
    _, valid = track_poses_at(tracks["once"], 4.0 + 0.1 * np.arange(51), 0.05)
    assert valid.sum() == 1
    spun, valid = track_poses_at(tracks["spinner"], times, 0.05)
    assert valid.all()
    assert (np.abs(spun[:, 2]) <= np.pi).all()
    np.testing.assert_allclose(np.cos(spun[:, 2] - (3.0 + 0.9 * times)), 1.0, atol=1e-9)


def test_states_in_a_turn_are_those_of_the_circle(log):
    """6 m/s on a circle of 12 m: 0.5 rad/s, 3 m/s^2 to the left, wheels at atan(3.089 / 12)."""
    (state,) = states_at(log.ego, np.array([8.3]))
    assert state[State.VELOCITY_X] == pytest.approx(6.0, rel=3e-3)
    assert state[State.VELOCITY_Y] == pytest.approx(0.0, abs=0.03)
    assert state[State.ACCELERATION_X] == pytest.approx(0.0, abs=0.03)
    assert state[State.ACCELERATION_Y] == pytest.approx(3.0, rel=5e-3)
    assert state[State.ANGULAR_VELOCITY] == pytest.approx(0.5, rel=2e-3)
    assert state[State.STEERING_ANGLE] == pytest.approx(np.arctan(3.089 / 12.0), rel=5e-3)
    (straight,) = states_at(log.ego, np.array([3.0]))
    np.testing.assert_allclose(straight[3:], [6.0, *[0.0] * 7], atol=1e-6)


def test_all_30_categories_have_a_type():
    assert len(CATEGORIES) == 30
    assert {agent_type(name) for name in CATEGORIES} == set(AgentType)
    with pytest.raises(InputError, match="'HOVERCRAFT' is none of Argoverse 2's"):
        agent_type("HOVERCRAFT")


def edited(folder, tmp_path, name, column, value):
    copy = tmp_path / "log"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("sensors"))
    rows = read_feather(copy / name)
    rows[column][slice(None) if column == "category" else 7] = value
    write_feather(copy / name, rows)
    return copy


@pytest.mark.parametrize(
    ("name", "column", "value", "words"),
    [
        (POSES, "tx_m", np.nan, "tx_m=nan in row 7, but must be finite"),
        (POSES, "qw", np.inf, "qw=inf in row 7"),
        (ANNOTATIONS, "ty_m", np.nan, "ty_m=nan in row 7"),
        (ANNOTATIONS, "category", "HOVERCRAFT", "'HOVERCRAFT' is none of Argoverse 2's sensor dataset"),
        (ANNOTATIONS, "timestamp_ns", 5, "boxes .* s after the first pose, but poses end at"),
    ],
)
def test_broken_values_are_told(name, column, value, words, folder, tmp_path):
    copy = edited(folder, tmp_path, name, column, value)
    with pytest.raises(InputError, match=words):
        read_log(copy)


def test_a_rotation_without_length_is_told(folder, tmp_path):
    copy = edited(folder, tmp_path, ANNOTATIONS, "qw", 0.0)
    rows = read_feather(copy / ANNOTATIONS)
    for column in ("qx", "qy", "qz"):
        rows[column][7] = 0.0
    write_feather(copy / ANNOTATIONS, rows)
    with pytest.raises(InputError, match="a rotation of length 0 in row 7"):
        read_log(copy)


@pytest.mark.parametrize("name", [POSES, ANNOTATIONS])
def test_broken_files_are_told(name, folder, tmp_path):
    copy = tmp_path / "log"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("sensors"))
    rows = read_feather(copy / name)
    write_feather(copy / name, {key: values for key, values in rows.items() if key != "tx_m"})
    with pytest.raises(InputError, match=f"{name} is not what it should be.*tx_m"):
        read_log(copy)
    write_feather(copy / name, {key: values[:0] for key, values in rows.items()})
    with pytest.raises(InputError, match=f"{name} has no rows"):
        read_log(copy)
    (copy / name).write_bytes(b"no feather")
    with pytest.raises(InputError, match=f"{name} is no(t what it should be| feather file)"):
        read_log(copy)
    (copy / name).unlink()
    with pytest.raises(InputError, match=f"{name} cannot be read"):
        read_log(copy)
