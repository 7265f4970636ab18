"""What Hydra itself finds, asked in an interpreter of its own: the doctor runs this file's text there.

It must therefore import nothing of this package. Its one argument is JSON: ``configs``, modules of the devkit with the
names of configs in them (``module:name``), and the ``overrides`` to compose them with. It prints one line of JSON.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import Any

PLUGIN = "hydra_plugins.navsim_drive_jepa"


def main(configs: list[str], overrides: list[str]) -> dict[str, Any]:
    """Whether Python can import the plugin, whether Hydra's scan has it, which agents there are, and what fails."""
    from hydra import compose, initialize_config_dir, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    scanned = [kind.__module__ for kind in Plugins.instance().discover(SearchPathPlugin)]
    answer: dict[str, Any] = {"importable": is_importable(PLUGIN), "scanned": any(PLUGIN in name for name in scanned)}
    with initialize_config_dir(os.getcwd(), version_base=None):
        answer["agents"] = GlobalHydra.instance().config_loader().get_group_options("agent")
    answer["errors"] = {}
    for config in configs:
        module, name = config.split(":")
        try:
            with initialize_config_module(module, version_base=None):
                compose(name, overrides=overrides)
        except Exception as error:  # whatever it is, NAVSIM's script ends with it
            answer["errors"][name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return answer


def is_importable(name: str) -> bool:
    """Whether a module of that name can be found."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
