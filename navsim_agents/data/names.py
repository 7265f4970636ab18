"""Names of scenes and logs, read as plain text.

Tokens are sixteen hexadecimal digits, so some look like numbers: without quotes, YAML and Hydra's overrides read
``12345678901234e5`` as 1.2345678901234e+18 and YAML ``0123456701234567`` as an octal 5744368105847. Every list of
names in a file is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from navsim_agents.errors import InputError

YAML_SUFFIXES = (".yaml", ".yml")
YAML_LINE = re.compile(r"^(\s*-\s+\S|\w+:(\s|$))", re.MULTILINE)  # an item of a list, or a key
NOT_SCALARS = ("=", "<<")  # of YAML 1.1's own; the reader of OmegaConf refuses them
NULL_TAG = "tag:yaml.org,2002:null"
NUM_EXAMPLES = 3
WAY_OUT = "write them in quotes"


@dataclass(frozen=True)
class NameList:
    """Names in the order of the file, as they are written there."""

    names: tuple[str, ...]
    misread: tuple[str, ...] = ()  # those without quotes that YAML takes for a number, a truth value or nothing


@dataclass(frozen=True)
class NestedNames:
    """Lists of names within lists, every name as it is written in the file."""

    content: Any  # lists of lists of text; None where the file has null
    misread: tuple[str, ...] = ()  # as in NameList


def read_names(path: Path) -> dict[str, NameList]:
    """Every list of names in a YAML file by its key (``tokens``, ``scene_filter.tokens``), or a text file's by ``""``.

    A text file has a name a line, or several with blanks between them, and lines of comments that start with #. A YAML
    file may also be no more than a list, whose key is ``""`` then.

    Raises:
        InputError: no such file, or it is not text, or no YAML.
    """
    text = _text_of(path)
    if path.suffix not in YAML_SUFFIXES and not YAML_LINE.search(text):
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        return {"": NameList(tuple(" ".join(lines).split()))}
    return dict(_lists(_compose(path, text), ""))


def read_nested_names(path: Path, key: str) -> Optional[NestedNames]:
    """What a YAML file has below its top-level ``key``; None where it has no such key.

    Raises:
        InputError: no such file, or no YAML.
    """
    root = _compose(path, _text_of(path))
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    node = next((value for name, value in pairs if name.value == key), None)
    if node is None:
        return None
    bare: list[str] = []
    is_null = isinstance(node, yaml.ScalarNode) and node.tag == NULL_TAG
    content = None if is_null else _nested(node, bare)
    return NestedNames(content, tuple(_misread(bare)))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} is not a file that can be read ({error.strerror}); correct the path") from error
    except UnicodeDecodeError as error:
        raise _no_list(path, error) from error


def _compose(path: Path, text: str) -> Any:
    """The root of the YAML that ``text`` is; None of an empty one."""
    try:
        return yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise _no_list(path, error) from error


def _no_list(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())
    return InputError(f"{path} is no list of names, neither YAML nor text ({reason}); correct the file")


def load_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's mapping as NAVSIM reads it: for all but names.

    Raises:
        InputError: no such file, no YAML that OmegaConf takes, or no mapping.
    """
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise InputError(f"{path} cannot be read as NAVSIM does ({' '.join(str(error).split())}); fix it") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, but must be a mapping; see NAVSIM's own files")
    return {str(key): value for key, value in content.items()}


def quote_hint(where: str, misread: Sequence[str]) -> str:
    """One line about names that NAVSIM, like any reader of YAML, will misread; "" without any."""
    if not misread:
        return ""
    shown = ", ".join(misread[:NUM_EXAMPLES]) + (", …" if len(misread) > NUM_EXAMPLES else "")
    return (
        f"{where} has {len(misread)} names without quotes that YAML reads as numbers or truth values ({shown}), so "
        f"NAVSIM looks for other names and leaves these scenes out silently; {WAY_OUT}"
    )


def is_text(name: str) -> bool:
    """Whether YAML reads ``name`` without quotes as text."""
    return not _misread([name])


def _lists(node: Any, key: str) -> Iterator[tuple[str, NameList]]:
    """Lists of scalars below ``node``; keys of nested mappings are joined by dots."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from _lists(value, f"{key}.{name.value}" if key else str(name.value))
    elif isinstance(node, yaml.SequenceNode):
        items = [item for item in node.value if isinstance(item, yaml.ScalarNode)]
        if len(items) == len(node.value):
            items = [item for item in items if item.value]
            bare = [item.value for item in items if not item.style]
            yield key, NameList(tuple(item.value for item in items), tuple(_misread(bare)))


def _nested(node: Any, bare: list[str]) -> Any:
    """Lists, mappings and texts below ``node``; those without quotes are noted in ``bare``."""
    if isinstance(node, yaml.SequenceNode):
        return [_nested(item, bare) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {str(name.value): _nested(value, bare) for name, value in node.value}
    bare += [] if node.style else [node.value]
    return str(node.value)


def _misread(bare: Sequence[str]) -> list[str]:
    """Those of the unquoted scalars ``bare`` that OmegaConf, and so NAVSIM, does not read as text."""
    if not bare:
        return []
    plain = [name for name in bare if name not in NOT_SCALARS]
    read: Any = OmegaConf.to_container(OmegaConf.create("\n".join(["- x", *(f"- {name}" for name in plain)])))
    changed = {name for name, value in zip(plain, read[1:]) if not isinstance(value, str)}
    return [name for name in bare if name in changed or name in NOT_SCALARS]
