"""From clips to a planner: index, vocabulary, labels, training in two halves, plans. By the commands alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from navsim_agents.bench2drive import clip_source
from navsim_agents.bench2drive.agent import Bench2DriveAgent
from navsim_agents.bench2drive.clip_source import ClipScenes, futures_of_clips
from navsim_agents.bench2drive.clips import read_clip
from navsim_agents.bench2drive.frames import FRONT
from navsim_agents.distillation import load_vocabulary
from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig
from navsim_agents.drive_jepa.runs import load_agent
from navsim_agents.errors import LabelError, WorldDataError
from navsim_agents.sources import SceneSource
from tests.bench2drive.made_clips import place, world2actor, write_clip, write_map
from tests.common.commands import COMMANDS

NAMES = [f"ParkingExit_Town03_Route{number}_Weather3" for number in range(3)]
SMALL = (
    "agent=drive_jepa_bench2drive_small",
    "agent.config.encoder.name=tiny",
    "agent.config.pictures.width=64",
    "agent.config.pictures.height=32",
    "agent.config.planner.model_dim=16",
    "agent.config.planner.num_proposals=4",
    "agent.config.planner.dropout=0.1",
    "trainer.params.accelerator=cpu",
    "dataloader.params.batch_size=4",
    "cache.workers=0",
)


def run(module: str, *words: str) -> None:
    ended = COMMANDS[module].run(*words)
    assert ended.code == 0, ended


def faster(factor: float) -> Any:
    """The drive of the made clip at another speed."""

    def change(step: int, content: dict[str, Any]) -> None:
        content["bounding_boxes"][0]["world2ego"] = world2actor(place(0.5 * factor * step), 30.0)
        content["speed"] = 5.0 * factor

    return change


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips, maps, index, vocabulary and labels."""
    root = tmp_path_factory.mktemp("training")
    for number, name in enumerate(NAMES):
        write_clip(root / "clips", name, change=faster(1.0 - 0.2 * number), cameras=(FRONT,))
    write_map(root / "maps")
    where = (f"root={root}/clips", f"maps={root}/maps", f"output={root}/index", f"cameras=[{FRONT}]", "workers=0")
    run("cache_tools.index_bench2drive", *where)
    run("cache_tools.build_vocabulary", "source=bench2drive", f"root={root}/clips", "k=3", f"output={root}/v.npy")
    scenes, labels = f"scenes={root}/index/scoring_scenes", f"output={root}/labels"
    run("cache_tools.score_vocabulary", scenes, f"vocabulary={root}/v.npy", "metric=pdms", labels, "workers=0")
    return root


def train(made: Path, output: str, epochs: int, *more: str) -> dict[str, Any]:
    words = (f"data.root={made}/clips", f"output={made}/{output}", f"agent.config.scenes={made}/index/scoring_scenes")
    run("training.train", *words, *SMALL, f"trainer.params.max_epochs={epochs}", *more)
    found: dict[str, Any] = json.loads((made / output / "result.json").read_text())
    return found


def test_the_preset_is_the_papers_variant() -> None:
    """Section 6: 64 proposals, dropout 0.1, 2 teachers; heads of 6 poses of 1 state (the released configuration)."""
    with initialize_config_module("training.conf", version_base="1.2"):
        overrides = ["agent=drive_jepa_bench2drive", "output=out", "data.root=clips"]
        settings = OmegaConf.to_container(compose("train", overrides).agent, resolve=True)
    assert isinstance(settings, dict)
    config = ProposalAgentConfig.from_mapping(settings["config"])
    assert (config.planner.num_proposals, config.planner.dropout, config.teachers.number) == (64, 0.1, 2)
    assert (config.encoder.name, config.pictures.source, config.scored_metric) == (
        "timm:resnet34",
        "four_cameras",
        "pdms",
    )
    assert settings["_target_"] == f"{Bench2DriveAgent.__module__}.{Bench2DriveAgent.__name__}"
    assert (Bench2DriveAgent.sampling.num_poses, Bench2DriveAgent.sampling.num_steps) == (6, 6)


