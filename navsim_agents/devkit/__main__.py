"""``python -m navsim_agents.devkit``: checks the installation."""

import sys

from navsim_agents.devkit.doctor import main

if __name__ == "__main__":
    sys.exit(main())
