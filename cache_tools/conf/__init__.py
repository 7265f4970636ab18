"""Hydra configurations of the commands in :mod:`cache_tools`."""
