"""Adds this package's config groups to every Hydra application, so that NAVSIM's own scripts find our agents.

Hydra imports this module at each start: it must stay light.
"""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin

from navsim_agents.common.settings import defaults_of
from navsim_agents.drive_jepa.config import PerceptionFreeConfig
from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig

PROVIDER = "navsim-drive-jepa"
DEFAULTS = {"full": ProposalAgentConfig, "perception_free": PerceptionFreeConfig}
"""Name in the group ``drive_jepa_defaults`` → dataclass with every setting; our agents' YAML starts from these."""


class NavsimDriveJepaSearchPath(SearchPathPlugin):
    """Appends ``pkg://navsim_configs``, in which every group file is named ``drive_jepa…``."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append our provider after the application's own."""
        search_path.append(provider=PROVIDER, path="pkg://navsim_configs")


for _name, _config in DEFAULTS.items():
    ConfigStore.instance().store(
        group="drive_jepa_defaults", name=_name, node={"config": defaults_of(_config)}, provider=PROVIDER
    )
