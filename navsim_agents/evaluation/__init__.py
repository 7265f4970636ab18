"""Evaluation: agents plan the scenes of a split; their plans are measured, averaged and kept."""
