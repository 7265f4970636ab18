"""The public name of ``navsim_agents.evaluation.table`` (docs/api.md)."""

from navsim_agents.evaluation.table import summary_table as summary_table
