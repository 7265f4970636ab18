"""The public names of ``navsim_agents.evaluation.metrics``, for columns of one's own (docs/api.md)."""

from navsim_agents.evaluation.metrics import Columns as Columns
from navsim_agents.evaluation.metrics import PlannedScenes as PlannedScenes
from navsim_agents.evaluation.metrics import columns as columns
