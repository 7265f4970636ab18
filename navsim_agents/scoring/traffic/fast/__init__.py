"""Traffic of many plans of one scene, compiled by Numba; nothing here is imported before it is needed."""
