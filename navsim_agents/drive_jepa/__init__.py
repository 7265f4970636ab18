"""The agents: features, targets, planners, losses, optimisers, checkpoints."""
