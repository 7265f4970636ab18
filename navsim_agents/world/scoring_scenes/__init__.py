"""Scoring scenes of the built-in world: what the devkit's metric cache would hold, worked out from town and log."""
