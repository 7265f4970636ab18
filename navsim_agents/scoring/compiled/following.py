"""How the car follows a plan: ``scoring/simulation`` for one trajectory at a time."""

from __future__ import annotations

from math import atan2, cos, factorial, pi, sin
from typing import NamedTuple

import numpy as np

from navsim_agents.common.conventions import STEP_S
from navsim_agents.scoring.axes import State, Vehicle
from navsim_agents.scoring.compiled.arrays import HEADING, Floats, Ints, X, Y
from navsim_agents.scoring.compiled.jit import part, pasted
from navsim_agents.scoring.config import TrackerConfig
from navsim_agents.scoring.simulation.reference import velocity_map
from navsim_agents.scoring.simulation.tracker import horizon_polynomials, moment_kernels

FULL_TURN = 2.0 * pi
PER_QUARTER = 2.0 / pi
QUARTER_HIGH = round(pi / 2.0 * 2.0**30) / 2.0**30  # of few digits: its products with whole numbers are exact
QUARTER_MIDDLE, QUARTER_LOW = pi / 2.0 - QUARTER_HIGH, 6.123233995736766e-17  # the latter is what float64 leaves out
ODD_TERMS = tuple((-1.0) ** (n + 1) / factorial(2 * n + 3) for n in range(8))  # of the sine, behind its first
EVEN_TERMS = tuple((-1.0) ** n / factorial(2 * n + 2) for n in range(8))  # of 1 less the cosine
SPEED, ACCELERATION = int(State.VELOCITY_X), int(State.ACCELERATION_X)
STEERING, STEERING_RATE = int(State.STEERING_ANGLE), int(State.STEERING_RATE)
WHEEL_BASE = int(Vehicle.WHEEL_BASE)
YAW_RATE, YAW_ACCELERATION = int(State.ANGULAR_VELOCITY), int(State.ANGULAR_ACCELERATION)


class Tracker(NamedTuple):
    """Figures of the tracker and the vehicle model."""

    velocity_map: Floats  # [M, M], of displacement j to velocity i at [j, i]
    curvature_smoothness: float
    initial_curvature_penalty: float
    moment_kernels: Floats  # [4, horizon]
    polynomials: Floats  # [10], coefficients of Polynomials one after the other
    horizon: int
    speed_gain: float  # 1/s
    stopping_gain: float  # 1/s
    stopping_speed: float  # m/s
    lateral_weight: float
    heading_weight: float
    rate_weight: float
    max_steering: float  # rad
    acceleration_share: float  # of a command that a step of the lag lets through
    steering_share: float

    @staticmethod
    def of(config: TrackerConfig, num_steps: int) -> Tracker:
        """For plans that are followed for ``num_steps`` steps."""
        horizon_s = config.horizon_steps * STEP_S
        weight = horizon_s * config.velocity_weight
        return Tracker(
            velocity_map=np.ascontiguousarray(velocity_map(num_steps, STEP_S, config.jerk_penalty).numpy().T),
            curvature_smoothness=config.curvature_rate_penalty / STEP_S**2,
            initial_curvature_penalty=config.initial_curvature_penalty,
            moment_kernels=moment_kernels(config.horizon_steps),
            polynomials=np.concatenate(horizon_polynomials(config.horizon_steps)),
            horizon=config.horizon_steps,
            speed_gain=weight / (horizon_s * weight + config.acceleration_weight),
            stopping_gain=config.stopping_gain_per_s,
            stopping_speed=config.stopping_speed_mps,
            lateral_weight=config.lateral_error_weight,
            heading_weight=config.heading_error_weight,
            rate_weight=config.steering_rate_weight,
            max_steering=config.max_steering_rad,
            acceleration_share=STEP_S / (STEP_S + config.acceleration_lag_s),
            steering_share=STEP_S / (STEP_S + config.steering_lag_s),
        )


