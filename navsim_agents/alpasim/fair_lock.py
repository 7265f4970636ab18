"""A lock that is had in the order in which it is asked for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class FairLock:
    """As ``threading.Lock``, whose own order is nobody's promise."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._gates: deque[threading.Lock] = deque()
        self._is_held = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for one's turn; the next one's comes at the end."""
        gate = threading.Lock()
        gate.acquire()
        with self._guard:
            if self._is_held:
                self._gates.append(gate)
            else:
                self._is_held = True
                gate.release()
        gate.acquire()
        try:
            yield
        finally:
            with self._guard:
                if self._gates:
                    self._gates.popleft().release()
                else:
                    self._is_held = False

    @property
    def num_waiting(self) -> int:
        """How many wait at this moment."""
        return len(self._gates)
