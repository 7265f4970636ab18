"""Which follow-ups a log has and which were left out: a JSON file a log, written last, so that it marks it as done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

from navsim_agents.common.files import is_there, read_json, reading, write_json
from navsim_agents.errors import WorldDataError
from navsim_agents.world.config import WorldConfig
from navsim_agents.world.follow_ups.choose import shown_steps
from navsim_agents.world.plan import WorldIndex
from navsim_agents.world.scoring_scenes.store import has_scenes
from navsim_agents.world.writers.follow_ups import FOLDER, FollowUp, pictures_path, scene_path
from navsim_agents.world.writers.logs import STEPS_PER_FRAME, frame_token

RECORDS = "pairs"


@dataclass(frozen=True)
class Pair:
    """Two first-stage scenes of a log and what follows their plans."""

    log_name: str
    step: int  # of the later scene
    plans: list[str]  # those with follow-ups
    left_out: dict[str, str]  # plan -> why it has none

    @property
    def tokens(self) -> tuple[str, str]:
        """Of the later and the earlier first-stage scene."""
        return frame_token(self.log_name, self.step), frame_token(self.log_name, self.step - STEPS_PER_FRAME)

    def follow_ups(self) -> list[FollowUp]:
        """In the order of their plans."""
        return [FollowUp(self.log_name, self.step, plan) for plan in self.plans]


def record_path(output: Path, log_name: str) -> Path:
    """File about the follow-ups of a log."""
    return output / FOLDER / RECORDS / f"{log_name}.json"


def write_record(output: Path, log_name: str, asked: int, pairs: Iterable[Pair]) -> None:
    """Remember the pairs of a log, of which ``asked`` were asked for; tokens are there for human readers."""
    rows = [
        {**asdict(pair), "tokens": pair.tokens, "follow_ups": {item.plan: item.tokens() for item in pair.follow_ups()}}
        for pair in pairs
    ]
    write_json(record_path(output, log_name), {"two_stage_pairs": asked, "pairs": rows})


def read_record(output: Path, log_name: str, asked: int) -> Optional[list[Pair]]:
    """Pairs of a log; None where its follow-ups are not all written.

    Raises:
        WorldDataError: the file is damaged, or another number of pairs was asked for then.
    """
    path = record_path(output, log_name)
    if not path.exists():
        return None
    content = read_json(path, WorldDataError)
    with reading(path, WorldDataError):
        found = int(content["two_stage_pairs"])
        pairs = [
            Pair(row["log_name"], int(row["step"]), list(row["plans"]), dict(row["left_out"]))
            for row in content["pairs"]
        ]
    if found != asked:
        raise WorldDataError(
            f"{path} is of two_stage_pairs={found}, but two_stage_pairs={asked} is asked for; "
            f"choose that number, or delete {output / FOLDER}"
        )
    return pairs


def is_finished(output: Path, config: WorldConfig, pairs: Iterable[Pair]) -> bool:
    """Whether every pickle, picture and scoring scene of the ``pairs`` of one log is there."""
    for pair in pairs:
        tokens = [token for item in pair.follow_ups() for token in item.tokens()]
        if config.scoring_scenes and not has_scenes(output, FOLDER, pair.log_name, tokens):
            return False
        for item in pair.follow_ups():
            paths = [scene_path(output, name) for name in item.tokens()]
            shown = [(step, camera) for step in shown_steps(pair.step) for camera in config.cameras]
            paths += [pictures_path(output) / item.image_path(pair.log_name, *where) for where in shown]
            if not all(is_there(path) for path in paths):
                return False
    return True


def all_pairs(config: WorldConfig, index: WorldIndex) -> list[Pair]:
    """Pairs of every log whose follow-ups are written."""
    output = Path(config.output)
    found = (read_record(output, entry.name, config.two_stage_pairs) for entry in index.logs)
    return [pair for pairs in found for pair in pairs or ()]