class Bench(NamedTuple):
    """Room for n trajectories of S samples side by side, a lane each: one instruction serves several lanes."""

    knots: Floats  # [P1, 3], of one trajectory
    reference: Floats  # [3, S, n]: x, y, heading
    cos: Floats  # [S, n]
    sin: Floats  # [S, n]
    velocity: Floats  # [M, n]
    curvature: Floats  # [M + horizon, n]
    gain: Floats  # [M, n]
    moments: Floats  # [4, M, n]
    command: Floats  # [2, n]: acceleration, steering rate
    steering_tan: Floats  # [n]
    states: Floats  # [S, 11, n]
    state_cos: Floats  # [n], of the states' headings
    state_sin: Floats  # [n]

    @staticmethod
    def of(num_knots: int, num_samples: int, horizon: int, lanes: int) -> Bench:
        """All of it, unset, but for states that stay 0."""
        steps = num_samples - 1
        return Bench(
            np.empty((num_knots, 3)),
            np.empty((3, num_samples, lanes)),
            np.empty((num_samples, lanes)),
            np.empty((num_samples, lanes)),
            np.empty((steps, lanes)),
            np.empty((steps + horizon, lanes)),
            np.empty((steps, lanes)),
            np.empty((4, steps, lanes)),
            np.empty((2, lanes)),
            np.empty(lanes),
            np.zeros((num_samples, len(State), lanes)),
            np.empty(lanes),
            np.empty(lanes),
        )


@pasted
def wrapped(angle: float) -> float:
    """The same angle in [-pi, pi)."""
    return angle - FULL_TURN * np.floor((angle + pi) / FULL_TURN)


@pasted
def cosine_and_sine(angle: float) -> tuple[float, float]:
    """Both of an angle of some turns, without a call: Taylor's series within an eighth of a turn, exact to rounding."""
    quarter = np.rint(angle * PER_QUARTER)
    rest = angle - quarter * QUARTER_HIGH - quarter * QUARTER_MIDDLE - quarter * QUARTER_LOW
    square = rest * rest
    odd, even = 0.0, 0.0
    for term in range(len(ODD_TERMS) - 1, -1, -1):
        odd = odd * square + ODD_TERMS[term]
        even = even * square + EVEN_TERMS[term]
    sine = rest + rest * square * odd
    cosine = 1.0 - square * even
    quarter -= 4.0 * np.floor(quarter * 0.25)
    swaps = (quarter == 1.0) | (quarter == 3.0)
    first = sine if swaps else cosine
    second = cosine if swaps else sine
    first = -first if (quarter == 1.0) | (quarter == 2.0) else first
    second = -second if quarter >= 2.0 else second
    return first, second


@part
def sample_plan(
    plan: Floats, start: Floats, origin: Floats, knots_us: Ints, samples_us: Ints, bench: Bench, lane: int
) -> None:
    """The reference of a plan [P, 3], by way of the map frame as ``reference_poses`` has it."""
    knots, out = bench.knots, bench.reference
    x0, y0, heading0 = origin[X], origin[Y], origin[HEADING]
    cos0, sin0 = cos(heading0), sin(heading0)
    turns, before = 0.0, 0.0
    for row in range(len(knots)):
        x, y, heading = start[X], start[Y], start[HEADING]
        if row > 0:
            x, y, heading = plan[row - 1, X], plan[row - 1, Y], plan[row - 1, HEADING]
        cosine, sine = cosine_and_sine(heading)
        heading = atan2(sin0 * cosine + cos0 * sine, cos0 * cosine - sin0 * sine)
        if row > 0:
            turns += np.rint((heading - before) / FULL_TURN)
        before = heading
        knots[row, X], knots[row, Y] = cos0 * x - sin0 * y + x0, sin0 * x + cos0 * y + y0
        knots[row, HEADING] = heading - FULL_TURN * turns
    right, last = 1, len(knots_us) - 1
    for sample in range(len(samples_us)):
        time = min(max(samples_us[sample], knots_us[0]), knots_us[last])
        while right < last and knots_us[right] < time:
            right += 1
        elapsed, gap = float(time - knots_us[right - 1]), float(knots_us[right] - knots_us[right - 1])
        x = (knots[right, X] - knots[right - 1, X]) / gap * elapsed + knots[right - 1, X] - x0
        y = (knots[right, Y] - knots[right - 1, Y]) / gap * elapsed + knots[right - 1, Y] - y0
        heading = (knots[right, HEADING] - knots[right - 1, HEADING]) / gap * elapsed + knots[right - 1, HEADING]
        out[X, sample, lane], out[Y, sample, lane] = cos0 * x + sin0 * y, cos0 * y - sin0 * x
        out[HEADING, sample, lane] = heading - heading0


