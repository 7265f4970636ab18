"""The errors of ``navsim_agents.common.errors``, under the name that users catch them by."""

from navsim_agents.common.errors import *  # noqa: F403
