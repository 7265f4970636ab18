"""Settings of the commands that train, evaluate and report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Optional

from navsim_agents.common.conventions import EPDMS_NAME, PDMS_NAME
from navsim_agents.common.extras import require_extras
from navsim_agents.common.settings import READS, SEED, WRITES_FOLDER, at_least, within, writes_file
from navsim_agents.drive_jepa.config import PREFIX, PerceptionFreeConfig
from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig
from navsim_agents.errors import InputError
from navsim_agents.evaluation.agents import Contestants
from navsim_agents.evaluation.baselines import HUMAN
from navsim_agents.scoring.config import EPDMS, LOG_REPLAY, REACTIVE, refuse_traffic
from training.loggers import LoggerConfig
from training.saving import SavingConfig

ONE_STAGE, TWO_STAGE = PROTOCOLS = ("one_stage", "two_stage")


@dataclass(frozen=True)
class DataConfig:
    """Logs in NAVSIM's on-disk formats, and which of them train and which validate."""

    root: str = field(metadata=READS)  # holds navsim_logs/, sensor_blobs/ and maps/
    split: str = "trainval"
    train_logs: Optional[list[str]] = None  # null: every log that does not validate
    val_logs: Optional[list[str]] = None  # null: an evenly spaced share of the split; []: none, all logs train
    val_fraction: float = field(default=0.1, metadata=within(0.001, 0.999))
    frame_interval: int = field(default=1, metadata=at_least(1))  # frames (0.5 s) from one scene to the next


@dataclass(frozen=True)
class CacheConfig:
    """Where features and targets are kept between runs."""

    path: str = field(metadata=WRITES_FOLDER)
    workers: int = field(default=2, metadata=at_least(0))  # processes; 0: this one alone
    force: bool = False  # rebuild an existing cache


@dataclass(frozen=True)
class ParamsConfig:
    """Keyword arguments that are passed on unchanged."""

    params: dict[str, Any] = field(default_factory=dict)


BESIDE_LEARNING = ("saving", "logger")
"""Settings of a training that change nothing of what is learnt; records of earlier releases do not have them."""


@dataclass(frozen=True)
class TrainConfig:
    """Configuration of ``drive-jepa train``."""

    BELOW: ClassVar[Mapping[str, Any]] = {PREFIX: (ProposalAgentConfig, PerceptionFreeConfig)}

    output: str = field(metadata=WRITES_FOLDER)
    agent: Any  # group of navsim_configs
    data: DataConfig
    cache: CacheConfig
    dataloader: ParamsConfig = field(default_factory=ParamsConfig)
    trainer: ParamsConfig = field(default_factory=ParamsConfig)
    seed: int = field(default=0, metadata=SEED)
    threads: int = field(default=0, metadata=at_least(0))  # of torch; 0 leaves torch's own choice
    resume: bool = True  # go on from checkpoints/last.ckpt where there is one
    saving: SavingConfig = field(default_factory=SavingConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)

    def __post_init__(self) -> None:
        if not self.agent:
            raise InputError("agent is null, but training needs one; name a group file, such as agent=drive_jepa_small")


