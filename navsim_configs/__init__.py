"""Hydra groups that NAVSIM's own scripts see through the search-path plugin."""
