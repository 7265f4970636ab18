"""What every command needs, made by the commands themselves on a world of two short logs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from navsim_agents.bench2drive.records import write_records
from navsim_agents.bench2drive.route_runs import EVALUATOR
from navsim_agents.distillation import save_vocabulary
from navsim_agents.scoring import SceneStore
from tests.argoverse.sensor_logs import write_log
from tests.bench2drive.files import result, write_route_file
from tests.bench2drive.made_clips import write_clip, write_map
from tests.cache_tools.tools import make_vocabulary
from tests.common.commands import COMMANDS, places
from tests.data.foreign import write_submission
from tests.video.videos import write_video

WORLD = ("logs=2", "seed=3", "duration_s=7.5", "splits.train=0", "splits.val=0", "cameras=[cam_f0]")


def build(folder: Path) -> dict[str, str]:
    """Fill ``folder``; what the names in ``Command.needed`` stand for, but for the devkit's metric cache."""
    where = places(folder)
    run("navsim_agents.world.__main__", f"output={where['world']}", *WORLD)
    where["store"] = str(folder / "world" / "scoring_scenes" / "test")
    store = SceneStore(where["store"])
    for name in ("scene.npz", "plans.npy", "vocabulary.npy", "manifest.jsonl", "submission.pkl"):
        where[Path(name).stem] = str(folder / name)
    store[store.tokens[0]].save(where["scene"])
    np.save(where["plans"], np.cumsum(np.full((3, 8, 3), (2.0, 0.1, 0.01)), axis=1))
    save_vocabulary(make_vocabulary(), where["vocabulary"])
    write_video(folder / "videos" / "a.mkv", 40)
    with suppress(ModuleNotFoundError):  # without pyarrow its own tests fail alone
        write_log(folder / "argoverse")
    write_submission(Path(where["submission"]), dict.fromkeys(store.tokens, np.load(where["plans"])[0]))
    write_clip(folder / "clips")
    write_map(folder / "maps")
    write_records(folder / "results" / "0.json", [result(11), result(12, 30.0)])
    write_benchmark(where)
    fill(where, "cache_tools.index_videos", "manifest", "data_set=world")
    where["score_table"] = str(folder / "score_table.csv")
    fill(where, "cache_tools.score_submission", "score_table")
    fill(where, "cache_tools.score_vocabulary", "labels")
    fill(where, "training.train", "run")
    where["checkpoint"] = str(folder / "run" / "checkpoints" / "last.ckpt")
    fill(where, "training.evaluate", "evaluation")
    fill(where, "training.pretrain", "pretraining")
    (checkpoint,) = (folder / "pretraining" / "checkpoints").glob("step_*.pt")
    where["encoder_file"] = str(checkpoint)
    return where


def write_benchmark(where: dict[str, str]) -> None:
    """What drives Bench2Drive's routes, with an evaluator that only fails."""
    write_route_file(Path(where["route_file"]), ["Accident"])
    Path(where["team_config"]).write_text("agent: {_target_: tests.bench2drive.planners.StandIn}\n")
    evaluator = Path(where["benchmark"]) / EVALUATOR
    for path, text in ((evaluator, "raise SystemExit(3)\n"), (Path(where["carla"]) / "CarlaUE4.sh", "")):
        path.parent.mkdir(parents=True)
        path.write_text(text)


def fill(where: dict[str, str], module: str, name: str, *more: str) -> None:
    """Let a command write what ``name`` stands for."""
    run(module, *COMMANDS[module].overrides({**where, "out": where[name]}), *more)


def run(module: str, *overrides: str) -> None:
    """Run a command that must succeed."""
    ended = COMMANDS[module].run(*overrides)
    assert ended.code == 0, ended
