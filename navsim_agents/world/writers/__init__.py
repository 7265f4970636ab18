"""Writers of NAVSIM's on-disk formats: maps, logs and sensor files. ``maps`` needs geopandas; the others do not."""
