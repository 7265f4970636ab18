"""A command: settings from Hydra, checked before work begins, and one way to end."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, Optional, TypeVar

import hydra
from omegaconf import DictConfig

from navsim_agents.common.ending import TRACEBACK_SWITCH, ends_in_one_line
from navsim_agents.common.output_checks import check_outputs
from navsim_agents.common.processes import end_with_starter
from navsim_agents.common.settings import read_settings

ConfigT = TypeVar("ConfigT")


def command(kind: type[ConfigT], config: str) -> Callable[[Callable[[ConfigT], None]], Callable[[], None]]:
    """Make a function of settings the entry point of a command.

    Settings come from Hydra and are checked: every key and type against ``kind``, and whether the paths that it
    declares can be written and would overwrite what the command reads. What is wrong ends in one line.

    Args:
        kind: dataclass of the settings.
        config: package and name of the YAML that holds them, such as ``training.conf.train``.
    """
    package, _, name = config.rpartition(".")

    def decorate(work: Callable[[ConfigT], None]) -> Callable[[], None]:
        @functools.wraps(work)
        def main() -> None:
            end_with_starter()
            users = os.environ.get(TRACEBACK_SWITCH)

            @functools.wraps(work)
            def job(composed: DictConfig) -> None:
                _set_switch(users)  # child processes shall have the user's
                with ends_in_one_line():
                    settings = read_settings(kind, composed)
                    check_outputs(settings)
                    work(settings)

            with ends_in_one_line(), _hydra_raises(users):
                entry: Any = hydra.main(version_base="1.2", config_path=f"pkg://{package}", config_name=name)(job)
                entry()

        return main

    return decorate


@contextmanager
def _hydra_raises(users: Optional[str]) -> Iterator[None]:
    """Inside, Hydra raises what it would else print and end with itself."""
    _set_switch("1")
    try:
        yield
    finally:
        _set_switch(users)


def _set_switch(value: Optional[str]) -> None:
    if value is None:
        os.environ.pop(TRACEBACK_SWITCH, None)
    else:
        os.environ[TRACEBACK_SWITCH] = value
