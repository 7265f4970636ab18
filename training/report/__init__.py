"""The report: one page with table, curves and pictures. ``drive-jepa report`` writes it."""
