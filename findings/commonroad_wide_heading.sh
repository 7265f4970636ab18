#!/usr/bin/env bash
# A goal whose headings span more than half a turn can be written but never asked; narrow ones "contain" wide ones.
# Software: commonroad-io
# Version: commonroad-io 2026.1
# Input: goal regions that allow headings within 90, 91 and 120 degrees of the x axis, asked for a car that heads along the
#   axis; and whether headings within 1 rad of the axis contain the headings from 0.9 to 2 pi - 0.9 rad (all but a notch).
# Behaviour: the interval is accepted up to a whole turn, but its width is measured as a wrapped angle, which is negative
#   beyond half a turn: is_reached ends in an AssertionError without a text from 91 degrees on. The other way about, only the
#   ends of an interval are looked at, so that one of 4.5 rad counts as contained in one of 2 rad.
# Seen: 90: True; 91: AssertionError; 120: AssertionError; (-1, 1) contains (0.9, 5.38): True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env" || exit 2
python="$folder/env/bin/python"
"$python" -I -m pip install --quiet --disable-pip-version-check 'commonroad-io==2026.1' 'numpy==2.4.6' || exit 2
cd "$folder"
"$python" -I - <<'PYTHON'
import math
import sys

from commonroad.common.util import AngleInterval, Interval
from commonroad.planning.goal import GoalRegion
from commonroad.scenario.state import CustomState, KSState


def answer(degrees):
    """Whether a car on the axis has reached the goal, or the error's name."""
    headings = AngleInterval(-math.radians(degrees), math.radians(degrees))
    goal = GoalRegion([CustomState(time_step=Interval(0, 100), orientation=headings)])
    car = KSState(time_step=10, position=[0.0, 0.0], orientation=0.0, velocity=1.0, steering_angle=0.0)
    try:
        return bool(goal.is_reached(car))
    except AssertionError as error:
        return f"AssertionError({error})"


answers = {degrees: answer(degrees) for degrees in (90, 91, 120)}
contains = bool(AngleInterval(-1.0, 1.0).contains(AngleInterval(0.9, 2 * math.pi - 0.9)))
print(answers, "wide in narrow:", contains)
holds = answers == {90: True, 91: "AssertionError()", 120: "AssertionError()"} and contains
sys.exit(0 if holds else 1)
PYTHON
