"""What a client is told when its call cannot be answered."""

from __future__ import annotations

from navsim_agents.errors import NavsimDriveJepaError

NOT_FOUND, ALREADY_EXISTS = "NOT_FOUND", "ALREADY_EXISTS"
INVALID_ARGUMENT, FAILED_PRECONDITION = "INVALID_ARGUMENT", "FAILED_PRECONDITION"
RESOURCE_EXHAUSTED, INTERNAL = "RESOURCE_EXHAUSTED", "INTERNAL"


class DriverFault(NavsimDriveJepaError):
    """A call is refused; ``code`` is the name of gRPC's status code, the message goes to the client."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
