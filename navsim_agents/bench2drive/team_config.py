"""Settings of the agent that Bench2Drive's leaderboard loads: what ``TEAM_CONFIG`` says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from omegaconf import OmegaConf
from yaml import YAMLError

from navsim_agents.bench2drive.control import CONTROLLERS, PID, LqrConfig, PidConfig
from navsim_agents.bench2drive.frames import HEIGHT_PX, WIDTH_PX
from navsim_agents.bench2drive.inputs import Bench2DrivePlanner
from navsim_agents.bench2drive.route_following import FAR_M, NEAR_M
from navsim_agents.bench2drive.ticks import TICKS_PER_INTERVAL
from navsim_agents.common.files import reading
from navsim_agents.common.settings import READS, at_least, read_settings, within
from navsim_agents.drive_jepa.proposal_config import ON, MomentumConfig
from navsim_agents.drive_jepa.runs import BEST, LAST, build_agent, load_agent
from navsim_agents.errors import InputError, SettingError

SEPARATOR = "+"
BEFORE, AFTER, NEVER = "before", "after", "never"
WAY_OUT = "set TEAM_CONFIG to a folder that drive-jepa train wrote, or to a YAML file as docs/bench2drive.md shows"


@dataclass(frozen=True)
class TeamConfig:
    """Keys of the YAML file; a folder of a training in its place is ``run`` with all else at its default."""

    run: Optional[str] = field(default=None, metadata=READS)  # folder that drive-jepa train wrote
    weights: str = BEST  # of the run: best or last
    agent: Any = None  # or an agent as navsim_configs compose it, with a checkpoint_path: {_target_: …, …}
    device: str = "auto"
    plan_every: int = field(default=1, metadata=within(1, TICKS_PER_INTERVAL))  # ticks; between, the plan is moved
    momentum: bool = True  # over half a second, among the planner's proposals
    comfort_weight: float = field(default=0.125, metadata=within(0.0, 0.99))
    controller: str = PID
    pid: PidConfig = field(default_factory=PidConfig)
    lqr: LqrConfig = field(default_factory=LqrConfig)
    camera_width: int = field(default=WIDTH_PX, metadata=at_least(16))  # as CARLA renders
    camera_height: int = field(default=HEIGHT_PX, metadata=at_least(16))
    picture_width: Optional[int] = field(default=None, metadata=at_least(16))  # as the planner is shown; null: the same
    picture_height: Optional[int] = field(default=None, metadata=at_least(16))
    jpeg: str = BEFORE  # compressed before or after it is resized, or never; the data set's pictures are before
    jpeg_quality: int = field(default=20, metadata=within(1, 95))  # the data set's
    gnss_weight: float = field(default=0.1, metadata=within(0.001, 1.0))  # of a new fix in the position
    near_m: float = field(default=NEAR_M, metadata=at_least(0.0))
    far_m: float = field(default=FAR_M, metadata=at_least(0.0))
    pictures_every: int = field(default=10, metadata=at_least(0))  # ticks, in SAVE_PATH; 0: none
    metric_info_every: int = field(default=200, metadata=at_least(1))  # ticks between writings, and at the end

    def __post_init__(self) -> None:
        """Raises SettingError where values do not go together."""
        if (self.run is None) == (self.agent is None):
            raise SettingError(f"run={self.run} and agent={self.agent}, but one of them must be given; {WAY_OUT}")
        for name, value, choices in (
            ("controller", self.controller, CONTROLLERS),
            ("jpeg", self.jpeg, (BEFORE, AFTER, NEVER)),
            ("weights", self.weights, (BEST, LAST)),
        ):
            if value not in choices:
                raise SettingError(f"{name}={value}, but must be one of {', '.join(choices)}; correct it")
        if TICKS_PER_INTERVAL % self.plan_every:
            raise SettingError(
                f"plan_every={self.plan_every}, but must divide the {TICKS_PER_INTERVAL} ticks between two pictures "
                "of a clip: 1, 2, 5 or 10"
            )
        if self.near_m >= self.far_m:
            raise SettingError(
                f"near_m={self.near_m:g} and far_m={self.far_m:g}, but points are passed within near_m and looked for "
                "within far_m, which must be more; raise far_m"
            )
        if (self.picture_width is None) != (self.picture_height is None):
            raise SettingError("picture_width and picture_height belong together; give both, or neither")

    @property
    def momentum_config(self) -> Optional[MomentumConfig]:
        """Momentum in the form of :mod:`navsim_agents.drive_jepa.selection`, where it is asked for."""
        return MomentumConfig(mode=ON, comfort_weight=self.comfort_weight) if self.momentum else None


def split_setup(text: str) -> tuple[str, str]:
    """The user's ``TEAM_CONFIG`` and the name of the route's folder in SAVE_PATH, of what the leaderboard hands over.

    It puts ``+<save_name>`` behind, one more at each route, so that the last one is the route's.

    Raises:
        SettingError: there is no TEAM_CONFIG.
    """
    given, _, names = text.partition(SEPARATOR)
    if not given:
        raise SettingError(
            f"TEAM_CONFIG is {text!r} and names nothing (a path must not hold a '{SEPARATOR}'); {WAY_OUT}"
        )
    return given, names.rpartition(SEPARATOR)[2]


def read_team_config(given: str) -> TeamConfig:
    """Settings of a YAML file, or of a training's folder.

    Raises:
        InputError: there is neither.
        SettingError: a setting breaks a rule.
    """
    path = Path(given).expanduser()
    if path.is_dir():
        return TeamConfig(run=str(path))
    with reading(path, InputError, WAY_OUT):
        try:
            content = OmegaConf.load(path)
        except YAMLError as error:
            raise ValueError(" ".join(str(error).split())) from error
        if not OmegaConf.is_dict(content):
            raise ValueError("no table of settings")
    return read_settings(TeamConfig, dict(OmegaConf.to_container(content, resolve=True)))  # type: ignore[arg-type]


def build_planner(config: TeamConfig) -> Bench2DrivePlanner:
    """The planner, ready.

    Raises:
        InputError: it is none for Bench2Drive, or as :func:`~navsim_agents.drive_jepa.runs.load_agent`.
    """
    if config.run is not None:
        planner = load_agent(config.run, weights=config.weights, device=config.device)
    else:
        planner = build_agent(config.agent)
    if not isinstance(planner, Bench2DrivePlanner):
        raise InputError(
            f"the agent is a {type(planner).__name__}, which plans for NAVSIM and not for Bench2Drive; train "
            "agent=drive_jepa_bench2drive"
        )
    return planner
