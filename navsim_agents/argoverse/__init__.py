"""Argoverse 2 sensor logs, read from their files, as scoring scenes."""
