"""Hydra finds this package by the name of the folder above it, a namespace package."""
