"""Checks installation, environment variables, pictures and metric caches."""

import sys

from navsim_agents.devkit.doctor import main

if __name__ == "__main__":
    sys.exit(main())
