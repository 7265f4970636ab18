"""Shapes and dtypes in the annotations of tensor code are checked while the tests run."""

from jaxtyping import install_import_hook

install_import_hook(["navsim_agents.models", "navsim_agents.scoring"], "beartype.beartype")
