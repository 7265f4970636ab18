"""No test data in pretraining: which folders of NAVSIM's data may be learnt from.

NAVSIM's navtest is cut from OpenScene's ``test`` logs, navhard and the competition splits come with folders of their
own. Only folders of training logs are let through; a list of further logs to refuse can be given.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path, PurePath, PurePosixPath
from typing import Optional

from navsim_agents.data.names import read_names
from navsim_agents.errors import InputError, VideoError

TRAINING_SPLITS = ("trainval", "navtrain")
LOG_FOLDERS, PICTURE_FOLDERS = "navsim_logs", "sensor_blobs"


def check_split(split: str) -> None:
    """Refuse a folder of ``navsim_logs`` that is not one of training logs.

    Raises:
        VideoError: the split is none of those.
    """
    if split not in TRAINING_SPLITS:
        raise VideoError(
            f"split={split!r} must not be learnt from: only {' and '.join(TRAINING_SPLITS)} hold training logs "
            "(navtest and navhard are cut from test logs, mini mixes them); index the trainval logs instead"
        )


def check_path(path: str, root: Optional[Path] = None) -> None:
    """Refuse a path relative to a data set's root that leads to test logs or to their pictures.

    Names of test sets count in ``path`` alone, since folders above a ``root`` are the user's own; but wherever
    ``navsim_logs`` or ``sensor_blobs`` stand, also above the root or behind a link, a training split must follow.

    Raises:
        VideoError: the path leads to such a folder.
    """
    _check_splits(PurePosixPath(path))
    for part in PurePosixPath(path).parts:
        if part.startswith(("navtest", "navhard", "navsafe", "private_test", "warmup_")):
            check_split(part)
    if root is not None:
        whole = Path(os.path.abspath(root)) / path
        _check_splits(whole)
        _check_splits(whole.resolve())


def _check_splits(path: PurePath) -> None:
    for above, folder in zip(path.parts, path.parts[1:]):
        if above in (LOG_FOLDERS, PICTURE_FOLDERS):
            check_split(folder)


def check_log(log_name: str, forbidden: Collection[str]) -> None:
    """Refuse a log that ``forbidden`` names, wherever it lies.

    Raises:
        VideoError: ``forbidden`` holds its name.
    """
    if log_name in forbidden:
        raise VideoError(
            f"log {log_name} is one of the {len(forbidden)} logs that must not be learnt from (forbidden_logs); "
            "move it out of the training split, or correct the list"
        )


def read_forbidden_logs(path: Path) -> frozenset[str]:
    """Names in a text file of one log a line, or in a YAML list such as the devkit's ``scene_filter/navtest.yaml``.

    Of a YAML file only the list ``log_names`` is read, so its tokens are not mistaken for logs.

    Raises:
        VideoError: no such file, or it names no log.
    """
    try:
        lists = read_names(path)
    except InputError as error:
        raise VideoError(f"forbidden_logs={error}") from error
    found = next((names for key, names in lists.items() if key.split(".")[-1] in ("log_names", "")), None)
    if found is None or not found.names:
        raise VideoError(f"forbidden_logs={path} names no log; give one name a line, or a YAML list `log_names:`")
    return frozenset(found.names)
