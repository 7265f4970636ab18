"""Rewards from a pool are those of the scorer, whoever works; what goes wrong names its scene or its worker."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from navsim_agents.common.kept_workers import KeptWorkers
from navsim_agents.common.processes import WorkerError
from navsim_agents.errors import InputError, SceneError, TrajectoryError
from navsim_agents.reward import RewardPool, scorer
from navsim_agents.reward.scorer import Job, Rules, SceneScorer
from navsim_agents.scoring import SceneStore, ScoringScene, score_scenes
from navsim_agents.scoring.aggregate import COLUMNS, SCORE, epdms
from tests.reward.scenes_of_pool import damaged_store, hand_made, plans_for, write_store

SCENES = hand_made()
ORDER = ["token_3", "token_0", "token_4", "token_3", "token_1"]  # one twice, one not at all
PLANS = plans_for(len(ORDER))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write_store(folder, SCENES)
    return folder


@pytest.fixture(scope="module", params=["here", "processes"])
def pool(request: pytest.FixtureRequest, store: Path) -> Iterator[RewardPool]:
    with RewardPool(str(store), workers=2 if request.param == "processes" else 0) as made:
        yield made


def direct(metric: str = "epdms", **options: Any) -> Mapping[str, torch.Tensor]:
    return score_scenes([SCENES[token] for token in ORDER], PLANS, metric=metric, **options).columns


def test_rewards_and_columns_are_the_scorers_in_the_callers_order(pool: RewardPool) -> None:
    wanted = direct()
    assert len(set(wanted["pdm_score"].flatten().tolist())) > 3
    torch.testing.assert_close(pool.rewards(ORDER, PLANS), wanted["pdm_score"], rtol=0, atol=1e-12)
    scored = pool.score(ORDER, PLANS)
    assert tuple(scored.columns) == COLUMNS["epdms"]
    for name, values in scored.columns.items():
        torch.testing.assert_close(values, wanted[name], rtol=0, atol=1e-12)
    torch.testing.assert_close(scored.rewards, wanted["pdm_score"], rtol=0, atol=1e-12)


def test_answers_have_the_dtype_of_the_plans_and_no_gradient(pool: RewardPool) -> None:
    plans = PLANS.float().requires_grad_()
    rewards = pool.rewards(ORDER, plans)
    assert (rewards.dtype, rewards.requires_grad) == (torch.float32, False)
    torch.testing.assert_close(rewards.double(), direct()["pdm_score"], rtol=0, atol=1e-4)
    assert pool.rewards([], PLANS[:0]).shape == (0, PLANS.shape[1])


@pytest.mark.parametrize("metric", ["pdms", "epdms"])
@pytest.mark.parametrize("workers", [0, 1])
def test_scenes_may_be_a_mapping_and_the_metric_either(metric: str, workers: int) -> None:
    with RewardPool(SCENES, metric, workers=workers) as made:
        wanted = direct(metric)[SCORE[metric]]
        torch.testing.assert_close(made.rewards(ORDER, PLANS), wanted, rtol=0, atol=1e-12)


def test_scenes_may_be_a_store_and_many_are_scored_in_parts(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "SCENES_AT_ONCE", 2)
    made = RewardPool(SceneStore(store), kept_scenes=1)
    torch.testing.assert_close(made.rewards(ORDER, PLANS), direct()["pdm_score"], rtol=0, atol=1e-12)
    assert made.tokens == list(SCENES)


def test_with_the_human_filter_the_reward_is_epdms_after_it() -> None:
    excused = direct(human_penalty_filter=True)
    wanted = epdms(excused)
    assert not torch.equal(wanted, direct()["pdm_score"]), "the human of some scene drives into the car"
    made = RewardPool(SCENES, human_penalty_filter=True)
    torch.testing.assert_close(made.rewards(ORDER, PLANS), wanted, rtol=0, atol=1e-12)


def test_plans_that_are_read_only_are_scored_without_a_warning() -> None:
    """As Ray hands them over."""
    plans = PLANS.numpy().copy()
    plans.flags.writeable = False
    work = SceneScorer(SCENES.__getitem__, Rules("epdms", 0.5, False), 9)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The given NumPy array is not writ")
        found = work(Job(ORDER, plans, with_columns=False))
    torch.testing.assert_close(torch.from_numpy(found[0]), direct()["pdm_score"], rtol=0, atol=1e-12)


class Counting(SceneStore):
    """Remembers which scenes were asked for."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: list[str] = []

    def __getitem__(self, token: str) -> ScoringScene:
        self.asked.append(token)
        return super().__getitem__(token)


@pytest.mark.parametrize(("kept", "wanted"), [(4, ORDER[:3] + ORDER[4:]), (1, [*ORDER, *ORDER])])
def test_a_scene_is_read_once_while_there_is_room(kept: int, wanted: list[str], store: Path) -> None:
    scenes = Counting(store)
    made = RewardPool(scenes, kept_scenes=kept)
    for _ in range(2):
        made.rewards(ORDER, PLANS)
    assert scenes.asked == wanted


