"""The tracker and the bicycle as plain loops over one trajectory: slow, obvious, apart from the fast code."""

from __future__ import annotations

import numpy as np

DT = 0.1
HORIZON = 10


def wrap(angle):
    return np.arctan2(np.sin(angle), np.cos(angle))


def interpolate(scene, poses, interval_s):
    """[41, 3] from [P, 3], by numpy's own interpolation."""
    knots = np.arange(len(poses) + 1) * interval_s * 1e6
    samples = np.arange(41) * DT * 1e6
    if scene.model_knots_us is not None and len(poses) == 8:
        knots, samples = scene.model_knots_us.numpy(), scene.sample_times_us.numpy()
    full = np.concatenate((scene.ego_state[None, :3].numpy(), poses))
    columns = (full[:, 0], full[:, 1], np.unwrap(full[:, 2]))
    return np.stack([np.interp(samples, knots, column) for column in columns], axis=1)


def velocity_profile(reference):
    """Least squares on displacements with the devkit's (mistaken) penalty matrix."""
    steps = len(reference) - 1
    rows, target = np.zeros((2 * steps, steps)), np.zeros(2 * steps)
    for i in range(steps):
        cos, sin = np.cos(reference[i, 2]), np.sin(reference[i, 2])
        target[2 * i : 2 * i + 2] = reference[i + 1, :2] - reference[i, :2]
        for j in range(i + 1):
            rows[2 * i : 2 * i + 2, j] = np.array([cos, sin]) * (DT if j == 0 else DT * DT)
    band = np.zeros((steps - 2, steps - 1))
    band[:, 1:] = np.eye(steps - 2)
    band[:, :-1] = -np.eye(steps - 2)  # overwrites what the line above wrote, but for the last row
    penalty = np.concatenate((np.zeros((steps - 2, 1)), band), axis=1)
    solution = np.linalg.pinv(rows.T @ rows + 1e-4 * penalty.T @ penalty) @ rows.T @ target
    return np.concatenate(([solution[0]], solution[0] + DT * np.cumsum(solution[1:])))


def curvature_profile(reference, velocities):
    """Least squares on heading changes."""
    steps = len(velocities)
    turns = wrap(np.diff(reference[:, 2]))
    rows = np.zeros((steps, steps))
    for i in range(steps):
        for j in range(i + 1):
            rows[i, j] = velocities[i] * (DT if j == 0 else DT * DT)
    penalty = 1e-2 * np.eye(steps)
    penalty[0, 0] = 1e-10
    solution = np.linalg.pinv(rows.T @ rows + penalty) @ rows.T @ turns
    return np.concatenate(([solution[0]], solution[0] + DT * np.cumsum(solution[1:])))


def commands(state, pose, target_speed, curvatures, wheel_base):
    """Acceleration and steering rate."""
    speed = state[3]
    if target_speed <= 0.2 and speed <= 0.2:
        return -0.5 * (speed - target_speed), 0.0
    acceleration = -10.0 * (speed - target_speed) / (10.0 + 1.0)
    dx, dy = state[0] - pose[0], state[1] - pose[1]
    error = np.array([-dx * np.sin(pose[2]) + dy * np.cos(pose[2]), wrap(state[2] - pose[2]), state[7]])
    gain = np.zeros(3)
    for k in range(HORIZON):
        v = speed + k * acceleration * DT
        step = np.array([[1.0, v * DT, 0.0], [0.0, 1.0, v * DT / wheel_base], [0.0, 0.0, 1.0]])
        error = step @ error + np.array([0.0, -v * curvatures[k] * DT, 0.0])
        gain = step @ gain + np.array([0.0, 0.0, DT])
    error[1:] = wrap(error[1:])
    weights = np.array([1.0, 10.0, 0.0])
    return acceleration, -(gain * weights) @ error / ((gain * weights) @ gain + 1.0)


def simulate(scene, reference):
    """[41, 11] for one reference [41, 3]."""
    wheel_base = float(scene.vehicle[3])
    velocities = velocity_profile(reference)
    curvatures = curvature_profile(reference, velocities)
    states = [scene.ego_state.numpy().copy()]
    for i in range(len(reference) - 1):
        old = states[-1]
        ahead = [min(i + k, len(velocities) - 1) for k in range(HORIZON + 1)]
        command = commands(old, reference[i], velocities[ahead[-1]], curvatures[ahead[:-1]], wheel_base)
        new = old.copy()
        acceleration = old[5] + DT / (DT + 0.2) * (command[0] - old[5])
        rate = DT / (DT + 0.05) * command[1]
        new[0] = old[0] + old[3] * np.cos(old[2]) * DT
        new[1] = old[1] + old[3] * np.sin(old[2]) * DT
        new[2] = wrap(old[2] + old[3] * np.tan(old[7]) / wheel_base * DT)
        new[3], new[4] = old[3] + acceleration * DT, 0.0
        new[5], new[6] = acceleration, 0.0
        new[7], new[8] = np.clip(old[7] + rate * DT, -np.pi / 3, np.pi / 3), rate
        new[9] = new[3] * np.tan(new[7]) / wheel_base
        new[10] = (new[9] - old[9]) / DT
        states.append(new)
    return np.stack(states)
