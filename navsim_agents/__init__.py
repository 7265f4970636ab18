"""Drive-JEPA for NAVSIM."""
