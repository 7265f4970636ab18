"""The sections of the report, in reading order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Callable, Optional

import numpy as np

from navsim_agents.poses import FloatArray
from training.config import ReportConfig
from training.files import write_text
from training.report import html
from training.report.charts import error_charts, training_curve
from training.report.gallery import Choice, choose_scenes, share_better, worst_scenes
from training.report.pictures import BOX_COLORS, bev_picture, camera_picture
from training.report.provenance import git_revision, machine, versions
from training.report.results import Results, read_results
from training.report.style import INK, OURS, agent_style, as_data_url, figure_style
from training.report.views import FRONT_CAMERA, NOW, SceneView, open_world, view_scene
from training.sources import LoggedScenes
from training.table import metric_names, sub_score_names

ReadView = Callable[[str, str, Mapping[str, FloatArray]], SceneView]  # log name, token, plans

BASELINE = "constant_velocity"
METRIC_LABELS = {
    "ade_m": "ADE, 4 s [m]",
    "fde_m": "FDE at 4 s [m]",
    "heading_error_rad": "heading error [rad]",
    "pdms": "PDMS",
    "epdms": "EPDMS",
    "epdms_star": "EPDMS*",
    "extended_comfort": "EC",
}
SUB_SCORE_LABELS = {
    "no_at_fault_collisions": "NC",
    "drivable_area_compliance": "DAC",
    "driving_direction_compliance": "DDC",
    "traffic_light_compliance": "TLC",
    "ego_progress": "EP",
    "time_to_collision_within_bound": "TTC",
    "lane_keeping": "LK",
    "history_comfort": "HC",
    "comfort": "C",
}


def write_report(config: ReportConfig, read_view: Optional[ReadView] = None) -> Path:
    """Write the page and return its path. ``read_view`` stands in for the scenes at ``config.data_root``."""
    results = read_results(Path(config.evaluation), Path(config.training) if config.training else None)
    with figure_style():
        text = html.page(config.title, _sections(config, results, read_view or view_reader(config)))
    path = Path(config.output)
    write_text(path, text)
    return path


def view_reader(config: ReportConfig) -> ReadView:
    """Reads scenes of ``config.data_root`` for their pictures."""
    source = LoggedScenes(config.data_root, config.split, {FRONT_CAMERA: (NOW,)})
    return partial(view_scene, source, open_world(Path(config.data_root)))


def _sections(config: ReportConfig, results: Results, read_view: ReadView) -> Iterator[str]:
    yield from _headline(config, results)
    yield from _table(config, results)
    yield from _curve(results)
    yield from _gallery(config, results, read_view)
    yield from _failures(config, results)
    yield from _repeat(config, results)


def _headline(config: ReportConfig, results: Results) -> Iterator[str]:
    scenes, agents = results.summary["scenes"], results.summary["agents"]
    yield html.title(config.title)
    yield html.paragraph(
        f"{scenes['num_scenes']} scenes of {scenes['num_logs']} drives that no training saw: "
        "where will the car be in the next four seconds?",
        "lead",
    )
    ours, baseline = agents[config.agent_name], agents.get(BASELINE)
    entries = [(OURS, f"{ours['ade_m']:.2f} m", "average displacement error (ADE) of the trained agent")]
    if baseline:
        tables = results.tables
        better = share_better(tables[config.agent_name], tables[BASELINE])
        entries += [
            (agent_style(BASELINE).color, f"{baseline['ade_m']:.2f} m", "ADE of going on at constant velocity"),
            (INK, f"{ours['ade_m'] / baseline['ade_m']:.2f}", "ratio of the two; 1 would be no gain, 0 is the human"),
            (INK, f"{100 * better:.0f} %", "of the scenes are planned better than at constant velocity"),
        ]
    if "epdms" in ours:
        entries.append((OURS, f"{100 * ours['epdms']:.1f}", "EPDMS of the trained agent, of 100"))
    yield html.key_figures(entries)
    for note in config.notes:
        yield html.paragraph(note)


def _table(config: ReportConfig, results: Results) -> Iterator[str]:
    names = metric_names(results.summary)
    rows, colors = [], []
    for index, (name, metrics) in enumerate(results.summary["agents"].items()):
        style = agent_style(name, index)
        colors.append(style.color)
        values = [f"{metrics[metric]:.3f}" if metric in metrics else "–" for metric in names]
        rows.append([style.label, *values, str(metrics["num_planned"]), str(metrics["num_failed"])])
    yield html.heading("Results")
    header = ["agent", *(METRIC_LABELS.get(name, name) for name in names), "scenes", "failed"]
    yield html.table(header, rows, colors)
    yield html.paragraph(
        "ADE is the mean distance between planned and driven positions at 0.5, 1.0, … 4.0 s; FDE is the distance at "
        "4 s alone. The human is compared with itself. Constant velocity goes straight on at the present speed."
    )
    yield from _driving_scores(results)
    yield html.captioned(
        html.image(as_data_url(error_charts(results.tables)), "errors by command and their distribution"),
        "Left: turns are where constant velocity fails, so look there first. Right: a curve further to the left is "
        "better; its upper end shows the few scenes with large errors.",
    )


def _driving_scores(results: Results) -> Iterator[str]:
    """What the scores of the table above are made of; nothing where they were not asked for."""
    names = sub_score_names(results.summary)
    if not names:
        return
    rows, colors = [], []
    for index, (name, metrics) in enumerate(results.summary["agents"].items()):
        style = agent_style(name, index)
        colors.append(style.color)
        rows.append([style.label, *(f"{metrics[column]:.3f}" if column in metrics else "–" for column in names)])
    yield html.paragraph(
        "PDMS (NAVSIM v1.1) and EPDMS (v2.2, one stage) simulate each plan for 4 s among the recorded traffic: gates "
        "for collisions (NC), leaving the road (DAC), wrong direction (DDC) and red lights (TLC), times a mean of "
        "progress (EP), time to collision (TTC), comfort (C, HC), lane keeping (LK) and agreement with the plan of the "
        "frame before (EC). 1 is best. EPDMS excuses a plan from what the human driver fails too; EPDMS* is without "
        "that in its products, as published before the fix of NAVSIM's issue 151. Progress is measured against the "
        "reference driver, a rule-based one of the built-in world where NAVSIM has PDM-Closed."
    )
    header = ["agent", *(_sub_score_label(name) for name in names)]
    yield html.table(header, rows, colors)


def _sub_score_label(name: str) -> str:
    metric, column = name.split(".", 1)
    return f"{METRIC_LABELS[metric]} {SUB_SCORE_LABELS.get(column, column)}"


def _curve(results: Results) -> Iterator[str]:
    if results.history is None or results.training is None:
        return
    training, history = results.training, results.history
    best = history.loc[history["val_loss"].idxmin()]
    yield html.heading("Training")
    yield html.paragraph(
        f"{training['num_parameters'] / 1e6:.2f} million parameters, {training['num_scenes']['train']} scenes of "
        f"{len(training['logs']['train'])} drives to learn from and {training['num_scenes']['val']} of "
        f"{len(training['logs']['val'])} others to validate; {training['epochs']} epochs, {training['steps']} steps, "
        f"{history['seconds'].sum():.0f} s. The weights are those of epoch {int(best['epoch']) + 1}, "
        "best by validation loss."
    )
    yield html.captioned(
        html.image(as_data_url(training_curve(history)), "training curve"),
        "Look for a validation loss that follows the training loss down; where it turns up, the agent learns its "
        "training drives by heart. Validation drives are other drives than those of the table above.",
    )


def _gallery(config: ReportConfig, results: Results, read_view: ReadView) -> Iterator[str]:
    yield html.heading("Scenes")
    yield html.paragraph(
        "Chosen by the rules in their titles, not by hand. On the camera, each band lies on the road where a plan "
        "leads, with a dot every half second: a good plan has the human's narrow band in the middle of its broad one "
        "and dots at the same places. From above, the car (black) drives upwards; a box's white line points ahead, and "
        "red lines are lanes with a red light."
    )
    drawn = _drawn_agents(config, results)
    agents = [(agent_style(name).color, agent_style(name).label) for name in drawn]
    yield html.legend(agents + [(color, name.replace("_", " ")) for name, color in BOX_COLORS.items()])
    table = results.tables[config.agent_name]
    for choice in choose_scenes(table):
        yield _scene(results, choice, drawn, read_view)


def _drawn_agents(config: ReportConfig, results: Results) -> list[str]:
    # The broad band of ours first and the human's narrow one on top: a good plan holds the human's inside.
    return [name for name in (config.agent_name, BASELINE, "human") if name in results.plans]


def _scene(results: Results, choice: Choice, drawn: list[str], read_view: ReadView) -> str:
    row = results.scenes.loc[choice.row]
    view = read_view(row["log_name"], row["token"], {name: results.plans[name][choice.row] for name in drawn})
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


def _failures(config: ReportConfig, results: Results) -> Iterator[str]:
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
    error = planned[-1, :2] - human[index, -1, :2]
    heading = human[index, -1, 2]
    along = float(error @ (np.cos(heading), np.sin(heading)))
    aside = float(error @ (-np.sin(heading), np.cos(heading)))
    if abs(along) >= abs(aside):
        return f"{abs(along):.1f} m too {'far' if along > 0 else 'short'}"
    return f"{abs(aside):.1f} m too far {'left' if aside > 0 else 'right'}"


def _repeat(config: ReportConfig, results: Results) -> Iterator[str]:
    yield html.heading("To repeat this")
    facts = {**versions(), "machine": machine(), "git revision": git_revision() or "not a checkout"}
    if results.training:
        facts["seed"] = str(results.training["config"]["seed"])
    yield html.listing([*config.repeat, ""] if config.repeat else [])
    yield html.table(["", ""], [[name, value] for name, value in facts.items()], wrap_last=True)
    if results.training:
        yield html.paragraph("Training's configuration, as it ran:")
        yield html.listing(json.dumps(results.training["config"], indent=1).splitlines())
    yield html.paragraph("Drives that were evaluated: " + ", ".join(sorted(set(results.scenes["log_name"]))) + ".")
