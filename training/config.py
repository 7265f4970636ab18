"""Typed configuration of the commands: what Hydra composed, checked against a frozen dataclass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any, Optional, TypeVar, cast, get_args, get_type_hints

from omegaconf import DictConfig, OmegaConf

from navsim_agents.data.names import refuse_eaten_names

ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True)
class DataConfig:
    """Logs in NAVSIM's on-disk formats, and which of them train and which validate."""

    root: str  # holds navsim_logs/, sensor_blobs/ and maps/
    split: str = "trainval"
    train_logs: Optional[list[str]] = None  # null: every log that does not validate
    val_logs: Optional[list[str]] = None  # null: an evenly spaced share of the split
    val_fraction: float = 0.1
    frame_interval: int = 1  # frames (0.5 s) from the start of a scene to that of the next


@dataclass(frozen=True)
class CacheConfig:
    """Where features and targets are kept between runs."""

    path: str
    workers: int = 2  # processes; 0 works in this one
    force: bool = False  # rebuild what is there


@dataclass(frozen=True)
class ParamsConfig:
    """Keyword arguments handed on as they are."""

    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainConfig:
    """Configuration of ``python -m training.train``."""

    output: str
    agent: Any  # group of navsim_configs
    data: DataConfig
    cache: CacheConfig
    dataloader: ParamsConfig = field(default_factory=ParamsConfig)
    trainer: ParamsConfig = field(default_factory=ParamsConfig)
    seed: int = 0
    threads: int = 0  # of torch; 0 leaves torch's own choice
    resume: bool = True  # go on from checkpoints/last.ckpt where there is one


@dataclass(frozen=True)
class EvaluateConfig:
    """Configuration of ``python -m training.evaluate``."""

    output: str
    data_root: str
    split: str = "test"
    log_names: Optional[list[str]] = None
    baselines: list[str] = field(default_factory=lambda: ["constant_velocity", "human"])
    runs: dict[str, str] = field(default_factory=dict)  # name in the table -> output folder of training.train
    run_settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # of a run: agent's config keys that differ
    weights: str = "best"  # of the validation, or last: after a schedule that ends at 0 they are the calm ones
    sequential: list[str] = field(default_factory=list)  # runs whose momentum goes on from what was really planned
    agent: Any = None  # one more agent, as composed from navsim_configs
    agent_name: str = "agent"
    columns: list[str] = field(default_factory=lambda: ["displacement"])
    threads: int = 0
    scoring_scenes: Optional[str] = None  # SceneStore for pdms, epdms and the reference driver; null: the world's own
    frame_interval: int = 1  # frames (0.5 s) from the start of a scene to that of the next
    max_scenes: int = 0  # evenly spaced over the split; 0 takes all


@dataclass(frozen=True)
class ReportConfig:
    """Configuration of ``python -m training.report``."""

    output: str  # the page
    evaluation: str  # output folder of training.evaluate
    data_root: str
    split: str = "test"
    agent_name: str = "drive_jepa_perception_free"  # whose plans the pictures show
    trainings: dict[str, str] = field(default_factory=dict)  # agent's name -> output folder of training.train
    pretraining: Optional[str] = None  # output folder of training.pretrain
    labels: Optional[str] = None  # label store of these scenes, for the pseudo-teachers beneath the proposals
    vocabulary: Optional[str] = None  # that of the labels
    title: str = "Drive-JEPA: planning from the front camera"
    num_failures: int = 8
    repeat: list[str] = field(default_factory=list)  # commands that lead to this page
    notes: list[str] = field(default_factory=list)


def read_config(kind: type[ConfigT], composed: DictConfig) -> ConfigT:
    """``composed`` as a ``kind``; a key that ``kind`` does not know raises ``omegaconf.errors.ConfigKeyError``.

    Raises:
        InputError: a list of names, such as ``log_names``, holds numbers: OmegaConf would make other names of them.
    """
    for key, values in _name_lists(kind, OmegaConf.to_container(composed), ""):
        refuse_eaten_names(key, values)
    base = OmegaConf.structured(kind)
    _make_writable(base)
    return cast(ConfigT, OmegaConf.to_object(OmegaConf.merge(base, composed)))


def _make_writable(node: DictConfig) -> None:
    # A frozen dataclass makes its whole subtree read-only, and then not even a free-form dict in it can be filled.
    OmegaConf.set_readonly(node, False)
    for key in node:
        child = node._get_node(key)
        if isinstance(child, DictConfig) and child._is_missing():
            node[key] = OmegaConf.structured(child._metadata.ref_type)
            child = node._get_node(key)
        if isinstance(child, DictConfig) and not child._is_none():
            _make_writable(child)


def _name_lists(kind: type, values: Any, prefix: str) -> Iterator[tuple[str, list[Any]]]:
    """Values of the fields of ``kind`` that are lists of text, by their dotted keys."""
    for name, hint in get_type_hints(kind).items():
        value = values.get(name) if isinstance(values, Mapping) else None
        if isinstance(value, list) and list[str] in (hint, *get_args(hint)):
            yield f"{prefix}{name}", value
        elif is_dataclass(hint):
            yield from _name_lists(cast(type, hint), value, f"{prefix}{name}.")