def test_the_vocabulary_is_of_the_clips_futures(made: Path) -> None:
    vocabulary = load_vocabulary(made / "v.npy")
    speeds = sorted(float(x) for x in vocabulary.planned(6)[:, -1, 0] / 3.0)
    np.testing.assert_allclose(speeds, (3.0, 4.0, 5.0), atol=0.05)
    report = json.loads((made / "v.json").read_text())
    assert (report["trajectories"], report["logs"], "split" in report) == (12, 3, False)


def test_training_with_distillation_resumes_and_plans(made: Path) -> None:
    teachers = (f"agent.config.teachers.label_store={made}/labels", f"agent.config.teachers.vocabulary={made}/v.npy")
    first = train(made, "run", 1, *teachers)
    assert (first["epochs"], first["num_scenes"]) == (1, {"train": 8, "val": 4})
    second = train(made, "run", 2, *teachers)
    assert (second["epochs"], second["steps"]) == (2, 2 * first["steps"])
    logged = next((made / "run").rglob("metrics.csv")).read_text().partition("\n")[0].split(",")
    assert {"train/distillation_loss_stage3", "train/area_loss", "train/collision_corners_loss"} <= set(logged)
    agent = load_agent(made / "run", device="cpu")
    assert isinstance(agent, Bench2DriveAgent)
    seen = read_clip(made / "clips" / NAMES[0]).input(20, agent.input_cameras, agent.num_input_frames)
    plan = agent.plan_input(seen)
    assert plan.shape == (6, 3)
    assert np.isfinite(plan).all()
    assert np.abs(plan - Bench2DriveAgent(agent.config, device="cpu").plan_input(seen)).max() > 0.0


def test_training_without_distillation(made: Path) -> None:
    assert train(made, "alone", 1)["epochs"] == 1


def test_clips_are_a_source_of_scenes(made: Path) -> None:
    source = ClipScenes(str(made / "clips"), (FRONT,), 2, scenes=str(made / "index" / "scoring_scenes"))
    assert isinstance(source, SceneSource)
    assert source.log_names() == NAMES
    reader = source.open(NAMES[1])
    assert reader.tokens == [f"{NAMES[1]}-{index:05}" for index in (5, 10, 15, 20)]
    scene = reader.get_scene(reader.tokens[0])
    np.testing.assert_allclose(scene.get_future_trajectory(2).poses[:, 0], (2.0, 4.0), atol=1e-9)
    assert source.scoring_scene(reader.tokens[0]).token == scene.scene_metadata.initial_token
    with pytest.raises(WorldDataError, match="none of the 4 scenes"):
        reader.get_scene("another")
    with pytest.raises(WorldDataError, match="has no clip another"):
        source.open("another")


def test_a_fingerprint_changes_with_the_clip(tmp_path: Path) -> None:
    write_clip(tmp_path, NAMES[0], frames=3, cameras=())
    source = ClipScenes(str(tmp_path), (FRONT,))
    before = source.fingerprint(NAMES[0])
    assert source.fingerprint(NAMES[0]) == before
    (tmp_path / NAMES[0] / "anno" / "00002.json.gz").unlink()
    assert source.fingerprint(NAMES[0]) != before
    assert ClipScenes(str(tmp_path), (FRONT,), frame_interval=2).fingerprint(NAMES[0]) != before


def test_clips_are_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache asks for each clip's fingerprint and opens each; a walk through all folders each time is quadratic."""
    for name in NAMES:
        write_clip(tmp_path, name, frames=1, cameras=())
    walks: list[Path] = []
    find = clip_source.find_clips
    monkeypatch.setattr(clip_source, "find_clips", lambda root: walks.append(root) or find(root))
    source = ClipScenes(str(tmp_path), (FRONT,))
    for name in source.log_names():
        source.fingerprint(name)
        source.open(name)
    assert walks == [tmp_path]


def test_vocabularies_name_what_they_miss(made: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"clips \['another'\] are not among"):
        futures_of_clips(str(made / "clips"), ["another"], 1)
    write_clip(tmp_path, NAMES[0], frames=9, cameras=())
    with pytest.raises(LabelError, match="none lasts"):
        futures_of_clips(str(tmp_path), None, 1)
