"""The report: one page that holds everything, its sections in reading order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Optional

from navsim_agents.common.conventions import FRONT_CAMERA
from navsim_agents.common.files import write_text
from navsim_agents.errors import InputError
from navsim_agents.sources import LoggedScenes
from training.config import ReportConfig
from training.report import html
from training.report.choice_section import choice
from training.report.curves_section import pretraining, trainings
from training.report.provenance import git_revision, machine, versions
from training.report.results import Results, read_results
from training.report.results_section import headline, results_table
from training.report.scenes_section import ReadView, failures, gallery
from training.report.style import figure_style
from training.report.teachers import SceneTeachers
from training.report.views import NOW, open_world, view_scene


def write_report(config: ReportConfig, read_view: Optional[ReadView] = None) -> Path:
    """Write the page and return its path. ``read_view`` stands in for the scenes at ``config.data_root``."""
    results = read_results(Path(config.evaluation), config.trainings, config.pretraining)
    if config.agent_name not in results.tables:
        raise InputError(
            f"agent_name={config.agent_name!r} is not in {config.evaluation}, which has {', '.join(results.tables)}; "
            "name one of these"
        )
    with figure_style():
        text = html.page(config.title, _sections(config, results, read_view or view_reader(config)))
    path = Path(config.output)
    write_text(path, text)
    return path


def view_reader(config: ReportConfig) -> ReadView:
    """Reads scenes of ``config.data_root`` for their pictures."""
    source = LoggedScenes(config.data_root, config.split, {FRONT_CAMERA: (NOW,)})
    teachers = SceneTeachers(config.labels, config.vocabulary) if config.labels and config.vocabulary else None
    return partial(view_scene, source, open_world(Path(config.data_root)), teachers)


def _sections(config: ReportConfig, results: Results, read_view: ReadView) -> Iterator[str]:
    yield from headline(config, results)
    yield from results_table(results)
    yield from choice(results)
    yield from pretraining(results)
    yield from trainings(results)
    yield from gallery(config, results, read_view)
    yield from failures(config, results)
    yield from _repeat(config, results)


def _repeat(config: ReportConfig, results: Results) -> Iterator[str]:
    yield html.heading("To repeat this")
    facts = {**versions(), "machine": machine(), "git revision": git_revision() or "not a checkout"}
    yield html.listing([*config.repeat, ""] if config.repeat else [])
    yield html.table(["", ""], [[name, value] for name, value in facts.items()], wrap_last=True)
    for name, record in results.trainings.items():
        yield html.paragraph(f"Configuration of the training of {name}, as it ran:")
        yield html.listing(json.dumps(record.result["config"], indent=1).splitlines())
    yield html.paragraph("Drives that were evaluated: " + ", ".join(sorted(set(results.scenes["log_name"]))) + ".")
