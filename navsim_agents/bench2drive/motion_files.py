"""What agents noted of their ticks, found in SAVE_PATH and measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Optional

from navsim_agents.bench2drive.metrics import Selection
from navsim_agents.bench2drive.records import METRIC_INFO, RouteRecord, metric_info_path, read_metric_info
from navsim_agents.bench2drive.smoothness import smoothness_as_defined, smoothness_as_scripted
from navsim_agents.errors import InputError

SCRIPTED, DEFINED = "as scripted", "as defined"


@dataclass(frozen=True)
class Motions:
    """Smoothness of each route, 0 to 1, by its ``save_name``."""

    found: dict[str, dict[str, float]]  # save_name → way → smoothness
    lacking: dict[str, str]  # save_name → why there is none
    misnamed: tuple[str, ...] = ()  # save_names whose folder has something before its name

    WAYS: ClassVar[tuple[str, str]] = (SCRIPTED, DEFINED)

    def mean(self, records: Iterable[RouteRecord], way: str) -> Optional[float]:
        """Mean in percent over those that have it."""
        values = [self.found[record.save_name][way] for record in records if record.save_name in self.found]
        return 100.0 * sum(values) / len(values) if values else None

    def of(self, record: RouteRecord) -> dict[str, Optional[float]]:
        """Both figures of one route."""
        return {f"smoothness {way}": self.found.get(record.save_name, {}).get(way) for way in self.WAYS}

    def notes(self, selection: Selection) -> list[str]:
        """What is to be said of routes without."""
        notes = []
        names = {record.save_name: number for number, record in selection.chosen.items()}
        lacking = [f"{names[name]} ({why})" for name, why in self.lacking.items() if name in names]
        if lacking:
            notes.append(
                f"{len(lacking)} routes count in no smoothness, and the benchmark's script ends with an error there: "
                + ", ".join(lacking)
            )
        if self.misnamed:
            notes.append(
                f"{len(self.misnamed)} folders of {METRIC_INFO} have something before the name that the result file "
                f"gives, so that the benchmark's script does not find them: {', '.join(self.misnamed)}"
            )
        return notes


def read_motions(save_path: Path, records: Iterable[RouteRecord]) -> Motions:
    """Measure every route; one whose file is missing or broken is named and costs itself."""
    found: dict[str, dict[str, float]] = {}
    lacking: dict[str, str] = {}
    misnamed = []
    for record in records:
        name = record.save_name
        if name in found or name in lacking:
            continue
        path = metric_info_path(save_path, record) if name else None
        if path is not None and not path.exists():
            others = sorted(save_path.glob(f"*{name}/{METRIC_INFO}"))
            path = others[0] if len(others) == 1 else None
            misnamed += [name] if path is not None else []
        if path is None:
            lacking[name] = f"no {METRIC_INFO}"
            continue
        try:
            ticks = list(read_metric_info(path).values())
        except InputError as error:
            lacking[name] = str(error)
            continue
        scripted, defined = smoothness_as_scripted(ticks), smoothness_as_defined(ticks)
        if scripted is None or defined is None:
            lacking[name] = f"{len(ticks)} ticks"
        else:
            found[name] = {SCRIPTED: scripted, DEFINED: defined}
    return Motions(found, lacking, tuple(misnamed))
