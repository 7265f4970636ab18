"""Writes one page of an evaluation: table, curves and pictures.

drive-jepa report evaluation=<folder> data_root=<folder> output=<page>
"""

from __future__ import annotations

from navsim_agents.common.command import command
from training.config import ReportConfig


@command(ReportConfig, "training.conf.report")
def main(config: ReportConfig) -> None:
    """Write the page and say where it is."""
    from training.report.page import write_report  # needs the extra report; a missing package is reported in one line

    print(f"report: {write_report(config)}")


if __name__ == "__main__":
    main()
