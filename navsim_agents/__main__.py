"""``python -m navsim_agents <command> …`` is ``drive-jepa <command> …``; so is this file, run from any folder."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Make this very package the one that is imported, then run the command."""
    if not __package__:  # run as a file: Python searches this folder, whose ``data`` and ``world`` are no packages
        folder = os.path.realpath(os.path.dirname(__file__))
        sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != folder or not entry]
        sys.path.insert(0, os.path.dirname(folder))
        import navsim_agents  # noqa: F401

        del sys.path[0]
    from navsim_agents.commands import main as run

    run()


if __name__ == "__main__":
    main()
