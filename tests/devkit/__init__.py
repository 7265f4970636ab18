"""Beside an unmodified devkit: `make test-devkit`."""
