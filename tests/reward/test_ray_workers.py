"""Ray's actors do the same work: with a stand-in for the few calls of Ray that are used, and with Ray where it is."""

from __future__ import annotations

import importlib.util
import pickle
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.machinery import ModuleSpec
from typing import Any, Callable

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


class RayError(Exception):
    """As ray.exceptions.RayError."""


class RayActorError(RayError):
    """As ray.exceptions.RayActorError."""


class OutOfMemoryError(RayError):
    """As ray.exceptions.OutOfMemoryError, which is no error of an actor."""


class RayTaskError(RayError):
    """As ray.exceptions.RayTaskError."""

    def __init__(self, cause: Any) -> None:
        super().__init__("a long text with the worker's traceback")
        self.cause = cause


class FakeRay(types.ModuleType):
    """Does at once, in this process, what Ray does elsewhere; what travels is pickled as Ray would."""

    def __init__(self, cpus: int = 2) -> None:
        super().__init__("ray")
        self.__spec__ = ModuleSpec("ray", None)
        self.cpus, self.is_up, self.dead, self.killed = cpus, False, {}, []  # type: ignore[var-annotated]
        self.exceptions = types.SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
        self.held, self.stuck, self.asked = 0, set(), []  # type: ignore[var-annotated]

    def is_initialized(self) -> bool:
        return self.is_up

    def init(self) -> None:
        self.is_up = True

    def shutdown(self) -> None:
        self.is_up = False

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(self.cpus)}

    def available_resources(self) -> dict[str, float]:
        return {"CPU": float(self.cpus - self.held)} if self.cpus > self.held else {}  # as Ray: what is 0 is left out

    def wait(self, answers: list[Any], *, num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        assert timeout >= 0
        self.asked.append(timeout)
        ready = [answer for answer in answers if answer.actor not in self.stuck][:num_returns]
        return ready, [answer for answer in answers if answer not in ready]

    def remote(self, *, num_cpus: int) -> Any:
        assert num_cpus == 1
        return lambda kind: types.SimpleNamespace(remote=lambda *given: self.start(FakeActor(self, kind, given)))

    def start(self, actor: FakeActor) -> FakeActor:
        """An actor for which there is no processor waits."""
        if self.held >= self.cpus:
            self.stuck.add(actor)
        self.held += 1
        return actor

    def get(self, answer: Any) -> Any:
        return answer.call()

    def kill(self, actor: Any) -> None:
        self.killed.append(actor)


class FakeActor:
    """A handle of an actor; its methods give what ``get`` takes."""

    def __init__(self, ray: FakeRay, kind: type, given: tuple[Any, ...]) -> None:
        self._ray = ray
        self._own = kind(*pickle.loads(pickle.dumps(given)))

    def __getattr__(self, name: str) -> Any:
        return types.SimpleNamespace(remote=lambda *given: Answer(self, partial(self._call, name, pickle.dumps(given))))

    def _call(self, name: str, given: bytes) -> Any:
        if self in self._ray.dead:
            raise self._ray.dead[self]
        try:
            return pickle.loads(pickle.dumps(getattr(self._own, name)(*pickle.loads(given))))
        except Exception as error:
            raise RayTaskError(error) from error


@dataclass(eq=False)
class Answer:
    """What stands for a result that is not there yet."""

    actor: FakeActor
    call: Callable[[], Any]


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


DEAD = RayActorError("The actor died unexpectedly.\n\tclass_name: KeptWork\n\tIts worker process has died.\n")


@pytest.mark.parametrize(
    ("fault", "words"), [(DEAD, "Its worker process has died"), (OutOfMemoryError("node full"), "node full")]
)
def test_a_dead_actor_is_named_once_and_ends_the_pool(fault: RayError, words: str, fake: FakeRay) -> None:
    fake.init()
    with RewardPool(SCENES, workers=2, backend="ray") as pool:
        actors = pool._workers._actors  # type: ignore[union-attr]
        fake.dead[actors[1]] = fault
        with pytest.raises(WorkerError, match=rf"worker 2 of 2 was killed \({words}\), but each"):
            pool.rewards(TOKENS, PLANS)
        assert fake.killed == actors
        with pytest.raises(InputError, match="is closed"):
            pool.rewards(TOKENS, PLANS)


def test_a_dead_actor_is_noticed_while_another_hangs(fake: FakeRay) -> None:
    fake.init()
    with RewardPool(SCENES, workers=2, backend="ray") as pool:
        first, second = pool._workers._actors  # type: ignore[union-attr]
        fake.stuck.add(first)
        fake.dead[second] = DEAD
        with pytest.raises(WorkerError, match="worker 2 of 2 was killed"):
            pool.rewards(TOKENS, PLANS)


@pytest.mark.parametrize("is_up", [True, False])
def test_an_actor_that_does_not_answer_is_named_and_ends_the_pool(is_up: bool, fake: FakeRay) -> None:
    fake.is_up = is_up
    with RewardPool(SCENES, workers=2, backend="ray", timeout_s=7.5) as pool:
        actors = list(pool._workers._actors)  # type: ignore[union-attr]
        fake.stuck.add(actors[1])
        with pytest.raises(
            WorkerError, match=r"worker 2 of 2 has not answered within timeout_s=7\.5, so all are closed"
        ):
            pool.rewards(TOKENS, PLANS)
        assert 0 < max(fake.asked) <= 7.5
        assert fake.killed == (actors if is_up else [])
        assert fake.is_up is is_up
        with pytest.raises(InputError, match="is closed"):
            pool.rewards(TOKENS, PLANS)


def test_actors_that_wait_for_processors_say_so(fake: FakeRay, caplog: pytest.LogCaptureFixture) -> None:
    """Ray counts all processors of a cluster, whoever holds them."""
    fake.init()
    fake.held = 1
    with pytest.raises(
        WorkerError, match=r"worker 2 of 2 has not begun .*of 2 processors .* 0 are free.*fewer workers"
    ):
        RewardPool(SCENES, workers=2, backend="ray", timeout_s=3)
    assert "1 of 2 workers have not begun: of 2 processors of Ray's cluster 0 are free" in caplog.text
    assert len(fake.killed) == 2


def test_an_error_that_cannot_travel_is_raised_as_ray_tells_it(fake: FakeRay) -> None:
    with RewardPool(SCENES, workers=1, backend="ray") as pool:
        (actor,) = pool._workers._actors  # type: ignore[union-attr]
        fake.dead[actor] = RayTaskError("no exception")
        with pytest.raises(RayTaskError, match="a long text"):
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
