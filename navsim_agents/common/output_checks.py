"""Before work begins: can a command write where it should, and would it write over what it reads?"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

from navsim_agents.common.errors import InputError
from navsim_agents.common.settings import PathSetting, path_settings


def check_outputs(config: Any) -> None:
    """Check every path that ``config`` declares as written.

    Raises:
        InputError: it is read as well, a file stands in its way, or nothing can be written there.
    """
    found = list(path_settings(config))
    sources = [setting for setting in found if setting.is_read]
    for output in found:
        if not output.is_read:
            _refuse_overwriting(output, sources)
            _check_place(output)


def _refuse_overwriting(output: PathSetting, sources: Sequence[PathSetting]) -> None:
    target = output.path.resolve()
    for source in sources:
        read = source.path.resolve()
        if target == read or (target.exists() and read.exists() and target.samefile(read)):
            raise InputError(
                f"{output.key}={output.path} is also {source.key}, and what is read must not be written over; "
                "name another output"
            )
        is_data = output.ending is not None and read in target.parents and target.suffix != output.ending
        if is_data and target.exists():
            raise InputError(
                f"{output.key}={output.path} is there and lies in {source.key}={source.path}, but only a file that "
                f"ends in {output.ending} may be replaced there; name another output"
            )


def _check_place(output: PathSetting) -> None:
    if output.ending is not None:
        if output.path.is_dir():
            raise InputError(
                f"{output.key}={output.path} is a folder, but must be a file; write {output.path}/NAME{output.ending}"
            )
        folder = output.path.absolute().parent
    else:
        folder = output.path.absolute()
    try:
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            raise InputError(
                f"{output.key}={output.path}: {folder} is a file, but a folder is needed; name another output"
            )
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{output.key}={output.path}: nothing can be written to {folder} ({error.strerror}); name another output"
        ) from error