@part
def fit_reference(tracker: Tracker, bench: Bench, lanes: int) -> None:
    """Velocities, and the moments of the curvatures, of the references."""
    xs, ys, headings, cosines, sines = (
        bench.reference[X],
        bench.reference[Y],
        bench.reference[HEADING],
        bench.cos,
        bench.sin,
    )
    velocity, velocity_map, steps = bench.velocity, tracker.velocity_map, len(bench.velocity)
    advance = bench.steering_tan  # not needed before the car drives
    velocity[:] = 0.0
    for step in range(steps + 1):
        for lane in range(lanes):
            cosines[step, lane], sines[step, lane] = cosine_and_sine(headings[step, lane])
    for step in range(steps):
        for lane in range(lanes):
            x, y = xs[step + 1, lane] - xs[step, lane], ys[step + 1, lane] - ys[step, lane]
            advance[lane] = x * cosines[step, lane] + y * sines[step, lane]
        for later in range(steps):
            weight = velocity_map[step, later]
            for lane in range(lanes):
                velocity[later, lane] += weight * advance[lane]
    _fit_curvatures(tracker, headings, velocity, bench.curvature, bench.gain, lanes)
    moments, kernels, curvature = bench.moments, tracker.moment_kernels, bench.curvature
    moments[:] = 0.0
    for moment in range(len(moments)):
        for step in range(steps):
            for ahead in range(tracker.horizon):
                weight = kernels[moment, ahead]
                for lane in range(lanes):
                    moments[moment, step, lane] += weight * curvature[step + ahead, lane]


@part
def _fit_curvatures(
    tracker: Tracker, headings: Floats, velocity: Floats, curvature: Floats, gains: Floats, lanes: int
) -> None:
    """Curvatures, the last one held for the horizon: one sweep forward and one back."""
    smoothness, steps = tracker.curvature_smoothness, len(velocity)
    information, vector = gains[steps - 1], curvature[steps - 1]
    for lane in range(lanes):
        distance = velocity[0, lane] * STEP_S
        information[lane] = distance * distance + tracker.initial_curvature_penalty
        vector[lane] = distance * wrapped(headings[1, lane] - headings[0, lane])
    for step in range(1, steps):
        for lane in range(lanes):
            gain = 1.0 / (information[lane] + smoothness)
            gains[step - 1, lane], curvature[step - 1, lane] = gain, vector[lane]
            distance = velocity[step, lane] * STEP_S
            turn = wrapped(headings[step + 1, lane] - headings[step, lane])
            vector[lane] = vector[lane] * (gain * smoothness) + distance * turn
            information[lane] = information[lane] * (gain * smoothness) + distance * distance
    for lane in range(lanes):
        vector[lane] = vector[lane] / information[lane]
    for step in range(steps - 2, -1, -1):
        for lane in range(lanes):
            curvature[step, lane] = (curvature[step, lane] + smoothness * curvature[step + 1, lane]) * gains[step, lane]
    for step in range(steps, len(curvature)):
        for lane in range(lanes):
            curvature[step, lane] = vector[lane]


@part
def follow(tracker: Tracker, wheel_base: float, bench: Bench, start: Floats, lanes: int) -> None:
    """Fills ``bench.states`` from the state [11] that all lanes start at."""
    states, cosines, sines, tangents = bench.states, bench.state_cos, bench.state_sin, bench.steering_tan
    cosine, sine = cosine_and_sine(start[HEADING])
    steering_cos, steering_sin = cosine_and_sine(start[STEERING])
    for lane in range(lanes):
        for column in range(len(start)):
            states[0, column, lane] = start[column]
        cosines[lane], sines[lane], tangents[lane] = cosine, sine, steering_sin / steering_cos
    for step in range(len(states) - 1):
        _command(tracker, wheel_base, bench, step, lanes)
        _advance(tracker, wheel_base, bench, step, lanes)


