"""The report: one page with table, curves and pictures. ``python -m training.report`` writes it."""
