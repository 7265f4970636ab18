"""Two pictures of a scene: the camera with the plans on the road, and the scene from above."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from navsim_agents.common.conventions import EGO_HEIGHT_M, EGO_LENGTH_M, EGO_REAR_AXLE_TO_CENTER_M, EGO_WIDTH_M
from navsim_agents.poses import FloatArray
from navsim_agents.scoring.axes import POSITION
from navsim_agents.world.boxes import box_outline as ground_outline
from training.report.fan import draw_fan_from_above, draw_fan_on_camera
from training.report.style import agent_style, new_figure
from training.report.views import Road, SceneView, project_ground, ribbon, smooth_path, upwards

CAMERA_PX = (1120, 630)
BEV_PX = (560, 630)
BEV_AHEAD_M, BEV_BEHIND_M = 52.0, 11.0
BEV_SIDE_M = (BEV_AHEAD_M + BEV_BEHIND_M) * BEV_PX[0] / BEV_PX[1] / 2.0
SMALL_BOX_M = 1.6  # people and cones are drawn without outline, which would hide them
SHORTEST_PATH_M = 1.0  # a shorter plan is a standing car: its ribbon would be a blot

FRONT_FIRST = [0, 3, 2, 1]  # both front corners, then the rear
EGO_BOX = np.array([EGO_REAR_AXLE_TO_CENTER_M, 0.0, 0.0, EGO_LENGTH_M, EGO_WIDTH_M, EGO_HEIGHT_M, 0.0])

GROUND, SURFACE, INTERSECTION, WALKWAY = "#eef0ea", "#d5d9dd", "#cbd0d5", "#e3e0d6"
CARPARK, BUILDING, CROSSWALK, CENTERLINE = "#dcdfe6", "#c9bfb2", "#ffffff", "#aab2ba"
STOP_LINE, RED_LIGHT = "#ffffff", "#d7263d"
BOX_COLORS = {
    "vehicle": "#4a6fa5",
    "bicycle": "#c28f2c",
    "pedestrian": "#b5508c",
    "traffic_cone": "#d9822b",
    "barrier": "#8a8f98",
}
OTHER_BOX = "#8a8f98"


def camera_picture(view: SceneView) -> Figure:
    """The front camera with every plan as a ribbon on the ground and a dot at each pose."""
    figure = new_figure(*CAMERA_PX)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.imshow(view.image, extent=(-0.5, view.camera.width - 0.5, view.camera.height - 0.5, -0.5), aspect="auto")
    draw_fan_on_camera(axes, view)
    for name, poses in view.plans.items():
        _draw_on_road(axes, view, name, poses)
    axes.set_xlim(-0.5, view.camera.width - 0.5)
    axes.set_ylim(view.camera.height - 0.5, -0.5)
    axes.axis("off")
    return figure


def bev_picture(view: SceneView) -> Figure:
    """The scene from above, the ego driving upwards."""
    figure = new_figure(*BEV_PX)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), facecolor=GROUND)
    if view.road:
        _draw_road(axes, view.road)
    _draw_boxes(axes, view)
    draw_fan_from_above(axes, view)
    for name, poses in view.plans.items():
        _draw_plan(axes, name, poses)
    _draw_scale(axes)
    axes.set_xlim(-BEV_SIDE_M, BEV_SIDE_M)
    axes.set_ylim(-BEV_BEHIND_M, BEV_AHEAD_M)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    return figure


def box_outline(box: Float64[np.ndarray, "7"]) -> Float64[np.ndarray, "4 2"]:
    """Corners of a box (x, y, z, length, width, height, heading), clockwise from front left."""
    x, y, _, length_m, width_m, _, heading = box
    return ground_outline(np.array([x, y]), heading, length_m, width_m)[FRONT_FIRST]


def _draw_on_road(axes: Axes, view: SceneView, name: str, poses: FloatArray) -> None:
    if not np.isfinite(poses).all() or np.linalg.norm(poses[-1, POSITION]) < SHORTEST_PATH_M:
        return
    style = agent_style(name)
    edges = [project_ground(view, edge) for edge in ribbon(smooth_path(poses), style.band_m)]
    shown = np.isfinite(edges[0]).all(1) & np.isfinite(edges[1]).all(1)
    if shown.sum() > 1:
        outline = np.concatenate((edges[0][shown], edges[1][shown][::-1]))
        axes.add_patch(Polygon(outline, facecolor=style.color, edgecolor="none", alpha=0.62))
        axes.add_patch(Polygon(outline, facecolor="none", edgecolor=style.color, linewidth=1.0))
    right, down = project_ground(view, poses[:, POSITION]).T
    axes.scatter(right, down, s=16, color=style.color, edgecolors="white", linewidths=0.8, zorder=5)


def _draw_road(axes: Axes, road: Road) -> None:
    layers = (
        (road.walkways, WALKWAY),
        (road.carparks, CARPARK),
        (road.surfaces, SURFACE),
        (road.intersections, INTERSECTION),
        (road.crosswalks, CROSSWALK),
        (road.stop_lines, STOP_LINE),
        (road.buildings, BUILDING),
    )
    for order, (polygons, color) in enumerate(layers):
        paper = [upwards(polygon) for polygon in polygons]
        axes.add_collection(PolyCollection(paper, facecolors=color, edgecolors="none", zorder=1 + 0.1 * order))
    lines = [upwards(line) for line in road.centerlines]
    axes.add_collection(LineCollection(lines, colors=CENTERLINE, linewidths=0.7, linestyles=(0, (5, 5)), zorder=2))
    red = [upwards(line) for line in road.red_connectors]
    axes.add_collection(LineCollection(red, colors=RED_LIGHT, linewidths=2.2, alpha=0.35, zorder=2))


def _draw_boxes(axes: Axes, view: SceneView) -> None:
    for box, name in zip(view.boxes, view.box_names):
        color = BOX_COLORS.get(name, OTHER_BOX)
        _draw_box(axes, box_outline(box), color, 3)
    _draw_box(axes, box_outline(EGO_BOX), "#20262d", 4)


def _draw_box(axes: Axes, outline: FloatArray, color: str, order: int) -> None:
    is_small = np.ptp(outline, axis=0).max() < SMALL_BOX_M
    edge = color if is_small else "white"
    axes.add_patch(Polygon(upwards(outline), facecolor=color, edgecolor=edge, linewidth=0.8, zorder=order))
    if is_small:
        return
    nose = np.stack((outline[:2].mean(0), outline.mean(0)))
    axes.plot(*upwards(nose).T, color="white", linewidth=0.8, zorder=order)


def _draw_plan(axes: Axes, name: str, poses: FloatArray) -> None:
    if not np.isfinite(poses).all():
        return
    style = agent_style(name)
    path = upwards(smooth_path(poses))
    axes.plot(*path.T, color="white", linewidth=style.line_pt + 1.6, zorder=5, solid_capstyle="round")
    axes.plot(*path.T, color=style.color, linewidth=style.line_pt, zorder=6, linestyle=style.linestyle)
    right, up = upwards(poses[:, POSITION]).T
    axes.scatter(right, up, s=13, color=style.color, edgecolors="white", linewidths=0.6, zorder=7)


def _draw_scale(axes: Axes) -> None:
    left, bottom = -BEV_SIDE_M + 2.0, -BEV_BEHIND_M + 2.0
    axes.plot([left, left + 10.0], [bottom, bottom], color="#20262d", linewidth=1.6, zorder=8)
    axes.text(left + 5.0, bottom + 0.7, "10 m", ha="center", va="bottom", fontsize=7.5, color="#20262d", zorder=8)
