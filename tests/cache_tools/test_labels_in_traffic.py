"""Labels of traffic that reacts: whose scores they are, what they are kept apart from, and who checks them."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from cache_tools.score_vocabulary import label_scenes
from navsim_agents.devkit import cache_pickle, scoring
from navsim_agents.distillation import LabelStore, labelling
from navsim_agents.errors import LabelError, SceneError
from navsim_agents.scoring import SceneStore, score_trajectories
from tests.cache_tools.tools import devkit_scorer, make_inputs, make_reacting_scenes, make_vocabulary, options


@pytest.fixture
def folder(tmp_path):
    make_inputs(tmp_path, 1)
    labelling.open_scorer.cache_clear()
    return tmp_path


def test_labels_in_traffic_that_reacts(folder):
    make_reacting_scenes(folder / "reacting", 2)
    scenes, planned = SceneStore(folder / "reacting"), make_vocabulary().planned().double()
    values = {"scenes": str(folder / "reacting"), "traffic": "reactive"}
    assert label_scenes(options(folder, **values))["failed"] == {}
    store = LabelStore.open(folder / "labels", make_vocabulary(), "epdms")
    assert store.stamp.traffic == "reactive"
    num_changed = 0
    for token in store:
        wanted = score_trajectories(scenes[token], planned, traffic="reactive")["pdm_score"].numpy()
        np.testing.assert_allclose(store.scores(token), wanted, atol=1e-5)
        num_changed += int((abs(score_trajectories(scenes[token], planned)["pdm_score"].numpy() - wanted) > 0.1).sum())
    assert num_changed > 0
    with pytest.raises(LabelError, match="traffic: reactive there, log_replay now"):
        label_scenes(options(folder, scenes=values["scenes"]))


def test_scenes_without_traffic_are_refused_before_anything_is_written(folder):
    with pytest.raises(SceneError, match=r"scene 0000000000000000 lacks traffic_role, .* again with traffic=true"):
        label_scenes(options(folder, traffic="reactive"))
    assert not (folder / "labels").exists()


@pytest.mark.parametrize(("traffic", "whole"), [("log_replay", "jointly"), ("reactive", (10, True))])
def test_the_devkit_scores_reacting_traffic_one_by_one(folder, monkeypatch, traffic, whole):
    asked = []

    def one_by_one(cache, plans, interval_s, reactive):
        asked.append((len(plans), reactive))
        return {}

    def jointly(cache, plans, interval_s):
        asked.append("jointly")
        return SimpleNamespace(columns={})

    monkeypatch.setattr(scoring, "score_with_devkit", one_by_one)
    monkeypatch.setattr(scoring, "score_jointly_with_devkit", jointly)
    monkeypatch.setattr(cache_pickle, "read_metric_cache", lambda path: path)
    scorer = devkit_scorer(folder)
    scorer._stamp = dataclasses.replace(scorer._stamp, traffic=traffic)
    scorer._score(folder, None)
    scorer._score(folder, np.array([1, 4]))
    assert asked == [whole, (2, traffic == "reactive")]
