"""Modules that need carla-driver-interface: where it is missing their tests are skipped, for no other reason."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest


def needing_package(module: str) -> Any:
    """``module``; an error in it, one of our own imports for instance, fails the test."""
    for name in ("carla_driver_interface", "grpc"):
        pytest.importorskip(name, reason="carla-driver-interface is not installed; it needs Python 3.10 or newer")
    return import_module(module)
