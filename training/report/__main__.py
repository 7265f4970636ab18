"""``python -m training.report evaluation=<folder> data_root=<folder> output=<page>``."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from navsim_agents.errors import errors_in_one_line
from training.config import ReportConfig, read_config
from training.report.page import write_report


@hydra.main(version_base="1.2", config_path="../conf", config_name="report")
def main(composed: DictConfig) -> None:
    """Write the page and say where it is."""
    with errors_in_one_line():
        print(f"report: {write_report(read_config(ReportConfig, composed))}")


if __name__ == "__main__":
    main()
