"""The built-in driving world."""
