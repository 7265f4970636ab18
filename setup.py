"""What pyproject.toml cannot say of the distribution."""

from setuptools import find_namespace_packages, find_packages, setup

PACKAGES = ["navsim_agents", "navsim_configs", "cache_tools", "training"]

setup(
    license="Apache-2.0",
    # The namespace itself is listed too: in an editable install Hydra's scan finds nothing in one that is not.
    packages=[name for root in PACKAGES for name in [root, *(f"{root}.{sub}" for sub in find_packages(root))]]
    + find_namespace_packages(include=["hydra_plugins", "hydra_plugins.*"]),
    package_data={"": ["*.yaml", "py.typed", "*.json"]},
)
