"""Mask families by name."""