@dataclass(frozen=True)
class EvaluateConfig:
    """Configuration of ``drive-jepa evaluate``."""

    output: str = field(metadata=WRITES_FOLDER)
    data_root: str = field(metadata=READS)
    split: str = "test"
    log_names: Optional[list[str]] = None
    baselines: list[str] = field(default_factory=lambda: ["constant_velocity", "human"])
    runs: dict[str, str] = field(
        default_factory=dict, metadata=READS
    )  # name in the table -> output of drive-jepa train
    run_settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # of a run: agent's config keys that differ
    weights: str = "best"  # by validation; or last, which suits a schedule whose rate ends at 0
    sequential: list[str] = field(default_factory=list)  # runs whose momentum goes on from what was really planned
    agent: Any = None  # one more agent, as composed from navsim_configs
    agent_name: str = "agent"
    columns: list[str] = field(default_factory=lambda: ["displacement"])
    traffic: Optional[str] = None  # of EPDMS, log_replay or reactive; null: as NAVSIM's script of the protocol has it
    threads: int = field(default=0, metadata=at_least(0))
    scenes: Optional[str] = field(default=None, metadata=READS)  # for pdms, epdms, reference driver; null: the world's
    frame_interval: int = field(default=1, metadata=at_least(1))  # frames (0.5 s) from one scene to the next
    max_scenes: int = field(default=0, metadata=at_least(0))  # evenly spaced over the split; 0 takes all
    protocol: str = ONE_STAGE  # or two_stage, as v2.2's run_pdm_score.py
    tokens: Optional[str] = field(default=None, metadata=READS)  # of two_stage: the split's YAML, which has the mapping
    synthetic_scenes_path: Optional[str] = field(default=None, metadata=READS)  # null: navhard_two_stage/ of data_root
    synthetic_sensor_path: Optional[str] = field(default=None, metadata=READS)  # null: likewise
    choice: bool = False  # of agents that propose: how their foreseen scores rank and choose, beside the simulator's
    labels: Optional[str] = field(default=None, metadata=READS)  # of these scenes, to rank the vocabulary as well
    vocabulary: Optional[str] = field(default=None, metadata=READS)  # that of the labels
    checkpoints: dict[str, Any] = field(
        default_factory=dict, metadata=READS
    )  # name -> path, pattern or list: a row for each file; of the training that holds it, else of ``agent``

    def __post_init__(self) -> None:
        self._check_choice()
        if self.protocol not in PROTOCOLS:
            raise InputError(f"protocol={self.protocol!r}, but must be {' or '.join(PROTOCOLS)}")
        if self.protocol == TWO_STAGE:
            self._check_two_stage()
        for name in ("tokens", "synthetic_scenes_path", "synthetic_sensor_path"):
            if self.protocol == ONE_STAGE and (value := getattr(self, name)) is not None:
                raise InputError(f"{name}={value}, but only protocol={TWO_STAGE} reads it; add that, or leave it out")

    def _check_choice(self) -> None:
        """Raises InputError where a setting of the choice has no meaning."""
        given = {name: getattr(self, name) for name in ("labels", "vocabulary") if getattr(self, name) is not None}
        if len(given) == 1 or (given and not self.choice):
            raise InputError(
                f"{', '.join(f'{name}={value}' for name, value in given.items())}, but choice=true reads labels "
                "together with their vocabulary, and nothing else does; set all three or none"
            )
        if self.choice and self.protocol == TWO_STAGE:
            raise InputError(f"choice=true with protocol={TWO_STAGE}, but it compares frames of one log; leave one out")

    def _check_two_stage(self) -> None:
        """Raises InputError where a setting has no meaning with two stages."""
        if self.tokens is None:
            raise InputError(
                f"protocol={TWO_STAGE} needs to know which scenes belong together: tokens=<the split's YAML>, such as "
                "train_test_split/navhard_two_stage.yaml of NAVSIM, or devkit_config/… of the built-in world"
            )
        if self.baselines and set(self.baselines) == {HUMAN} and not (self.runs or self.checkpoints or self.agent):
            raise InputError(
                f"baselines={self.baselines} alone, but nobody drove on in the second stage, so the human is no agent "
                f"of protocol={TWO_STAGE}; name constant_velocity, runs or an agent"
            )
        own = sorted({EPDMS_NAME, PDMS_NAME} & set(self.columns))
        if own:
            raise InputError(f"columns={own}: protocol={TWO_STAGE} scores EPDMS of itself; leave it out of columns")
        if self.max_scenes or self.frame_interval != 1:
            raise InputError(
                f"max_scenes={self.max_scenes} and frame_interval={self.frame_interval}, but the mapping says which "
                "scenes there are, and scores whole groups; leave both as they are, or choose logs with log_names=[…]"
            )
        if self.sequential:
            raise InputError(
                f"sequential={self.sequential}, but scenes of the second stage have no frame before them that was "
                "planned; leave it out: momentum replans that frame from the scene's own history, as in the scripts"
            )

    @property
    def traffic_in_use(self) -> str:
        """The one that was asked for, or that of NAVSIM's script for the protocol."""
        return self.traffic or (REACTIVE if self.protocol == TWO_STAGE else LOG_REPLAY)

    @property
    def synthetic_paths(self) -> tuple[str, str]:
        """Folders of the second stage's pickles and of their pictures, by default where NAVSIM looks for them."""
        return synthetic_paths(self.data_root, self.synthetic_scenes_path, self.synthetic_sensor_path)

    def check_traffic(self) -> None:
        """Raises TrajectoryError where there is no such traffic, InputError where no column group asks for it."""
        refuse_traffic(self.traffic_in_use, EPDMS)
        if self.traffic_in_use == REACTIVE:
            require_extras("traffic")
        is_used = self.protocol == TWO_STAGE or EPDMS.name in self.columns
        if self.traffic_in_use == REACTIVE and not is_used:
            raise InputError(
                f"traffic={REACTIVE}, but of columns={self.columns} none is scored in it; add {EPDMS.name} to columns, "
                f"or leave traffic={LOG_REPLAY}"
            )

    @property
    def contestants(self) -> Contestants:
        """Whom to evaluate; the human is none of two stages, as nobody drove on in the second one."""
        baselines = [name for name in self.baselines if name != HUMAN or self.protocol == ONE_STAGE]
        return Contestants(
            baselines,
            self.runs,
            self.run_settings,
            self.weights,
            self.sequential,
            self.agent,
            self.agent_name,
            self.checkpoints,
        )


def synthetic_paths(data_root: str, scenes: Optional[str], pictures: Optional[str]) -> tuple[str, str]:
    """Folders of the second stage's pickles and of their pictures; None: where NAVSIM looks for them."""
    folder = Path(data_root) / "navhard_two_stage"
    return scenes or str(folder / "synthetic_scene_pickles"), pictures or str(folder / "sensor_blobs")


@dataclass(frozen=True)
class ReportConfig:
    """Configuration of ``drive-jepa report``."""

    output: str = field(metadata=writes_file(".html"))
    evaluation: str = field(metadata=READS)  # output folder of drive-jepa evaluate
    data_root: str = field(metadata=READS)
    split: str = "test"
    agent_name: str = "drive_jepa_perception_free"  # whose plans the pictures show
    trainings: dict[str, str] = field(
        default_factory=dict, metadata=READS
    )  # agent's name -> output of drive-jepa train
    pretraining: Optional[str] = field(default=None, metadata=READS)  # output folder of drive-jepa pretrain
    labels: Optional[str] = field(default=None, metadata=READS)  # of these scenes, for pseudo-teachers in the pictures
    vocabulary: Optional[str] = field(default=None, metadata=READS)  # that of the labels
    title: str = "Drive-JEPA: planning from the front camera"
    num_failures: int = field(default=8, metadata=at_least(0))
    repeat: list[str] = field(default_factory=list)  # commands that lead to this page
    notes: list[str] = field(default_factory=list)
