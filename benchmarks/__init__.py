"""Timings of the package; run them on an idle machine."""
