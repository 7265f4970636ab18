"""The sessions that are open: each alone with its client, one call at a time, dropped when its client has vanished."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable

from navsim_agents.alpasim.faults import ALREADY_EXISTS, NOT_FOUND, RESOURCE_EXHAUSTED, DriverFault
from navsim_agents.alpasim.session import Session


@dataclass
class Entry:
    """A session, who is inside, and when the last one left."""

    session: Session
    last_call_s: float
    num_inside: int = 0


class Sessions:
    """By their clients' names for them."""

    def __init__(
        self,
        most: int,
        idle_s: float,
        on_end: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Allow ``most`` at once; one without a call for ``idle_s`` seconds ends. ``on_end`` hears of each end."""
        self._most, self._idle_s = most, idle_s
        self._on_end, self._clock = on_end, clock
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def start(self, session: Session) -> None:
        """Open a session.

        Raises:
            DriverFault: its name is taken, or there are too many.
        """
        self.drop_idle()
        with self._lock:
            if session.uuid in self._entries:
                raise DriverFault(ALREADY_EXISTS, f"session {session.uuid} is open already; give each its own name")
            if len(self._entries) >= self._most:
                raise DriverFault(
                    RESOURCE_EXHAUSTED,
                    f"{self._most} sessions are open, and max_sessions={self._most}; close one, wait until one without "
                    f"calls is dropped after {self._idle_s:g} s, or serve with a larger max_sessions",
                )
            self._entries[session.uuid] = Entry(session, self._clock())

    @contextmanager
    def inside(self, uuid: str) -> Iterator[Session]:
        """The session for one call; calls of one session wait for each other in the order in which they came.

        Raises:
            DriverFault: there is none of this name (any more).
        """
        with self._lock:
            entry = self._entries.get(uuid)
            if entry is None:
                raise self._unknown(uuid)
            entry.num_inside += 1
        try:
            with entry.session.lock.held():
                if entry.session.is_closed:
                    raise self._unknown(uuid)
                yield entry.session
        finally:
            with self._lock:
                entry.num_inside -= 1
                entry.last_call_s = self._clock()

    def close(self, uuid: str) -> None:
        """End a session after the calls that came before.

        Raises:
            DriverFault: there is none of this name.
        """
        with self.inside(uuid) as session:
            self._end(session)

    def drop_idle(self) -> list[str]:
        """End the sessions whose clients have vanished; their names."""
        with self._lock:
            latest = self._clock() - self._idle_s
            idle = [entry for entry in self._entries.values() if not entry.num_inside and entry.last_call_s < latest]
            for entry in idle:
                del self._entries[entry.session.uuid]
                entry.session.is_closed = True
        for entry in idle:
            self._on_end(entry.session.uuid)
        return [entry.session.uuid for entry in idle]

    def _end(self, session: Session) -> None:
        session.is_closed = True
        with self._lock:
            self._entries.pop(session.uuid, None)
        self._on_end(session.uuid)

    def _unknown(self, uuid: str) -> DriverFault:
        return DriverFault(
            NOT_FOUND,
            f"there is no session {uuid!r}; start it, and note that one without calls ends after {self._idle_s:g} s",
        )
