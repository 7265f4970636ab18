"""What Argoverse 2 calls what stands or moves on the road, in nuPlan's terms.

nuPlan's definitions: vehicles have four wheels or more, trailers among them; motorcycles, tricycles and scooters count
as bicycles; strollers and wheelchairs as pedestrians; animals, debris and permanent poles are generic objects.
"""

from __future__ import annotations

from navsim_agents.common.agent_types import AgentType
from navsim_agents.errors import InputError

EGO = "EGO_VEHICLE"
"""Some derived annotation files hold the ego, in a box that stands at its rear axle."""
_MEMBERS = {
    AgentType.VEHICLE: (
        "REGULAR_VEHICLE LARGE_VEHICLE BUS ARTICULATED_BUS SCHOOL_BUS BOX_TRUCK TRUCK TRUCK_CAB VEHICULAR_TRAILER "
        "RAILED_VEHICLE"
    ),
    AgentType.BICYCLE: "BICYCLE BICYCLIST MOTORCYCLE MOTORCYCLIST WHEELED_DEVICE WHEELED_RIDER",
    AgentType.PEDESTRIAN: "PEDESTRIAN OFFICIAL_SIGNALER STROLLER WHEELCHAIR",
    AgentType.TRAFFIC_CONE: "CONSTRUCTION_CONE",
    AgentType.BARRIER: "CONSTRUCTION_BARREL",
    AgentType.CZONE_SIGN: "MESSAGE_BOARD_TRAILER TRAFFIC_LIGHT_TRAILER MOBILE_PEDESTRIAN_CROSSING_SIGN",
    AgentType.GENERIC_OBJECT: "ANIMAL BOLLARD DOG SIGN STOP_SIGN",
}
CATEGORIES = {name: kind for kind, names in _MEMBERS.items() for name in names.split()}
"""Category → nuPlan's type; all 30 of the sensor dataset."""


def agent_type(category: str) -> AgentType:
    """nuPlan's type of a category.

    Raises:
        InputError: the sensor dataset has no such category.
    """
    if category not in CATEGORIES:
        raise InputError(
            f"category {category!r} is none of Argoverse 2's sensor dataset ({', '.join(sorted(CATEGORIES))}); "
            "add it to navsim_agents/argoverse/categories.py"
        )
    return CATEGORIES[category]
