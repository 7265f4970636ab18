"""Sessions begin, wait, end; locks go in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from navsim_agents.alpasim.fair_lock import FairLock
from navsim_agents.alpasim.faults import DriverFault
from navsim_agents.alpasim.session import Session
from navsim_agents.alpasim.sessions import Sessions

PATIENCE_S = 10.0


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def session(uuid: str) -> Session:
    return Session(uuid, {}, {}, set(), {})


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(DriverFault) as caught:
        call()
    return caught.value.code


def test_the_lock_goes_in_the_order_of_asking() -> None:
    lock, order, threads = FairLock(), [], []

    def take(number: int) -> None:
        with lock.held():
            order.append(number)

    with lock.held():
        for number in range(20):
            threads.append(threading.Thread(target=take, args=(number,)))
            threads[-1].start()
            until(lambda waiting=number + 1: lock.num_waiting == waiting)  # type: ignore[misc]
    for thread in threads:
        thread.join(PATIENCE_S)
    assert order == list(range(20))


def test_a_lock_is_free_after_an_error() -> None:
    lock = FairLock()
    with pytest.raises(KeyError), lock.held():
        raise KeyError
    with lock.held():
        pass


def test_begin_and_end() -> None:
    ended: list[str] = []
    sessions = Sessions(2, 9.0, ended.append)
    sessions.start(session("a"))
    assert code_of(lambda: sessions.start(session("a"))) == "ALREADY_EXISTS"
    sessions.start(session("b"))
    assert code_of(lambda: sessions.start(session("c"))) == "RESOURCE_EXHAUSTED"
    sessions.close("a")
    assert code_of(lambda: sessions.close("a")) == "NOT_FOUND"
    assert code_of(lambda: sessions.inside("a").__enter__()) == "NOT_FOUND"
    sessions.start(session("c"))
    assert ended == ["a"]


def test_a_vanished_client_makes_room() -> None:
    ended: list[str] = []
    clock = Clock()
    sessions = Sessions(2, 9.0, ended.append, clock)
    sessions.start(session("quiet"))
    sessions.start(session("busy"))
    clock.now_s = 8.0
    with sessions.inside("busy"):
        clock.now_s = 9.5
        sessions.start(session("new"))
        assert ended == ["quiet"]
        clock.now_s = 99.0
        assert sessions.drop_idle() == ["new"]  # a call is no idleness, however long it takes
    assert sessions.drop_idle() == []  # and idleness begins when it ends
    clock.now_s = 108.5
    assert sessions.drop_idle() == ["busy"]
    assert len(sessions) == 0


def test_a_call_that_waited_for_the_end_finds_no_session() -> None:
    sessions = Sessions(2, 9.0, lambda _: None)
    made = session("a")
    sessions.start(made)
    codes: list[str] = []

    def late() -> None:
        codes.append(code_of(lambda: sessions.inside("a").__enter__()))

    closer, caller = threading.Thread(target=sessions.close, args=("a",)), threading.Thread(target=late)
    with made.lock.held():
        closer.start()
        until(lambda: made.lock.num_waiting == 1)
        caller.start()
        until(lambda: made.lock.num_waiting == 2)
    for thread in (closer, caller):
        thread.join(PATIENCE_S)
    assert codes == ["NOT_FOUND"]
