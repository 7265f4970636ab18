"""A command: settings from Hydra, checked before work begins, and one way to end."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Callable, Optional, TypeVar

import hydra
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from navsim_agents.common.ending import TRACEBACK_SWITCH, ends_in_one_line
from navsim_agents.common.errors import SettingError
from navsim_agents.common.former_names import refuse_former, refuse_old_name
from navsim_agents.common.output_checks import check_outputs
from navsim_agents.common.processes import end_with_starter
from navsim_agents.common.settings import read_settings

ConfigT = TypeVar("ConfigT")

HYDRAS_REFUSAL = re.compile(r"Could not override '([^']+)'")
"""How Hydra's message about a setting begins that is in no YAML."""


def command(kind: type[ConfigT], config: str) -> Callable[[Callable[[ConfigT], None]], Callable[..., None]]:
    """Make a function of settings the entry point of a command, which takes Hydra's arguments (by default sys.argv's).

    Settings come from Hydra and are checked: every key and type against ``kind``, and whether the paths that it
    declares can be written and would overwrite what the command reads. What is wrong ends in one line.

    Args:
        kind: dataclass of the settings.
        config: package and name of the YAML that holds them, such as ``training.conf.train``.
    """
    package, _, name = config.rpartition(".")
    home, _, folder = package.rpartition(".")

    def decorate(work: Callable[[ConfigT], None]) -> Callable[..., None]:
        @functools.wraps(work)
        def main(arguments: Optional[Sequence[str]] = None) -> None:
            end_with_starter()
            users = os.environ.get(TRACEBACK_SWITCH)
            called, has_begun = sys.argv, False

            def job(composed: DictConfig) -> None:
                nonlocal has_begun
                has_begun = True
                _set_switch(users)  # child processes must get the user's
                sys.argv = called  # and the whole command line, which Lightning's ddp runs again
                with ends_in_one_line():
                    settings = read_settings(kind, composed)
                    check_outputs(settings)
                    work(settings)

            # Hydra looks for the settings next to the module that the function names as its own: 1.2 asks the function,
            # later releases ask what it wraps.
            for function in (job, inspect.unwrap(job)):
                function.__module__, function.__name__ = f"{home}.{name}", name
            with ends_in_one_line(), _hydra_raises(users), _hydra_reads(name, arguments), _old_names_refused(kind):
                entry: Any = hydra.main(version_base="1.2", config_path=folder, config_name=name)(job)
                try:
                    entry()
                except (ValueError, TypeError, AttributeError) as error:
                    if has_begun or isinstance(error, OmegaConfBaseException):
                        raise
                    raise SettingError(
                        f"Hydra cannot compose the settings ({error}); correct the command line"
                    ) from error

        return main

    return decorate


@contextmanager
def _hydra_raises(users: Optional[str]) -> Iterator[None]:
    """Inside, Hydra raises the errors that it would otherwise print and exit on."""
    _set_switch("1")
    try:
        yield
    finally:
        _set_switch(users)


@contextmanager
def _old_names_refused(kind: type) -> Iterator[None]:
    """Inside, Hydra's refusal of a setting's former name becomes one that says the new name."""
    try:
        yield
    except ConfigCompositionException as error:
        found = HYDRAS_REFUSAL.match(str(error))
        if found:
            key = found.group(1)
            refuse_former(kind, key)
            refuse_old_name(key, None if "." in key else [field.name for field in dataclasses.fields(kind)])
        raise


@contextmanager
def _hydra_reads(name: str, arguments: Optional[Sequence[str]]) -> Iterator[None]:
    """Inside, the command line is ``arguments``, where there are some."""
    called = sys.argv
    if arguments is not None:
        sys.argv = [f"drive-jepa {name.replace('_', '-')}", *arguments]
    try:
        yield
    finally:
        sys.argv = called


def _set_switch(value: Optional[str]) -> None:
    if value is None:
        os.environ.pop(TRACEBACK_SWITCH, None)
    else:
        os.environ[TRACEBACK_SWITCH] = value
