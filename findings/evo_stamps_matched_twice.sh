#!/usr/bin/env bash
# A perfect estimate gets an error as soon as it has more poses than the reference.
# Software: evo
# Version: evo 1.38.1
# Input: a reference of 10 s at 100 Hz (1001 poses) of a car at a constant 10 m/s, and an estimate at 10 Hz that equals it in
#   every pose that both have; once it lasts 60 s (601 poses), once 120 s (1201 poses).
# Behaviour: associate_trajectories looks, for each pose of the trajectory with fewer poses, for the nearest one of the other
#   within 0.01 s, and takes a pose as often as it is nearest. With the longer estimate, each of its poses is matched with up
#   to three poses of the reference, 0.1 m apart, and the absolute error rises from 0 to 0.07 m, though nothing changed in
#   the time that both cover. max_diff is inclusive but for rounding, so that 225 of 301 such pairs are made.
# Seen: 601 poses: 101 pairs, error 0.0 m; 1201 poses: 225 pairs of 101 poses, error 0.074 m
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env" || exit 2
python="$folder/env/bin/python"
"$python" -I -m pip install --quiet --disable-pip-version-check 'evo==1.38.1' 'numpy==2.4.6' || exit 2
cd "$folder"
"$python" -I - <<'PYTHON'
import sys

import numpy as np
from evo.core import metrics, sync
from evo.core.trajectory import PoseTrajectory3D


def drive(times):
    """Straight ahead at 10 m/s."""
    places = np.stack((10.0 * times, 0 * times, 0 * times), axis=1)
    return PoseTrajectory3D(places, np.tile([1.0, 0.0, 0.0, 0.0], (len(times), 1)), times)


def compared(estimate):
    """Pairs, different poses of the estimate among them, and the absolute error [m]."""
    pair = sync.associate_trajectories(drive(np.arange(1001) / 100), estimate)
    error = metrics.APE(metrics.PoseRelation.translation_part)
    error.process_data(pair)
    different = len(np.unique(pair[1].timestamps))
    return pair[0].num_poses, different, error.get_statistic(metrics.StatisticsType.rmse)


few, many = (compared(drive(np.arange(poses) / 10)) for poses in (601, 1201))
print("601 poses: pairs, different poses, error [m]:", *few)
print("1201 poses: pairs, different poses, error [m]:", *many)
holds = few[:2] == (101, 101) and few[2] < 1e-9 and many[0] > many[1] == 101 and many[2] > 0.05
sys.exit(0 if holds else 1)
PYTHON
