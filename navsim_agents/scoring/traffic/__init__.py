"""Traffic that reacts to the ego, by the rules of devkit v2.2 (its IDM traffic agents)."""
