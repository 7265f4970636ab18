"""nuPlan's objects in a pickle, written where there is no nuPlan.

A pickle holds an object as a call of its class by name. :class:`Call` is such a call to be: written, it makes the
reader build the object; here nothing is imported, and nothing of it is ever read.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from navsim_agents.common.poses import HEADING, X, Y
from navsim_agents.world.types import HEIGHT, LENGTH, WIDTH, AgentType, Track
from navsim_agents.world.writers.pickles import PROTOCOL, portable_array

_ACTORS = "nuplan.common.actor_state"
_STATES = f"{_ACTORS}.state_representation"
_MAPS = "nuplan.common.maps.maps_datatypes"
_OBSERVATIONS = "nuplan.planning.simulation.observation.observation_type"
# Values of TrackedObjectType and TrafficLightStatusType.
TYPE_VALUES = {
    AgentType.VEHICLE: 0,
    AgentType.PEDESTRIAN: 1,
    AgentType.BICYCLE: 2,
    AgentType.TRAFFIC_CONE: 3,
    AgentType.BARRIER: 4,
    AgentType.CZONE_SIGN: 5,
    AgentType.GENERIC_OBJECT: 6,
}
MOVING = (AgentType.VEHICLE, AgentType.PEDESTRIAN, AgentType.BICYCLE)
"""nuPlan's Agents, which have a velocity; the others are its StaticObjects."""
GREEN, RED = 0, 2


@dataclass(frozen=True, eq=False)
class Call:
    """An object of the class ``name`` of ``module``, made of positional arguments."""

    module: str
    name: str
    arguments: tuple[Any, ...]


class _CallPickler(pickle._Pickler):
    """Python's own pickler in Python, the only one that can write names without importing them."""

    save: Callable[[Any], None]
    write: Callable[[bytes], Any]
    memoize: Callable[[Any], None]
    dispatch: ClassVar[dict[type, Callable[..., None]]] = dict(pickle._Pickler.dispatch)

    def reducer_override(self, obj: Any) -> Any:
        """Arrays as every NumPy reads them."""
        return portable_array(obj)

    def save_call(self, call: Call) -> None:
        """The class by its name, its arguments, and that it shall be called."""
        self.save(call.module)
        self.save(call.name)
        self.write(pickle.STACK_GLOBAL)
        self.save(call.arguments)
        self.write(pickle.REDUCE)
        self.memoize(call)

    dispatch[Call] = save_call


def dump_calls(content: Any) -> bytes:
    """Pickle ``content``: what :func:`~navsim_agents.world.writers.pickles.dump_portable` takes, and calls."""
    stream = io.BytesIO()
    _CallPickler(stream, protocol=PROTOCOL).dump(content)
    return stream.getvalue()


def detections_tracks(tracks: Sequence[Track], step: int, time_us: int, tokens: Sequence[str]) -> Call:
    """DetectionsTracks of the boxes of ``tracks`` at ``step``, on the map; ``tokens`` name them at that time."""
    objects = [_tracked_object(track, step, time_us, token) for track, token in zip(tracks, tokens)]
    return Call(_OBSERVATIONS, "DetectionsTracks", (Call(f"{_ACTORS}.tracked_objects", "TrackedObjects", (objects,)),))


def _tracked_object(track: Track, step: int, time_us: int, token: str) -> Call:
    x, y, heading = (float(track.poses[step, column]) for column in (X, Y, HEADING))
    size = tuple(float(track.size[column]) for column in (LENGTH, WIDTH, HEIGHT))
    box = Call(f"{_ACTORS}.oriented_box", "OrientedBox", (Call(_STATES, "StateSE2", (x, y, heading)), *size))
    metadata = Call(f"{_ACTORS}.scene_object", "SceneObjectMetadata", (time_us, token, None, track.track_token))
    kind = Call(f"{_ACTORS}.tracked_objects_types", "TrackedObjectType", (TYPE_VALUES[track.agent_type],))
    if track.agent_type not in MOVING:
        return Call(f"{_ACTORS}.static_object", "StaticObject", (kind, box, metadata))
    velocity = Call(_STATES, "StateVector2D", tuple(float(value) for value in track.velocities[step]))
    return Call(f"{_ACTORS}.agent", "Agent", (kind, box, velocity, metadata))


def traffic_light_statuses(lights: Sequence[tuple[int, bool]], time_us: int) -> Call:
    """TrafficLightStatuses of connectors and whether their signal is red."""
    data = []
    for connector, is_red in lights:
        status = Call(_MAPS, "TrafficLightStatusType", (RED if is_red else GREEN,))
        data.append(Call(_MAPS, "TrafficLightStatusData", (status, connector, time_us)))
    return Call(_MAPS, "TrafficLightStatuses", (data,))
