"""Environment variables that NAVSIM's scripts, or other projects' versions of them, read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from navsim_agents.devkit.finding import Finding
from navsim_agents.devkit.variant import INSTALLATION_PAGE, Host, Variant, variant_of_source

DEVKIT_ROOT = "NAVSIM_DEVKIT_ROOT"
FOLDERS = ("OPENSCENE_DATA_ROOT", "NUPLAN_MAPS_ROOT", "NAVSIM_EXP_ROOT")
MAP_VERSION = "nuplan-maps-v1.0"
MAP_INDEX = f"{MAP_VERSION}.json"
LEFTOVERS = {
    "PROGRESS_MODE": "some forks of NAVSIM measure progress by it, and their scores are then not the release's",
}
NODE_VARIABLES = ("NODE_RANK", "NUM_NODES")


def check_environment(environ: Mapping[str, str], needs_data: bool) -> list[Finding]:
    """Findings about ``environ``; unset folders are wrong only where the devkit is there to need them."""
    return [*_folders(environ, needs_data), *_maps(environ), *_leftovers(environ)]


def check_devkit_root(environ: Mapping[str, str], host: Host) -> Finding:
    """Whether the scripts below NAVSIM_DEVKIT_ROOT are of the devkit that Python imports."""
    value, kind = environ.get(DEVKIT_ROOT), host.variant.value
    if value is None:
        is_needed = host.variant is not Variant.NONE
        need = "; the command lines of docs/devkit.md start NAVSIM's scripts by it" if is_needed else ""
        return Finding("environment", True, f"{DEVKIT_ROOT} is unset{need}")
    package = Path(value) / "navsim"
    found = variant_of_source(package)
    if found is Variant.NONE:
        wrong = f"has no {package.name}/agents/abstract_agent.py" if Path(value).is_dir() else "is not a folder"
        text = f"{DEVKIT_ROOT}={value} {wrong}; it is the checkout that holds the package navsim: correct or unset it"
        return Finding("environment", False, text)
    if host.location is None:
        text = f"{DEVKIT_ROOT}={value} holds scripts of {found.value}, but no navsim can be imported; install it"
        return Finding("environment", False, f"{text} ({INSTALLATION_PAGE})")
    if found is not host.variant:
        return Finding(
            "environment",
            False,
            f"{DEVKIT_ROOT}={value} holds scripts of {found.value}, but Python imports navsim {kind} from "
            f"{host.location}: the scripts of one would run the other; set {DEVKIT_ROOT}={host.location.parent}, or "
            "install the other devkit",
        )
    other = "" if package.resolve() == host.location.resolve() else f", another copy than {host.location}"
    return Finding("environment", True, f"{DEVKIT_ROOT}={value} (scripts of {found.value}{other})")


def _folders(environ: Mapping[str, str], needs_data: bool) -> Iterator[Finding]:
    for name in FOLDERS:
        value = environ.get(name)
        if value is None:
            yield Finding("environment", True, f"{name} is unset{'; NAVSIM scripts need it' if needs_data else ''}")
        elif name == "NAVSIM_EXP_ROOT" or Path(value).is_dir():
            yield Finding("environment", True, f"{name}={value}")
        else:
            yield Finding("environment", False, f"{name}={value} is not a folder; correct or unset it")


def _maps(environ: Mapping[str, str]) -> Iterator[Finding]:
    root, version = environ.get("NUPLAN_MAPS_ROOT"), environ.get("NUPLAN_MAP_VERSION", MAP_VERSION)
    if version != MAP_VERSION:
        yield Finding("environment", False, f"NUPLAN_MAP_VERSION={version}, but NAVSIM uses {MAP_VERSION}; set that")
    if root and Path(root).is_dir() and not (Path(root) / MAP_INDEX).is_file():
        yield Finding(
            "environment",
            False,
            f"{root} has no {MAP_INDEX}; NUPLAN_MAPS_ROOT is the folder that holds it and the maps",
        )


def _leftovers(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name, reason in LEFTOVERS.items():
        if name in environ:
            yield Finding("environment", False, f"{name}={environ[name]} is set: {reason}; unset it")
    ranked = [f"{name}={environ[name]}" for name in NODE_VARIABLES if name in environ]
    if len(ranked) == 1:
        yield Finding(
            "environment",
            False,
            f"{ranked[0]} without the other of {' and '.join(NODE_VARIABLES)}: NAVSIM names its lists of cached files "
            "by the rank, so lists of one node may hide another's; set both or none",
        )
