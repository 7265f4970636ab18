"""Pictures of the scenes in which two tables differ most, drawn as the report draws them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from navsim_agents.common.conventions import FRONT_CAMERA
from navsim_agents.common.files import reading
from navsim_agents.data.logs import SceneLoader
from navsim_agents.data.scene import Scene
from navsim_agents.data.synthetic_scenes import SyntheticSceneLoader
from navsim_agents.errors import InputError, NavsimDriveJepaError
from navsim_agents.evaluation.files import PLANS_FILE
from navsim_agents.poses import FloatArray
from navsim_agents.sources import LoggedScenes, SceneReader, first_stage
from training.labels import SUB_SCORE_LABELS
from training.report import html
from training.report.pictures import BOX_COLORS, bev_picture, camera_picture
from training.report.scenes_section import ReadView
from training.report.style import BETTER, WORSE, agent_style, as_data_url, figure_style
from training.report.views import NOW, open_world, view_scene
from training.table_words import with_stage

HUMAN = "human"
DRAWN = (WORSE, BETTER, HUMAN)  # broad bands first, narrow ones on top


@dataclass(frozen=True)
class StoredPlans:
    """The plans of an evaluation, by scene."""

    rows: dict[str, int]  # by token
    log_names: list[str]
    plans: dict[str, FloatArray]  # agent → [scenes, T, 3]
    human: FloatArray  # [scenes, T, 3]

    def drawn(self, token: str, better: str, worse: str) -> dict[str, FloatArray]:
        """What is drawn in a scene, in drawing order, by role; nobody drove in follow-up scenes."""
        row = self.rows[token]
        by_role = {WORSE: self.plans[worse][row], BETTER: self.plans[better][row], HUMAN: self.human[row]}
        return {role: by_role[role] for role in DRAWN if np.isfinite(by_role[role]).all()}


def read_plans(evaluation: Path, names: Sequence[str]) -> StoredPlans:
    """Plans of an evaluation.

    Raises:
        InputError: the folder holds none, or those of less than two of ``names``.
    """
    path = evaluation / PLANS_FILE
    way_out = "give evaluation=<output of drive-jepa evaluate>"
    with reading(path, InputError, way_out), np.load(path, allow_pickle=False) as stored:
        tokens, log_names = (list(map(str, stored[name])) for name in ("tokens", "log_names"))
        plans = {name: stored[f"plans.{name}"] for name in names if f"plans.{name}" in stored.files}
        agents = [name.partition(".")[2] for name in stored.files if name.startswith("plans.")]
        human = stored["human"]
    for name, poses in {"log_names": log_names, HUMAN: human, **plans}.items():
        if len(poses) != len(tokens):
            raise InputError(f"{path} has {len(tokens)} tokens, but {len(poses)} of {name}; {way_out}")
    if len(plans) < 2:
        raise InputError(
            f"{path} holds plans of {', '.join(agents)}, but of tables {', '.join(names)} only those of "
            f"{', '.join(plans) or 'none'}; call two tables as their agents are called"
        )
    return StoredPlans({token: row for row, token in enumerate(tokens)}, log_names, plans, human)


@dataclass(frozen=True)
class EitherStage(LoggedScenes):
    """Scenes of logs and, by their tokens, follow-ups; however short the log is behind them."""

    synthetic_paths: tuple[str, str] = ("", "")  # of pickles, of their pictures
    follow_ups: frozenset[str] = frozenset()

    def open(self, log_name: str) -> SceneReader:
        """Scenes of one log, and all follow-ups."""
        return OpenLog(self, log_name)


@dataclass(frozen=True)
class OpenLog:
    """Reads what is asked for alone: a missing folder of follow-ups costs these."""

    scenes: EitherStage
    log_name: str

    @property
    def tokens(self) -> list[str]:
        """Of the log."""
        return self._logged.tokens

    @property
    def _logged(self) -> SceneLoader:
        return first_stage(self.scenes, self.log_name)

    def get_scene(self, token: str) -> Scene:
        """The scene; raises WorldDataError where there is none."""
        if token in self.scenes.follow_ups:
            return SyntheticSceneLoader(*self.scenes.synthetic_paths, self.scenes.sensors).get_scene(token)
        return self._logged.get_scene(token)


def view_reader(
    data_root: str, split: str, synthetic: tuple[str, str] = ("", ""), follow_ups: frozenset[str] = frozenset()
) -> ReadView:
    """Reads scenes of ``data_root`` for their pictures; ``follow_ups`` from folders of pickles and of pictures."""
    sensors = {FRONT_CAMERA: (NOW,)}
    source = LoggedScenes(data_root, split, sensors)
    if follow_ups:
        source = EitherStage(data_root, split, sensors, synthetic_paths=synthetic, follow_ups=follow_ups)
    return partial(view_scene, source, open_world(Path(data_root)), None)


def pictures_page(summary: Mapping[str, Any], stored: StoredPlans, read_view: ReadView, most: int) -> str:
    """A page that holds everything: ``most`` scenes of each pair whose plans are stored."""
    with figure_style():
        return html.page("Scenes in which tables differ most", _sections(summary, stored, read_view, most))


def _sections(summary: Mapping[str, Any], stored: StoredPlans, read_view: ReadView, most: int) -> Iterator[str]:
    yield html.title("Scenes in which tables differ most")
    styles = [agent_style(name) for name in DRAWN]
    boxes = [(color, name.replace("_", " ")) for name, color in BOX_COLORS.items()]
    yield html.legend([*((style.color, style.label) for style in styles), *boxes])
    for pair in summary["pairs"]:
        names = (pair["row"], pair["other"])
        if stored.plans.keys() >= set(names):
            yield html.heading(with_stage(" − ".join(names), pair["stage"]))
            scenes = [scene for scene in pair["largest"] if scene["token"] in stored.rows]
            yield from (_scene(scene, names, stored, read_view) for scene in scenes[:most])


def _scene(scene: Mapping[str, Any], names: tuple[str, str], stored: StoredPlans, read_view: ReadView) -> str:
    """One scene; where it cannot be read, a line that says why."""
    better, worse = names if scene["difference"] > 0 else names[::-1]
    token, decided = scene["token"], SUB_SCORE_LABELS.get(scene["decided_by"], scene["decided_by"])
    log_name = stored.log_names[stored.rows[token]]
    try:
        view = read_view(log_name, token, stored.drawn(token, better, worse))
    except NavsimDriveJepaError as error:
        return html.paragraph(f"Scene {token} of {log_name} cannot be drawn: {error}")
    scores = {name: scene["rows"][name]["score"] for name in names}
    pictures = [
        html.image(as_data_url(camera_picture(view), "jpeg"), f"front camera of scene {token} with plans"),
        html.image(as_data_url(bev_picture(view)), f"scene {token} from above"),
    ]
    title = f"{better} {scores[better]:.3f}, {worse} {scores[worse]:.3f}: decided by {decided}"
    return html.scene(title, pictures, f"Scene {token} of {log_name}.")
