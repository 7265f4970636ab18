"""The report's figures: headline, table, what the scores are made of, errors."""

from __future__ import annotations

from collections.abc import Iterator

from navsim_agents.common.conventions import EPDMS_NAME
from navsim_agents.evaluation.table import metric_names, sub_score_names
from navsim_agents.scoring.config import REACTIVE
from training.config import ReportConfig
from training.labels import METRIC_LABELS, SUB_SCORE_LABELS
from training.report import html
from training.report.charts import error_charts
from training.report.gallery import share_better
from training.report.results import Results
from training.report.style import INK, OURS, agent_style, as_data_url

BASELINE = "constant_velocity"


def headline(config: ReportConfig, results: Results) -> Iterator[str]:
    """What the page is about, in a few figures."""
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
    if EPDMS_NAME in ours:
        entries.append((OURS, f"{100 * ours[EPDMS_NAME]:.1f}", "EPDMS of the trained agent, of 100"))
    yield html.key_figures(entries)
    for note in config.notes:
        yield html.paragraph(note)


def results_table(results: Results) -> Iterator[str]:
    """Every agent with every metric, and how the errors are distributed."""
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
    traffic = "recorded traffic"
    if results.summary.get("meta", {}).get("config", {}).get("traffic") == REACTIVE:
        traffic += " (EPDMS: among vehicles that react to the plan)"
    yield html.paragraph(
        f"PDMS (NAVSIM v1.1) and EPDMS (v2.2, one stage) simulate each plan for 4 s among the {traffic}: gates "
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
