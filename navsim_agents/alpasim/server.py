"""A gRPC server around one driver."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from carla_driver_interface.protocol import add_EgodriverServiceServicer_to_server, channel_options
from carla_driver_interface.server import bind_address

from navsim_agents.alpasim.driver import Driver
from navsim_agents.alpasim.service import EgodriverService
from navsim_agents.errors import InputError

logger = logging.getLogger(__name__)
CALLS_OF_A_SESSION = 2
"""Threads for each session: one that waits for its plan, one that takes what comes meanwhile."""
GRACE_S = 1.0  # for calls in progress when the server stops


@dataclass(frozen=True)
class Limits:
    """How much a server takes on.

    Attributes:
        max_sessions: at once.
        idle_s: a session without a call for so long is dropped: its client has vanished.
        cameras: NAVSIM's name → the client's, where they differ by more than capital letters.
    """

    max_sessions: int = 8
    idle_s: float = 300.0
    cameras: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def serving(
    driver: Driver, limits: Limits, host: str = "127.0.0.1", port: int = 0
) -> Iterator[tuple[int, EgodriverService]]:
    """Inside, ``driver`` answers at ``port``, which is given back: the system's choice where it is 0.

    Raises:
        InputError: the port is taken, or the host is not of this machine.
    """
    service = EgodriverService(driver, limits.cameras, limits.max_sessions, limits.idle_s)
    pool = futures.ThreadPoolExecutor(max_workers=CALLS_OF_A_SESSION * (limits.max_sessions + 1))
    # Without the last option two servers may share a port, and a session's calls fall to either.
    server = grpc.server(pool, options=[*channel_options(), ("grpc.so_reuseport", 0)])
    add_EgodriverServiceServicer_to_server(service, server)
    address = bind_address(host, port)
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError as error:
        raise InputError(f"{address} cannot be served at ({error}); name another host or port") from error
    server.start()
    stop = threading.Event()
    sweeper = threading.Thread(target=_sweep, args=(service, limits.idle_s, stop), daemon=True)
    sweeper.start()
    try:
        yield bound, service
    finally:
        stop.set()
        server.stop(GRACE_S).wait()
        sweeper.join()
        pool.shutdown()


def _sweep(service: EgodriverService, idle_s: float, stop: threading.Event) -> None:
    """Drop the sessions of vanished clients until ``stop``."""
    while not stop.wait(idle_s / 4):
        for uuid in service.sessions.drop_idle():
            logger.warning("session %s is dropped: no call for %g s", uuid, idle_s)
