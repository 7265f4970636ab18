"""A rule-based driver without privileges: it plays the role that PDM-Closed has in the devkit's metric caches."""
