"""The gRPC service ``EgodriverService``: messages in, messages out; all else is :mod:`.session` and :mod:`.driver`.

Messages, revisions of the contract and sizes are those of the package ``carla-driver-interface``.
"""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from carla_driver_interface.contract import (
    CONTRACT_REVISION,
    ContractError,
    cameras_to_revision,
    client_revision,
    contract_metadata,
)
from carla_driver_interface.protocol import (
    ALPASIM_API_VERSION,
    ALPASIM_REV,
    DriveResponse,
    EgodriverServiceServicer,
    Empty,
    SessionRequestStatus,
    VersionId,
)
from grpc import StatusCode

from navsim_agents.alpasim.driver import Driver
from navsim_agents.alpasim.faults import FAILED_PRECONDITION, INVALID_ARGUMENT, DriverFault
from navsim_agents.alpasim.messages import camera_of, plan_message, pose_of, route_of, sample_of
from navsim_agents.alpasim.session import Session
from navsim_agents.alpasim.sessions import Sessions

logger = logging.getLogger(__name__)
TARGET_S = 0.1
"""AlpaSim's challenge: what a drive may take."""


class EgodriverService(EgodriverServiceServicer):  # type: ignore[misc]
    """Answers the eight calls; docs/alpasim.md says how each fault of a client is answered."""

    def __init__(
        self, driver: Driver, cameras: Mapping[str, str], max_sessions: int = 8, idle_s: float = 300.0
    ) -> None:
        """Begin without a session.

        Args:
            driver: plans.
            cameras: NAVSIM's name → the client's, where they differ by more than capital letters.
            max_sessions: at once.
            idle_s: a session without a call for so long is dropped.
        """
        self._driver = driver
        self._names = dict(cameras)
        self.sessions = Sessions(max_sessions, idle_s, driver.forget)

    def get_version(self, request: Any, context: Any) -> Any:
        """Who answers, and in which revision of the contract."""
        context.send_initial_metadata(contract_metadata())
        version = VersionId(version_id=self._driver.name, git_hash=ALPASIM_REV)
        version.grpc_api_version.CopyFrom(ALPASIM_API_VERSION)
        return version

    def start_session(self, request: Any, context: Any) -> Any:
        """Open a session with its cameras."""
        with told(context):
            self.sessions.start(self._new_session(request, context))
        logger.info("session %s begins", request.session_uuid)
        return SessionRequestStatus()

    def _new_session(self, request: Any, context: Any) -> Session:
        try:
            spoken = client_revision(context, CONTRACT_REVISION)
            declared = cameras_to_revision(request.rollout_spec.vehicle.available_cameras, spoken, CONTRACT_REVISION)
        except ContractError as error:
            raise DriverFault(FAILED_PRECONDITION, str(error)) from error
        names = {camera.logical_id: camera for camera in declared}
        theirs = self._driver.names_of(list(names), self._names)
        cameras = {name: camera_of(names[their]) for name, their in theirs.items()}
        return Session(request.session_uuid, cameras, self._driver.sensors, set(names), theirs)

    def close_session(self, request: Any, context: Any) -> Any:
        """End a session."""
        with told(context):
            self.sessions.close(request.session_uuid)
        logger.info("session %s ends", request.session_uuid)
        return Empty()

    def submit_image_observation(self, request: Any, context: Any) -> Any:
        """Keep a picture at the end of its exposure."""
        image = request.camera_image
        with told(context), self.sessions.inside(request.session_uuid) as session:
            session.add_picture(image.logical_id, int(image.frame_end_us), image.image_bytes)
        return Empty()

    def submit_egomotion_observation(self, request: Any, context: Any) -> Any:
        """Keep poses, with what is said of the motion."""
        poses, states = request.trajectory.poses, list(request.dynamic_states)
        with told(context), self.sessions.inside(request.session_uuid) as session:
            if states and len(states) != len(poses):
                raise DriverFault(
                    INVALID_ARGUMENT,
                    f"{len(states)} dynamic states for {len(poses)} poses, but there must be one for each, or none",
                )
            samples = [sample_of(pose_of(at.pose), state) for at, state in zip(poses, states or [None] * len(poses))]
            for at, sample in zip(poses, samples):  # all of them, or where one is wrong none
                session.ego.add(int(at.timestamp_us), sample)
        return Empty()

    def submit_route(self, request: Any, context: Any) -> Any:
        """Keep a route."""
        with told(context), self.sessions.inside(request.session_uuid) as session:
            session.add_route(int(request.route.timestamp_us), route_of(request.route))
        return Empty()

    def submit_recording_ground_truth(self, request: Any, context: Any) -> Any:
        """What the recorded car did is nothing to plan from: it is not kept."""
        with told(context), self.sessions.inside(request.session_uuid):
            return Empty()

    def drive(self, request: Any, context: Any) -> Any:
        """A plan in the local frame from ``time_now_us`` on."""
        start = time.perf_counter()
        with told(context), self.sessions.inside(request.session_uuid) as session:
            plan = self._driver.plan(session, int(request.time_now_us), int(request.time_query_us))
        seconds = time.perf_counter() - start
        if seconds > TARGET_S:
            logger.info("session %s: a plan took %.3f s; AlpaSim wants %.1f s", request.session_uuid, seconds, TARGET_S)
        return DriveResponse(
            trajectory=plan_message(plan),
            debug_info=DriveResponse.DebugInfo(
                unstructured_debug_info=pickle.dumps(  # of builtins alone, as AlpaSim's evaluation reads it
                    {"policy_name": self._driver.name, "inference_seconds": seconds, "scalars": plan.ages_s}
                )
            ),
        )


@contextmanager
def told(context: Any) -> Iterator[None]:
    """Inside, a fault ends the call with its code and its words."""
    try:
        yield
    except DriverFault as fault:
        context.abort(StatusCode[fault.code], str(fault))