@part
def _advance(tracker: Tracker, wheel_base: float, bench: Bench, step: int, lanes: int) -> None:
    """The next state of each lane: first-order lags, then one Euler step."""
    now, new, command, tangents = bench.states[step], bench.states[step + 1], bench.command, bench.steering_tan
    cosines, sines = bench.state_cos, bench.state_sin
    share, steering_share, limit = tracker.acceleration_share, tracker.steering_share, tracker.max_steering
    for lane in range(lanes):
        speed, tangent = now[SPEED, lane], tangents[lane]
        lagged = now[ACCELERATION, lane] + share * (command[0, lane] - now[ACCELERATION, lane])
        rate = command[1, lane] * steering_share
        new[X, lane] = now[X, lane] + speed * cosines[lane] * STEP_S
        new[Y, lane] = now[Y, lane] + speed * sines[lane] * STEP_S
        heading = wrapped(now[HEADING, lane] + speed * tangent / wheel_base * STEP_S)
        steering = min(max(now[STEERING, lane] + rate * STEP_S, -limit), limit)
        new_speed = speed + lagged * STEP_S
        steering_cos, steering_sin = cosine_and_sine(steering)
        tangent = steering_sin / steering_cos
        yaw_rate = new_speed * tangent / wheel_base
        new[HEADING, lane], new[SPEED, lane], new[ACCELERATION, lane] = heading, new_speed, lagged
        new[STEERING, lane], new[STEERING_RATE, lane] = steering, rate
        new[YAW_RATE, lane], new[YAW_ACCELERATION, lane] = yaw_rate, (yaw_rate - now[YAW_RATE, lane]) / STEP_S
        tangents[lane] = tangent
        cosines[lane], sines[lane] = cosine_and_sine(heading)


@part
def _command(tracker: Tracker, wheel_base: float, bench: Bench, step: int, lanes: int) -> None:
    """Commanded acceleration [m/s^2] and steering rate [rad/s] of each lane."""
    state, command, moments = bench.states[step], bench.command, bench.moments[:, step]
    xs, ys, headings = bench.reference[X, step], bench.reference[Y, step], bench.reference[HEADING, step]
    cosines, sines = bench.cos[step], bench.sin[step]
    targets = bench.velocity[min(step + tracker.horizon, len(bench.velocity) - 1)]
    c, last = tracker.polynomials, tracker.horizon - 1
    c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9]
    lateral_weight, heading_weight, rate_weight = tracker.lateral_weight, tracker.heading_weight, tracker.rate_weight
    stopping, stopping_gain, gain = tracker.stopping_speed, tracker.stopping_gain, tracker.speed_gain
    for lane in range(lanes):
        speed, steering, target = state[SPEED, lane], state[STEERING, lane], targets[lane]
        stops = (target <= stopping) & (speed <= stopping)
        acceleration = (stopping_gain if stops else gain) * (target - speed)
        lateral_error = (state[Y, lane] - ys[lane]) * cosines[lane] - (state[X, lane] - xs[lane]) * sines[lane]
        heading_error = wrapped(state[HEADING, lane] - headings[lane])
        # The one-shot LQR as ``simulation.tracker.steering_rate`` has it.
        change = acceleration * STEP_S
        speed_sq, cross, change_sq = speed * speed, speed * change, change * change
        distance = (c0 * speed + c1 * change) * STEP_S
        heading_gain = (c2 * speed + c3 * change) * (STEP_S**2 / wheel_base)
        speed_pairs = c4 * speed_sq + c5 * cross + c6 * change_sq
        lateral_gain = (c7 * speed_sq + c8 * cross + c9 * change_sq) * (STEP_S**3 / wheel_base)
        turned = speed * moments[0, lane] + change * moments[1, lane]
        drifted = speed_sq * (last * moments[0, lane] - moments[1, lane])
        drifted = drifted + cross * moments[2, lane] + change_sq * moments[3, lane]
        lateral = lateral_error + distance * heading_error
        lateral = lateral + speed_pairs * (STEP_S**2 / wheel_base) * steering - STEP_S**2 * drifted
        heading = wrapped(heading_error + distance / wheel_base * steering - STEP_S * turned)
        lateral_pull, heading_pull = lateral_weight * lateral_gain, heading_weight * heading_gain
        cost = lateral_pull * lateral_gain + heading_pull * heading_gain + rate_weight
        rate = -(lateral_pull * lateral + heading_pull * heading) / cost
        command[0, lane], command[1, lane] = acceleration, 0.0 if stops else rate
