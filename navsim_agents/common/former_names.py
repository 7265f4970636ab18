"""What settings were called in earlier releases: an old name is refused with the new one.

A dataclass may say of its settings' past: ``FORMER`` maps what a setting was called to what it is called now (dotted
where it moved into a group), ``GONE`` what is no setting any more to why; of a group, ``ONCE_ALONE`` names the setting
that had the group's name before there was one; ``BELOW`` maps a prefix to the dataclasses of what stands below it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any, Optional

from navsim_agents.common.errors import FormerNameError

RENAMED: Mapping[str, tuple[str, ...]] = {
    "scene_store": ("scenes",),
    "scoring_scenes": ("scenes",),
    "metric_cache_path": ("scenes", "verify_scenes"),
}
"""Former name of a setting → what it may be called now, the first of them nearly always."""


def near_match(word: str, known: Collection[str]) -> str:
    """``; did you mean '…'?`` where one of ``known`` is close to ``word``, else nothing."""
    close = difflib.get_close_matches(str(word), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def refuse_old_name(key: str, known: Optional[Collection[str]] = None) -> None:
    """Refuse a ``key``, with what stands before its last dot, that is called otherwise now.

    Args:
        key: what the user calls a setting.
        known: settings that there are in its place; None where that is not known.

    Raises:
        FormerNameError: it is a former name.
    """
    group, dot, name = key.rpartition(".")
    news = RENAMED.get(name, ())
    names = list(news[:1]) if known is None else [new for new in news if new in known]
    if names and (known is None or name not in known):
        now = " or ".join(f"{group}{dot}{new}" for new in names)
        raise FormerNameError(f"{key} is called {now} now; write {now}=… instead")


def refuse_former(kind: Any, key: str, prefix: str = "") -> None:
    """Refuse a ``key`` that the settings of ``kind`` had once.

    Args:
        kind: dataclass of the settings; below the prefixes of its ``BELOW``, those of the classes named there.
        key: what the user calls the setting.
        prefix: that stands before the names of ``kind``.

    Raises:
        FormerNameError: it is called otherwise now, or is no setting any more.
    """
    name = key[len(prefix) :]
    former, gone = getattr(kind, "FORMER", {}), getattr(kind, "GONE", {})
    if name in former:
        now = f"{prefix}{former[name]}"
        raise FormerNameError(f"{key} is called {now} now; write {now}=… instead")
    if name in gone:
        raise FormerNameError(f"{key} is no setting any more: {gone[name]}; leave it out")
    for below, kinds in getattr(kind, "BELOW", {}).items():
        for other in kinds if key.startswith(below) else ():
            refuse_former(other, key, below)


def refuse_former_scalar(kind: Any, given: Any, key: str) -> None:
    """Refuse ``given`` where ``key`` is a group now, and the setting that had its name stands in it.

    Raises:
        FormerNameError: it does.
    """
    once_alone = getattr(kind, "ONCE_ALONE", None)
    if once_alone is not None:
        now = f"{key}.{once_alone}"
        raise FormerNameError(f"{key}={given!r} is called {now} now; write {now}=… instead")
