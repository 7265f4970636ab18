"""How a command ends when something is wrong: one line with the value, the rule and the way out."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from tqdm import tqdm

from navsim_agents.common.errors import NavsimDriveJepaError
from navsim_agents.common.extras import explain_missing_module

TRACEBACK_SWITCH = "HYDRA_FULL_ERROR"
"""Environment variable that Hydra's users know: 1 shows the traceback of every error."""
INTERRUPTED_EXIT = 130
"""Shells report a process that Ctrl-C ended as 128 + SIGINT."""
WORKER_MARK = "Original Traceback"
"""Stands in errors that torch's data loader brings over from a worker process; the last line is the error's own."""

FULL_DISK = "there is no room left; free some, then run the same command again: what was finished is kept"
ADVICE = {
    errno.ENOENT: "there is no such file or folder; correct the path",
    errno.EACCES: "this user may not read or write it; name another path, or correct its permissions",
    errno.EPERM: "this user may not change it; name another path, or correct its permissions",
    errno.EROFS: "its disk can only be read; name another path",
    errno.ENOTDIR: "a file stands where a folder is needed; name another path",
    errno.EEXIST: "a file stands where a folder is needed; name another path",
    errno.EISDIR: "it is a folder, but a file is needed; name a file",
    errno.ENOSPC: FULL_DISK,
    errno.EDQUOT: FULL_DISK,
    errno.EFBIG: FULL_DISK,
    errno.EMFILE: "too many files are open at once; raise the limit (ulimit -n), or use fewer workers",
}
MEMORY_ADVICE = "the memory is full; lower the batch size or the number of workers, then run the same command again"
RUNTIME_MARKS = {
    "PytorchStreamWriter": f"a checkpoint could not be written, most likely because {FULL_DISK}",
    "inline_container.cc": f"a checkpoint could not be written, most likely because {FULL_DISK}",
    "out of memory": MEMORY_ADVICE,
    "can't allocate memory": MEMORY_ADVICE,
    "DefaultCPUAllocator": MEMORY_ADVICE,
    "CUDA error": "the GPU failed; see what else runs on it (nvidia-smi), then run the same command again",
    "No space left on device": FULL_DISK,
}
"""Part of a message of torch's own RuntimeError → what it means to a user."""

HIDDEN_LINES = ("Set the environment variable", "full_key:", "object_type=", "See ")
"""Beginnings of lines of Hydra's and OmegaConf's messages that do not help a user who gave a wrong setting."""

MACHINES_ERRNOS = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
)


def is_machines_fault(error: BaseException) -> bool:
    """Whether the machine failed (disk, memory, GPU) and not the item at hand, so that no item is blamed for it."""
    if isinstance(error, OSError):
        return error.errno in MACHINES_ERRNOS
    says_so = isinstance(error, RuntimeError) and any(mark in str(error) for mark in RUNTIME_MARKS)
    return says_so or isinstance(error, MemoryError)


def is_traceback_wanted() -> bool:
    """Whether the user set ``HYDRA_FULL_ERROR``."""
    return os.environ.get(TRACEBACK_SWITCH, "") not in ("", "0")


@contextmanager
def ends_in_one_line() -> Iterator[None]:
    """Inside, an error that a user can mend ends the process with exit code 1 and one line on standard error.

    Faults of this package itself keep their traceback, and so does every error under ``HYDRA_FULL_ERROR=1``.
    """
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted; run the same command to go on from here", file=sys.stderr)
        sys.exit(INTERRUPTED_EXIT)
    except Exception as error:
        words = explain(error)
        if words is None or is_traceback_wanted():
            raise
        _end_progress_bars()
        sys.exit(words)


def _end_progress_bars() -> None:
    """The last message gets a line of its own."""
    for bar in list(getattr(tqdm, "_instances", ())):
        bar.close()


def explain(error: BaseException) -> Optional[str]:
    """One line for an error that a user can mend, None for a fault of this package."""
    words = _words(error)
    if words is None:
        return None
    return f"{_title(error)}: {' '.join(words.split())}"


def _words(error: BaseException) -> Optional[str]:
    if isinstance(error, NavsimDriveJepaError):
        return _own_words(str(error))
    if isinstance(error, ModuleNotFoundError):
        return explain_missing_module(error)
    if isinstance(error, (HydraException, OmegaConfBaseException)):  # some of them are OSErrors too
        return _composing_words(error)
    if isinstance(error, OSError):
        return _system_words(error)
    if isinstance(error, MemoryError):
        return MEMORY_ADVICE
    if isinstance(error, json.JSONDecodeError):
        return f"a file is no JSON ({error}); it may have been cut off: make it again"
    if type(error).__name__ == "MisconfigurationException":  # Lightning's, without importing it
        return str(error)
    if isinstance(error, RuntimeError):
        return next((words for mark, words in RUNTIME_MARKS.items() if mark in str(error)), None)
    return None


def _title(error: BaseException) -> str:
    if isinstance(error, NavsimDriveJepaError):
        return type(error).__name__
    return "SettingError" if isinstance(error, (HydraException, OmegaConfBaseException)) else type(error).__name__


def _own_words(message: str) -> str:
    """The error without the traceback that a worker process put around it."""
    return message.strip().splitlines()[-1].partition(": ")[2] if WORKER_MARK in message else message


def _system_words(error: OSError) -> Optional[str]:
    if error.errno is None:
        return str(error)
    advice = ADVICE.get(error.errno, f"{error.strerror}; see to that, then run the same command again")
    where = error.filename2 if error.filename2 is not None else error.filename
    return advice if where is None else f"{where}: {advice}"


def _composing_words(error: BaseException) -> str:
    message = str(error).partition("Config search path")[0]
    lines = [line.strip() for line in message.splitlines()]
    subject = getattr(error, "full_key", None) or getattr(error, "override", None)
    kept = [line for line in lines if line and not line.startswith(HIDDEN_LINES)]
    if isinstance(error, OverrideParseException):
        kept.append("put quotes around what has blanks or special signs")
    return (f"{subject}: " if subject else "") + "; ".join(kept)
