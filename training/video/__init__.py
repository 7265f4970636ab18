"""The earlier place of ``navsim_agents.video``."""
