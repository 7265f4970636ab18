"""Planar geometry on bare tensors of any batch shape, and the exact grids that locate points and segments."""
