"""Errors whose message says the value, the rule it breaks and the way out."""

from __future__ import annotations


class NavsimDriveJepaError(Exception):
    """Root of this package's own errors."""


class DevkitError(NavsimDriveJepaError):
    """The NAVSIM devkit is absent, not the one expected, or shadowed by another package."""


class InputError(NavsimDriveJepaError, ValueError):
    """An agent's input, a target or a feature breaks a rule."""


class CheckpointError(NavsimDriveJepaError):
    """A checkpoint's keys or shapes are not those of the module that should load it."""


class WorldDataError(NavsimDriveJepaError):
    """Files in NAVSIM's on-disk formats are missing, truncated or inconsistent."""


class SceneError(NavsimDriveJepaError, ValueError):
    """A scoring scene, or the archive that holds it, breaks a rule of the contract."""


class TrajectoryError(NavsimDriveJepaError, ValueError):
    """Trajectories to be scored have another shape, interval or values than the metric needs."""


class LabelError(NavsimDriveJepaError, ValueError):
    """A vocabulary or a label store is damaged, belongs to something else, or breaks a rule."""


class TrainingError(NavsimDriveJepaError):
    """A training run cannot continue: its loss is not finite, or its features have collapsed."""


class VideoError(NavsimDriveJepaError, ValueError):
    """A video, its pictures or the manifest that lists them are missing, damaged, or not allowed to be learnt from."""


class SettingError(NavsimDriveJepaError, ValueError):
    """A setting is missing, misspelt, of another type or out of range."""


class FormerNameError(SettingError):
    """A setting is written as an earlier release called it."""
