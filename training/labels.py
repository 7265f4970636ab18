"""What metrics and sub-scores are called in tables and pictures."""

from navsim_agents.common.conventions import EPDMS_NAME, PDMS_NAME
from navsim_agents.evaluation.plan_scores import EPDMS_STAR

METRIC_LABELS = {
    "ade_m": "ADE, 4 s [m]",
    "fde_m": "FDE at 4 s [m]",
    "heading_error_rad": "heading error [rad]",
    PDMS_NAME: "PDMS",
    EPDMS_NAME: "EPDMS",
    EPDMS_STAR: "EPDMS*",
    "extended_comfort": "EC",
    "diversity": "diversity",
    "best_of_n": "best of N",
    "choice_gap": "best − chosen",
}
SUB_SCORE_LABELS = {
    "no_at_fault_collisions": "NC",
    "drivable_area_compliance": "DAC",
    "driving_direction_compliance": "DDC",
    "traffic_light_compliance": "TLC",
    "ego_progress": "EP",
    "time_to_collision_within_bound": "TTC",
    "lane_keeping": "LK",
    "history_comfort": "HC",
    "comfort": "C",
    "two_frame_extended_comfort": "EC",
}
