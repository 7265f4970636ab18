"""The only folder that imports navsim or nuplan."""
