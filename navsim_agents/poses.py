"""The functions of ``navsim_agents.common.poses``, under the name that they have for users."""

from navsim_agents.common.poses import *  # noqa: F403