def test_each_scene_belongs_to_one_worker() -> None:
    made = RewardPool(SCENES, workers=0)
    made._worker_of = {token: number % 2 for number, token in enumerate(SCENES)}
    made._workers = asked = Remembering()
    made.rewards(ORDER, PLANS)
    assert {worker: list(job.tokens) for worker, job in asked.jobs} == {
        1: ["token_3", "token_3", "token_1"],
        0: ["token_0", "token_4"],
    }


class Remembering:
    """Remembers jobs, and answers with zeros."""

    def do(self, jobs: Any) -> list[Any]:
        self.jobs = jobs
        return [torch.zeros(1, *job.trajectories.shape[:2]).numpy() for _, job in jobs]

    def close(self) -> None:
        pass


def test_what_the_caller_gets_wrong_names_the_scene(pool: RewardPool) -> None:
    with pytest.raises(InputError, match=r"1 of 5 scenes are not among the 5 of the reward pool: nobody; export"):
        pool.rewards(["nobody", *ORDER[1:]], PLANS)
    broken = PLANS.clone()
    broken[2, 1, 4, 0] = float("nan")
    with pytest.raises(TrajectoryError, match=r"1 plans are not finite .* plan 1 of scene token_4; drop"):
        pool.rewards(ORDER, broken)
    with pytest.raises(TrajectoryError, match=r"7 poses 0\.5 s apart"):
        pool.rewards(ORDER, PLANS[:, :, :7])
    with pytest.raises(TrajectoryError, match="5 scenes take"):
        pool.rewards(ORDER, PLANS[:4])
    with pytest.raises(TrajectoryError, match=r"torch\.int64, but poses must be floating"):
        pool.rewards(ORDER, PLANS.long())
    torch.testing.assert_close(pool.rewards(ORDER, PLANS), direct()["pdm_score"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_scene_is_named_and_the_pool_stays(workers: int, tmp_path: Path) -> None:
    with RewardPool(damaged_store(tmp_path), workers=workers) as made:
        with pytest.raises(SceneError, match=r"scene token_4 .*wrong checksum"):
            made.rewards(ORDER, PLANS)
        assert made.rewards(ORDER[:2], PLANS[:2]).shape == (2, 3)


def test_an_error_without_a_name_gets_one(store: Path) -> None:
    class Broken(SceneStore):
        def __getitem__(self, token: str) -> ScoringScene:
            raise ValueError("half of it is missing")

    with pytest.raises(SceneError, match=r"scene token_3 cannot be read \(ValueError: half of it is missing\)"):
        RewardPool(Broken(store)).rewards(ORDER, PLANS)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"metric": "nc"}, TrajectoryError, "nc"),
        ({"metric": "pdms", "human_penalty_filter": True}, TrajectoryError, "pdms has no human filter"),
        ({"workers": -1}, InputError, "workers is -1, but must be 0 or more"),
        ({"workers": 0, "backend": "ray"}, InputError, "workers is 0, but must be 1 or more with backend=ray"),
        ({"backend": "threads"}, InputError, "backend is threads, but must be one of processes, ray"),
        ({"kept_scenes": 0}, InputError, "kept_scenes is 0"),
        *(({"timeout_s": value}, InputError, "timeout_s is .* positive number") for value in (0, -1.0, float("nan"))),
        ({"scenes": {}}, InputError, "there are 0 scenes"),
        ({"scenes": "nowhere"}, InputError, "scenes=nowhere is not there"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        RewardPool(**{"scenes": SCENES, **options})


def test_a_closed_pool_says_so() -> None:
    made = RewardPool(SCENES)
    with made:
        pass
    made.close()
    with pytest.raises(InputError, match="the reward pool is closed; open another"):
        made.rewards(ORDER, PLANS)


@pytest.mark.parametrize("when", ["working", "waiting"])
def test_a_dead_worker_is_named_once_and_ends_the_pool(when: str) -> None:
    with RewardPool(SCENES, workers=2) as made:
        assert isinstance(made._workers, KeptWorkers)
        processes = [process for pool in made._workers._pools for process in pool._processes.values()]
        made.rewards(ORDER, PLANS)
        if when == "working":
            os.kill(processes[1].pid, signal.SIGSTOP)  # it will not answer before it is killed
        os.kill(processes[1].pid, signal.SIGKILL)
        if when == "waiting":
            processes[1].join()
        with pytest.raises(WorkerError, match="worker 2 of 2 was killed, but each must live"):
            made.rewards(ORDER, PLANS)
        with pytest.raises(InputError, match="is closed"):
            made.rewards(ORDER, PLANS)
    assert [process.is_alive() for process in processes] == [False, False]
