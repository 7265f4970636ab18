"""The benchmark of the server runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.alpasim.package import needing_package

serving: Any = needing_package("benchmarks.serving")
rollouts: Any = needing_package("tests.alpasim.rollouts")


@contextmanager
def served_here(options: Any) -> Iterator[tuple[str, int]]:
    """In this process, which spares the test the start of another."""
    with rollouts.serving(rollouts.Driver(rollouts.Told(), "told"), rollouts.Limits()) as (port, _):
        yield f"127.0.0.1:{port}", os.getpid()


def test_it_measures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(serving, "served", served_here)
    serving.main(["--sessions", "1", "2", "--drives", "2"])
    printed = capsys.readouterr().out
    assert printed.count("at once: median") == 2
    assert "peak memory so far" in printed
