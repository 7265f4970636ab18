"""Makes scoring scenes from a metric cache of either devkit.

    drive-jepa export-scenes scenes=CACHE output=STORE worker=ray_distributed

``output`` becomes a scene store (``navsim_agents.scoring.SceneStore``) with ``export_report.json``, which lists the
scenes that failed. Run it again to go on after an interruption. The worker is any of the devkit's own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from omegaconf import MISSING

from navsim_agents.common.command import command
from navsim_agents.common.settings import READS, WRITES_FOLDER, at_least
from navsim_agents.devkit.export import FORMATS, REPORT_FILE, ExportReport, export_metric_cache
from navsim_agents.devkit.variant import Variant, detect_host
from navsim_agents.devkit.workers import build_devkit_worker
from navsim_agents.errors import DevkitError


@dataclass(frozen=True)
class ExportScenesConfig:
    """Options of the command; paths are relative to the working directory."""

    scenes: str = field(metadata=READS)
    output: str = field(metadata=WRITES_FOLDER)
    format: str = "store"
    navsim_log_path: Optional[str] = field(default=None, metadata=READS)
    traffic: bool = False
    scenes_per_wave: int = field(default=64, metadata=at_least(1))
    worker: Any = MISSING
    output_dir: str = MISSING


def export(config: ExportScenesConfig) -> ExportReport:
    """Run the export.

    Raises:
        DevkitError: no devkit, no metric cache, or an option breaks a rule.
    """
    if config.format not in FORMATS:
        raise DevkitError(f"format is {config.format!r}, but must be one of {', '.join(FORMATS)}")
    if config.scenes_per_wave < 1:
        raise DevkitError(f"scenes_per_wave is {config.scenes_per_wave}, but must be at least 1")
    return export_metric_cache(
        cache=Path(config.scenes),
        output=Path(config.output),
        worker=build_devkit_worker(config.worker, config.output_dir),
        scene_format=config.format,
        logs=Path(config.navsim_log_path) if config.navsim_log_path else None,
        scenes_per_wave=config.scenes_per_wave,
        with_traffic=config.traffic,
    )


@command(ExportScenesConfig, "cache_tools.conf.export_scenes")
def run(config: ExportScenesConfig) -> None:
    """Export as configured; exit code 1 if the store holds no scene in the end."""
    report = export(config)
    print(
        f"exported {report.num_exported} scenes to {config.output} ({report.num_known} were there, "
        f"{len(report.failures)} failed: {Path(config.output) / REPORT_FILE})"
    )
    if report.num_exported + report.num_known == 0:
        sys.exit(f"no scene could be exported; the first failure: {report.failures[0].error}")


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Entry point; checks for a devkit first, without which Hydra does not find the workers' configs."""
    try:
        variant = detect_host().variant
    except DevkitError as error:
        sys.exit(f"DevkitError: {error}")
    if variant is Variant.NONE:
        sys.exit(
            "DevkitError: no NAVSIM devkit is on the path, but its metric caches are pickles of its classes; put the "
            "devkit that made the cache and nuplan-devkit on PYTHONPATH, then see drive-jepa doctor"
        )
    run(arguments)


if __name__ == "__main__":
    main()
