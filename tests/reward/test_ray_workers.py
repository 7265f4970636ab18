"""Ray's actors do the same work: with a stand-in for the few calls of Ray that are used, and with Ray where it is."""

from __future__ import annotations

import importlib.util
import pickle
import sys
import types
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from typing import Any

import pytest
import torch

from navsim_agents.common.extras import MissingPackageError
from navsim_agents.common.processes import WorkerError
from navsim_agents.errors import InputError, SceneError
from navsim_agents.reward import RewardPool
from navsim_agents.scoring import ScoringScene, score_scenes
from tests.reward.scenes_of_pool import hand_made, plans_for

SCENES = hand_made()
TOKENS = list(SCENES)[::-1]
PLANS = plans_for(len(TOKENS))


class RayActorError(Exception):
    """As ray.exceptions.RayActorError."""


class RayTaskError(Exception):
    """As ray.exceptions.RayTaskError."""

    def __init__(self, cause: Exception) -> None:
        super().__init__("a long text with the worker's traceback")
        self.cause = cause


class FakeRay(types.ModuleType):
    """Does at once, in this process, what Ray does elsewhere; what travels is pickled as Ray would."""

    def __init__(self, cpus: int = 2) -> None:
        super().__init__("ray")
        self.__spec__ = ModuleSpec("ray", None)
        self.cpus, self.is_up, self.dead, self.killed = cpus, False, set(), []  # type: ignore[var-annotated]
        self.exceptions = types.SimpleNamespace(RayActorError=RayActorError, RayTaskError=RayTaskError)

    def is_initialized(self) -> bool:
        return self.is_up

    def init(self) -> None:
        self.is_up = True

    def shutdown(self) -> None:
        self.is_up = False

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(self.cpus)}

    def remote(self, *, num_cpus: int) -> Any:
        assert num_cpus == 1
        return lambda kind: types.SimpleNamespace(remote=lambda *given: FakeActor(self, kind, given))

    def get(self, answer: Any) -> Any:
        return answer()

    def kill(self, actor: Any) -> None:
        self.killed.append(actor)


class FakeActor:
    """A handle of an actor; its methods give what ``get`` takes."""

    def __init__(self, ray: FakeRay, kind: type, given: tuple[Any, ...]) -> None:
        self._ray = ray
        self._own = kind(*pickle.loads(pickle.dumps(given)))

    def __getattr__(self, name: str) -> Any:
        return types.SimpleNamespace(remote=lambda *given: lambda: self._call(name, pickle.dumps(given)))

    def _call(self, name: str, given: bytes) -> Any:
        if self in self._ray.dead:
            raise RayActorError("The actor died unexpectedly before finishing this task.")
        try:
            return pickle.loads(pickle.dumps(getattr(self._own, name)(*pickle.loads(given))))
        except Exception as error:
            raise RayTaskError(error) from error


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    ray, threads = FakeRay(), torch.get_num_threads()
    monkeypatch.setitem(sys.modules, "ray", ray)
    yield ray
    torch.set_num_threads(threads)  # the actors are in this process


def agree_with_the_scorer(workers: int) -> None:
    wanted = score_scenes([SCENES[token] for token in TOKENS], PLANS).columns["pdm_score"]
    with RewardPool(SCENES, workers=workers, backend="ray") as pool:
        for _ in range(2):
            torch.testing.assert_close(pool.rewards(TOKENS, PLANS), wanted, rtol=0, atol=1e-12)


def test_actors_answer_as_the_scorer_does(fake: FakeRay) -> None:
    agree_with_the_scorer(2)
    assert not fake.is_up, "what the pool started ended with it"


def test_a_cluster_that_was_there_stays(fake: FakeRay) -> None:
    fake.init()
    agree_with_the_scorer(2)
    assert fake.is_up
    assert len(fake.killed) == 2


def test_more_workers_than_processors_are_refused_before_they_wait_for_ever(fake: FakeRay) -> None:
    with pytest.raises(InputError, match=r"workers=3, but Ray's cluster has 2 processors.*give workers=2 or fewer"):
        RewardPool(SCENES, workers=3, backend="ray")
    assert not fake.is_up


def test_a_dead_actor_is_named_once_and_ends_the_pool(fake: FakeRay) -> None:
    fake.init()
    with RewardPool(SCENES, workers=2, backend="ray") as pool:
        actors = pool._workers._actors  # type: ignore[union-attr]
        fake.dead.add(actors[1])
        with pytest.raises(WorkerError, match="worker 2 of 2 was killed"):
            pool.rewards(TOKENS, PLANS)
        assert fake.killed == actors
        with pytest.raises(InputError, match="is closed"):
            pool.rewards(TOKENS, PLANS)


def test_a_scene_that_an_actor_cannot_read_is_named(fake: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(arrays: Any) -> Any:
        raise ValueError("half of it is missing")

    pool = RewardPool(SCENES, workers=1, backend="ray")
    monkeypatch.setattr(ScoringScene, "from_arrays", damaged)
    with pool, pytest.raises(SceneError, match=r"scene token_4 cannot be read \(ValueError: half"):
        pool.rewards(TOKENS, PLANS)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("navsim_agents.common.extras.find_spec", lambda name: None if name == "ray" else found(name))
    with pytest.raises(MissingPackageError, match=r"ray is not installed.*pip install 'navsim-drive-jepa\[ray\]'"):
        RewardPool(SCENES, workers=1, backend="ray")


@pytest.mark.slow
def test_with_ray_itself() -> None:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        agree_with_the_scorer(2)
        with RewardPool(SCENES, workers=1, backend="ray") as pool:
            ray.kill(pool._workers._actors[0])  # type: ignore[union-attr]
            with pytest.raises(WorkerError, match="worker 1 of 1 was killed"):
                pool.rewards(TOKENS, PLANS)
    finally:
        ray.shutdown()
