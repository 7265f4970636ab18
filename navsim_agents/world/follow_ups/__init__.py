"""Follow-up scenes of NAVSIM 2's two-stage evaluation: the ego where a plan ended instead of where the expert was."""
