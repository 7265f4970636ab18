"""Makes scoring scenes of Argoverse 2 sensor logs: real driving on real maps, without nuPlan.

    drive-jepa convert-argoverse root=ARGOVERSE/sensor/val output=STORE

``root`` is the data set's folder ``sensor``, one of its splits, or one log; of a log are read ``annotations.feather``,
``city_SE3_egovehicle.feather`` and the vector map. ``output`` becomes a scene store with ``convert_report.json``, which
says what each log gave and why some gave nothing. Run it again to go on after an interruption. Clips for pretraining:
``drive-jepa index-videos layout=argoverse2``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from navsim_agents.argoverse.convert import FORMATS, REPORT_FILE, ConvertReport, convert, write_npz
from navsim_agents.common.command import command
from navsim_agents.common.settings import READS, WRITES_FOLDER, at_least
from navsim_agents.errors import InputError


@dataclass(frozen=True)
class ConvertArgoverseConfig:
    """Options of the command; paths are relative to the working directory."""

    root: str = field(metadata=READS)
    output: str = field(metadata=WRITES_FOLDER)
    format: str = "store"
    workers: int = field(default=2, metadata=at_least(0))

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise InputError(f"format={self.format!r}, but must be one of {', '.join(FORMATS)}")


def convert_argoverse(config: ConvertArgoverseConfig) -> ConvertReport:
    """Convert as configured.

    Raises:
        MissingPackageError: pyarrow is not installed.
        InputError, SceneError: there is no log, or the output holds something else.
    """
    report = convert(Path(config.root), Path(config.output), config.workers)
    if config.format == "npz":
        write_npz(Path(config.output))
    return report


@command(ConvertArgoverseConfig, "cache_tools.conf.convert_argoverse")
def main(config: ConvertArgoverseConfig) -> None:
    """Convert and say what came of it; exit code 1 if no log could be converted."""
    report = convert_argoverse(config)
    place = Path(config.output) / REPORT_FILE
    if not report.logs:
        name, why = next(iter(report.failures.items()))
        sys.exit(f"no log could be converted; the first failure: {name}: {why}")
    for name, why in report.failures.items():
        print(f"left out: {name}: {why}")
    print(
        f"{report.num_scenes} scenes of {len(report.logs)} logs in {config.output} ({report.num_off_lanes} moments on "
        f"no lane, {len(report.failures)} logs failed: {place})"
    )


if __name__ == "__main__":
    main()
