"""NAVSIM's data on disk, read without the devkit."""
