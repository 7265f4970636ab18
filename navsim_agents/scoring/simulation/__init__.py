"""From planned poses to simulated states: interpolation, LQR tracker, kinematic bicycle."""
