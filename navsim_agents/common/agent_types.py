"""NAVSIM's names of what stands or moves on the road."""

from __future__ import annotations

from enum import Enum


class AgentType(str, Enum):
    """NAVSIM's names of what stands or moves on the road."""

    VEHICLE = "vehicle"
    BICYCLE = "bicycle"
    PEDESTRIAN = "pedestrian"
    TRAFFIC_CONE = "traffic_cone"
    BARRIER = "barrier"
    CZONE_SIGN = "czone_sign"
    GENERIC_OBJECT = "generic_object"


AGENT_NAMES = (AgentType.VEHICLE.value, AgentType.PEDESTRIAN.value, AgentType.BICYCLE.value)
"""What counts as an agent in collisions."""
