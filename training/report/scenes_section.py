"""The report's scenes: pictures of those that a rule chose, and a list of those that went worst."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Callable, Optional

import numpy as np
from matplotlib.colors import to_hex

from navsim_agents.poses import FloatArray
from navsim_agents.scoring.axes import POSITION, State
from training.config import ReportConfig
from training.report import html
from training.report.fan import TEACHER_COLOR, score_colors
from training.report.gallery import Choice, choose_scenes, worst_scenes
from training.report.pictures import BOX_COLORS, bev_picture, camera_picture
from training.report.results import Results
from training.report.results_section import BASELINE
from training.report.style import agent_style, as_data_url
from training.report.views import SceneView

ReadView = Callable[[str, str, Mapping[str, FloatArray]], SceneView]  # log name, token, plans


def gallery(config: ReportConfig, results: Results, read_view: ReadView) -> Iterator[str]:
    """Pictures of chosen scenes with what was planned there."""
    yield html.heading("Scenes")
    yield html.paragraph(
        "Chosen by the rules in their titles, not by hand. On the camera, each band lies on the road where a plan "
        "leads, with a dot every half second: a good plan has the human's narrow band in the middle of its broad one "
        "and dots at the same places. From above, the car (black) drives upwards; a box's white line points ahead, and "
        "red lines are lanes with a red light."
    )
    drawn = _drawn_agents(config, results)
    agents = [(agent_style(name).color, agent_style(name).label) for name in drawn]
    if config.agent_name in results.proposals:
        agents += [(TEACHER_COLOR, "pseudo-teachers"), *_score_legend()]
        yield html.paragraph(
            "Thin lines are the planner's proposals, coloured by the score that it foresees for each; it drives the "
            "best. Beneath them lie the scene's pseudo-teachers: vocabulary trajectories that the simulator scores "
            "0.95 or more. They were not shown to the planner in these scenes."
        )
    yield html.legend(agents + [(color, name.replace("_", " ")) for name, color in BOX_COLORS.items()])
    table = results.tables[config.agent_name]
    for choice in choose_scenes(table):
        yield _scene(config.agent_name, results, choice, drawn, read_view)


def _score_legend() -> list[tuple[str, str]]:
    worst, best = score_colors(np.array([0.0, 1.0]))
    return [(to_hex(worst), "proposal foreseen worst"), (to_hex(best), "foreseen best")]


def _drawn_agents(config: ReportConfig, results: Results) -> list[str]:
    # The broad band of ours first and the human's narrow one on top: a good plan holds the human's inside.
    return [name for name in (config.agent_name, BASELINE, "human") if name in results.plans]


def _scene(shown: str, results: Results, choice: Choice, drawn: list[str], read_view: ReadView) -> str:
    row = results.scenes.loc[choice.row]
    view = read_view(row["log_name"], row["token"], {name: results.plans[name][choice.row] for name in drawn})
    if shown in results.proposals:
        view = replace(
            view, proposals=results.proposals[shown][choice.row], foreseen=results.foreseen[shown][choice.row]
        )
    pictures = [
        html.image(as_data_url(camera_picture(view), "jpeg"), f"front camera of scene {row['token']} with plans"),
        html.image(as_data_url(bev_picture(view)), f"scene {row['token']} from above"),
    ]
    errors = [
        f"{agent_style(name).label} ADE {results.tables[name].loc[choice.row, 'ade_m']:.2f} m"
        for name in drawn
        if name != "human"
    ]
    facts = [f"Command “{row['command']}”", f"{row['speed_mps']:.1f} m/s now", *errors]
    if view.road is None:
        facts.append("the map of this data is not drawn")
    return html.scene(
        _sentence(choice.rule), pictures, "; ".join(facts) + f". Scene {row['token']} of {row['log_name']}."
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def failures(config: ReportConfig, results: Results) -> Iterator[str]:
    """The worst scenes, and whatever could not be read, planned or scored."""
    yield html.heading("Where it fails")
    table = worst_scenes(results.tables[config.agent_name], config.num_failures)
    baseline = results.tables.get(BASELINE)
    rows = [
        [
            str(row["token"]),
            str(row["log_name"]),
            str(row["command"]),
            f"{row['speed_mps']:.1f}",
            f"{row['ade_m']:.2f}",
            f"{row['fde_m']:.2f}",
            f"{baseline.loc[index, 'ade_m']:.2f}" if baseline is not None else "–",
            _kind_of_error(results.plans[config.agent_name][index], results.plans.get("human"), index),
        ]
        for index, row in table.iterrows()
    ]
    yield html.paragraph(f"The {len(rows)} scenes with the largest ADE of the trained agent.")
    header = ["scene", "drive", "command", "m/s", "ADE [m]", "FDE [m]", "ADE at constant velocity", "mostly"]
    yield html.table(header, rows)
    failures = results.summary["scenes"]["failures"]
    if failures:
        yield html.paragraph(f"{len(failures)} times a scene could not be read or scored, or an agent gave no plan:")
        rows = [[item["token"], item["log_name"], item["agent"] or "all", item["reason"]] for item in failures]
        yield html.table(["scene", "drive", "agent", "reason"], rows[: config.num_failures], wrap_last=True)
    else:
        yield html.paragraph("Every scene could be read, and every agent planned every scene.")


def _kind_of_error(planned: FloatArray, human: Optional[FloatArray], index: int) -> str:
    if human is None:
        return "–"
    error = (planned[-1] - human[index, -1])[POSITION]
    heading = human[index, -1, State.HEADING]
    along = float(error @ (np.cos(heading), np.sin(heading)))
    aside = float(error @ (-np.sin(heading), np.cos(heading)))
    if abs(along) >= abs(aside):
        return f"{abs(along):.1f} m too {'far' if along > 0 else 'short'}"
    return f"{abs(aside):.1f} m too far {'left' if aside > 0 else 'right'}"
