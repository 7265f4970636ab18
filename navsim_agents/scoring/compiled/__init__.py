"""The scorer's rules a second time, for one trajectory at a time: what Numba compiles for the CPU."""
