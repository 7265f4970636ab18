from __future__ import annotations

import importlib.util
import json
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn

from cache_tools.build_vocabulary import BuildVocabularyConfig, build_vocabulary
from navsim_agents.data.logs import REQUIRED_KEYS
from navsim_agents.distillation import load_vocabulary, save_vocabulary
from navsim_agents.errors import DevkitError, LabelError
from tests.distillation.labels import vocabulary


def test_what_is_installed_does_not_change_the_vocabulary(root, monkeypatch):
    """faiss beside it or not: the default is scikit-learn's, and the report says so."""
    first = build_vocabulary(BuildVocabularyConfig(root=str(root), output=str(root / "one.npy"), k=2))
    monkeypatch.setitem(sys.modules, "faiss", SimpleNamespace())
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "faiss" else find_spec(name))
    second = build_vocabulary(BuildVocabularyConfig(root=str(root), output=str(root / "two.npy"), k=2))
    assert first == second
    assert (root / "one.npy").read_bytes() == (root / "two.npy").read_bytes()
    assert (first["kmeans"], first["start"], first["seed"]) == ("sklearn", "k-means++", 0)
    assert first["kmeans_version"] == sklearn.__version__
    assert first["inertia"] == first["inertia_per_round"][-1]
    assert 0 < first["iterations"] <= 100


def frame(number, speed, turn):
    """One frame of a log: a drive at constant speed and yaw rate."""
    heading = turn * 0.5 * number
    radius = speed / turn
    values = dict.fromkeys(REQUIRED_KEYS)
    values.update(
        token=f"{number:04d}",
        log_name="log",
        roadblock_ids=["1"],
        ego2global_translation=[100.0 + radius * np.sin(heading), radius * (1.0 - np.cos(heading)), 0.0],
        ego2global_rotation=[np.cos(heading / 2), 0.0, 0.0, np.sin(heading / 2)],
        scene_token="s",
        map_location="town",
    )
    return values


@pytest.fixture
def root(tmp_path):
    """Three logs of 20 frames, nine futures each, and one that is damaged."""
    folder = tmp_path / "navsim_logs" / "trainval"
    folder.mkdir(parents=True)
    for name, speed, turn in (("a", 4.0, 0.1), ("b", 10.0, -0.2), ("c", 7.0, 0.9)):
        (folder / f"{name}.pkl").write_bytes(pickle.dumps([frame(number, speed, turn) for number in range(20)]))
    (folder / "d.pkl").write_bytes(b"no pickle")
    return tmp_path


def config(folder, **changes):
    values = {"root": str(folder), "output": str(folder / "out" / "v.npy"), "k": 3, "kmeans": "sklearn"}
    return BuildVocabularyConfig(**{**values, **changes})


def test_vocabulary_of_logs(root):
    """Every log drives one arc all along, so three clusters are the three arcs."""
    report = build_vocabulary(config(root, seed=1))
    assert (report["trajectories"], report["logs"], report["size"]) == (27, 4, 3)
    assert list(report["skipped"]) == ["d"]
    assert report["inertia_per_round"][-1] < 1e-3
    assert report["mean_offset_m"] < 1e-3
    found = load_vocabulary(root / "out" / "v.npy")
    assert json.loads((root / "out" / "v.json").read_text()) == report
    assert found.digest == report["digest"]
    ends = sorted(found.planned()[:, -1].tolist())
    wanted = sorted(
        [v / w * np.sin(4 * w), v / w * (1 - np.cos(4 * w)), (4 * w + np.pi) % (2 * np.pi) - np.pi]
        for v, w in ((4.0, 0.1), (10.0, -0.2), (7.0, 0.9))
    )
    np.testing.assert_allclose(ends, wanted, atol=1e-3)
    assert abs(found.poses[..., 2]).max() <= np.pi  # 0.9 rad/s over 4 s goes beyond


def test_some_logs_only(root):
    assert build_vocabulary(config(root, log_names=["b"], k=1))["trajectories"] == 9
    assert build_vocabulary(config(root, log_names=["b"], k=1, frame_interval=4))["trajectories"] == 3


def test_public_vocabulary_is_taken_over(tmp_path):
    save_vocabulary(vocabulary(size=5), tmp_path / "public.npy")
    report = build_vocabulary(
        BuildVocabularyConfig(source=str(tmp_path / "public.npy"), output=str(tmp_path / "v.npy"))
    )
    assert (report["size"], report["digest"]) == (5, vocabulary(size=5).digest)
    assert (tmp_path / "v.npy").read_bytes() == (tmp_path / "public.npy").read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "logs", "root": None}, "root is null, but source=logs reads"),
        ({"source": "moon"}, "source is 'moon', but must be logs, devkit, bench2drive, or the path of a .npy"),
        ({"k": 0}, "k is 0, but must be 1 or more"),
        ({"k": 28}, "k is 28, but 27 trajectories"),
        ({"log_names": ["d"]}, r"gives 0 trajectories .*d\.pkl is not a readable log"),
    ],
)
def test_bad_options_are_refused(root, changes, message):
    with pytest.raises(LabelError, match=message):
        build_vocabulary(config(root, **changes))
    assert not (root / "out").exists()


def test_devkits_loader_needs_the_devkit(tmp_path, monkeypatch):
    from navsim_agents.devkit import futures
    from navsim_agents.devkit.variant import Host, Variant

    monkeypatch.setattr(futures, "detect_host", lambda: Host(Variant.NONE))
    with pytest.raises(DevkitError, match="source=devkit reads the split navtrain through NAVSIM, but no devkit"):
        build_vocabulary(BuildVocabularyConfig(source="devkit", output=str(tmp_path / "v.npy")))
