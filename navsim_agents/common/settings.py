"""Settings of a command or an agent: what Hydra composed, checked against a dataclass, every error in one sentence.

The metadata of a field say what else must hold: :func:`at_least` and :func:`within` of numbers, and of paths
:data:`READS`, :data:`WRITES_FOLDER` or :func:`writes_file`. Of its settings' past a dataclass says what
:mod:`navsim_agents.common.former_names` reads.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional, TypeVar, Union

from omegaconf import DictConfig, OmegaConf

from navsim_agents.common.errors import NavsimDriveJepaError, SettingError
from navsim_agents.common.former_names import near_match, refuse_former, refuse_former_scalar, refuse_old_name

ConfigT = TypeVar("ConfigT")

LEAST, MOST, ROLE, ENDING = "least", "most", "role", "ending"
LARGEST_SEED = 2**32 - 1
"""NumPy takes none beyond it."""
READS: Mapping[str, Any] = {ROLE: "reads"}
"""Metadata of a field with the path of what a command reads, with a list of such paths, or a table of names to them."""
WRITES_FOLDER: Mapping[str, Any] = {ROLE: "writes a folder"}
"""Metadata of a field with the path of a folder that a command fills."""

MISSING_MARK = "???"
NUM_SHOWN = 8


def writes_file(ending: str) -> Mapping[str, Any]:
    """Metadata of a field with the path of a file that a command writes; ``ending`` tells it from other files."""
    return {ROLE: "writes a file", ENDING: ending}


def at_least(least: float) -> Mapping[str, Any]:
    """Metadata of a field whose number, where one is given, must not be smaller."""
    return {LEAST: least}


def within(least: float, most: float) -> Mapping[str, Any]:
    """Metadata of a field whose number, where one is given, must lie between two, both allowed."""
    return {LEAST: least, MOST: most}


SEED: Mapping[str, Any] = within(0, LARGEST_SEED)
"""Metadata of a field with the seed of random numbers."""


def read_settings(kind: type[ConfigT], composed: Union[DictConfig, Mapping[str, Any]]) -> ConfigT:
    """``composed`` as a ``kind``, every value of its field's type.

    Raises:
        SettingError: a setting is missing, unknown, of another type, or outside of what its field allows.
        NavsimDriveJepaError: the dataclass itself refuses the values.
    """
    config = composed if isinstance(composed, DictConfig) else OmegaConf.create(dict(composed))
    _refuse_missing(kind, config)
    return typing.cast(ConfigT, _dataclass(kind, OmegaConf.to_container(config, resolve=True), ""))


def read_group(kind: type[ConfigT], given: Mapping[str, Any], prefix: str) -> ConfigT:
    """Plain values as a ``kind``; what is left out keeps its default.

    Args:
        kind: dataclass of the settings.
        given: name → value, of a group name → value.
        prefix: what stands before the names where the user writes them, such as ``agent.config.``.

    Raises:
        SettingError: a setting is unknown, called otherwise now, of another type, or outside of what its field allows.
        NavsimDriveJepaError: as the dataclass does of itself.
    """
    return typing.cast(ConfigT, _dataclass(kind, given, prefix))


def defaults_of(kind: Any) -> dict[str, Any]:
    """Every setting of a dataclass at its default, groups as mappings; nothing is checked, so no rule is asked."""
    return {field.name: _default_of(field) for field in dataclasses.fields(kind)}


def _default_of(field: dataclasses.Field[Any]) -> Any:
    factory: Any = field.default_factory
    if factory is dataclasses.MISSING:
        return field.default
    if dataclasses.is_dataclass(factory):
        return defaults_of(factory)
    made: Any = factory()
    is_group = dataclasses.is_dataclass(made) and not isinstance(made, type)
    return dataclasses.asdict(made) if is_group else made


def changed(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``settings`` with ``changes``, group by group."""
    found = dict(settings)
    for name, value in changes.items():
        before = found.get(name)
        is_group = isinstance(value, Mapping) and isinstance(before, Mapping)
        found[name] = changed(typing.cast(Any, before), value) if is_group else value
    return found


class PathSetting(NamedTuple):
    """A path among the settings."""

    key: str
    path: Path
    metadata: Mapping[str, Any]

    @property
    def is_read(self) -> bool:
        """Whether the command reads it; else it writes it."""
        return bool(self.metadata[ROLE] == READS[ROLE])

    @property
    def ending(self) -> Optional[str]:
        """Of a file that is written; None for a folder."""
        return self.metadata.get(ENDING)


def path_settings(config: Any, prefix: str = "") -> Iterator[PathSetting]:
    """Every path that the fields of ``config`` declare, those of nested dataclasses and of tables of them too."""
    for field in dataclasses.fields(config):
        value, key = getattr(config, field.name), f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            yield from path_settings(value, f"{key}.")
        elif isinstance(value, Mapping) and ROLE not in field.metadata:
            for name, part in value.items():
                if dataclasses.is_dataclass(part):
                    yield from path_settings(part, f"{key}.{name}.")
        elif ROLE in field.metadata and value is not None:
            for name, path in _named_paths(key, value):
                yield PathSetting(name, Path(str(path)), field.metadata)


