"""Commands that make and read caches."""
