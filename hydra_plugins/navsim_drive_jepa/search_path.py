"""Adds this package's config groups to every Hydra application, so that NAVSIM's own scripts find our agents.

Hydra imports this module at each start: it must stay light.
"""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class NavsimDriveJepaSearchPath(SearchPathPlugin):
    """Appends ``pkg://navsim_configs``, in which every group file is named ``drive_jepa…``."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append our provider after the application's own."""
        search_path.append(provider="navsim-drive-jepa", path="pkg://navsim_configs")