def _named_paths(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The paths of a setting, which may be one, a list, or a table of either."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _named_paths(f"{key}.{name}", part)
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from _named_paths(f"{key}[{index}]", part)
    else:
        yield key, value


def _refuse_missing(kind: type, config: DictConfig) -> None:
    given = OmegaConf.to_container(config, resolve=False)
    missing = sorted(_missing_in(given, ""))
    missing += [name for name in _required(kind) if name not in typing.cast(Mapping[str, Any], given)]
    if not missing:
        return
    shown = ", ".join(missing[:NUM_SHOWN]) + (", …" if len(missing) > NUM_SHOWN else "")
    parts = sorted({key.rpartition(".")[0] for key in missing if key.count(".") > 1})
    way_out = f"; or leave out what you do not have: '~{parts[0]}'" if parts else ""
    raise SettingError(f"{shown}: not given, but needed; add {missing[0]}=…{way_out}")


def _missing_in(node: Any, prefix: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _missing_in(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _missing_in(value, f"{prefix}[{index}]")
    elif node == MISSING_MARK:
        yield prefix


def _required(kind: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(kind) if _has_no_default(field)]


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default in (dataclasses.MISSING, MISSING_MARK) and field.default_factory is dataclasses.MISSING


def _dataclass(kind: Any, given: Any, prefix: str) -> Any:
    if not isinstance(given, Mapping):
        refuse_former_scalar(kind, given, prefix[:-1])
        raise SettingError(f"{prefix[:-1]}={given!r}, but must hold settings: {prefix}…=…")
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    unknown = sorted(str(key) for key in given if key not in fields)
    if unknown:
        _refuse_unknown(kind, unknown[0], prefix, fields)
    lacking = [prefix + name for name in _required(kind) if name not in given]
    if lacking:
        raise SettingError(f"{', '.join(lacking)}: not given, but needed; add {lacking[0]}=…")
    types = typing.get_type_hints(kind)
    values = {name: _value(types[name], value, prefix + name) for name, value in given.items()}
    for name, value in values.items():
        _check_range(prefix + name, value, fields[name].metadata)
    try:
        return kind(**values)
    except NavsimDriveJepaError as error:
        begins = re.match(r"\w+", str(error))
        if prefix and begins and begins.group() in fields:  # the dataclass does not know where it stands
            raise type(error)(f"{prefix}{error}") from error
        raise


def _refuse_unknown(kind: Any, name: str, prefix: str, fields: Collection[str]) -> None:
    refuse_former(kind, f"{prefix}{name}", prefix)
    refuse_old_name(f"{prefix}{name}", fields)
    there_are = ", ".join(prefix + known for known in fields)
    raise SettingError(f"{prefix}{name} is no setting; there are {there_are}{near_match(name, fields)}")


def _check_range(key: str, value: Any, metadata: Mapping[str, Any]) -> None:
    least, most = metadata.get(LEAST), metadata.get(MOST)
    if value is None:
        return
    if least is not None and not value >= least:
        raise SettingError(f"{key}={value}, but must be {least:g} or more; raise it")
    if most is not None and not value <= most:
        raise SettingError(f"{key}={value}, but must be {most} or less; lower it")
    if ROLE in metadata and value == "":
        raise SettingError(f"{key} is empty, but must be a path; write {key}=…")


def _value(kind: Any, value: Any, key: str) -> Any:
    """``value`` as a ``kind``: a plain type, Any, an Optional, a list, a dict or a dataclass."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Union:
        if value is None:
            return None
        return _value(next(argument for argument in arguments if argument is not type(None)), value, key)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, f"{key}.")
    if origin is list:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise SettingError(f"{key}={value!r}, but must be a list; write {key}=[…]")
        _refuse_eaten_names(arguments[0], value, key)
        return [_value(arguments[0], part, f"{key}[{index}]") for index, part in enumerate(value)]
    if origin is dict:
        if not isinstance(value, Mapping):
            raise SettingError(
                f"{key}={value!r}, but must be a table; write {key}={{name: value}} or +{key}.name=value"
            )
        return {str(name): _value(arguments[1], part, f"{key}.{name}") for name, part in value.items()}
    return _plain(kind, value, key)


def _refuse_eaten_names(kind: Any, values: Sequence[Any], key: str) -> None:
    """A number does not say how it was written, and the digits of a token are its name."""
    eaten = [value for value in values if kind is str and not isinstance(value, str)]
    if eaten:
        raise SettingError(
            f"{key} holds {eaten[0]!r}, a {type(eaten[0]).__name__}, but names are text: without quotes a name of "
            f"digits is read as a number, and what was written is lost; quote it: '{key}=[\"…\"]', and in YAML likewise"
        )


def _plain(kind: Any, value: Any, key: str) -> Any:
    found = _converted(kind, value)
    if found is None:
        raise SettingError(f"{key}={value!r}, but must be {WORDS[kind]}{_way_out(kind, value, key)}")
    return found


WORDS = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text"}


def _converted(kind: Any, value: Any) -> Optional[Any]:
    """None where ``value`` does not stand for a ``kind``.

    Text may hold a number, as environment variables do; a whole number may stand for text, as its digits are kept.
    """
    if kind is str:
        return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
    if isinstance(value, str):
        value = _read_text(value)
    if kind is bool or isinstance(value, bool):
        return value if kind is bool and isinstance(value, bool) else None
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value) if kind is float else int(value) if float(value).is_integer() else None


def _read_text(text: str) -> Any:
    """The number or truth value that ``text`` spells, else ``text``."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _way_out(kind: Any, value: Any, key: str) -> str:
    if kind is str and isinstance(value, float):
        return f"; it was read as a number and its digits may be gone: quote it, '{key.split('[')[0]}=\"…\"'"
    return "; quote it" if kind is str and value is not None else "; correct it"
