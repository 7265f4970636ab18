"""The golden scenes that are there, and what their answers are compared by."""

from __future__ import annotations

from pathlib import Path

TRIMMED = Path(__file__).parent / "golden"
FULL = Path(__file__).resolve().parents[3] / "shared" / "data" / "golden"
METRIC = {"v1.1": "pdms", "v2.2": "epdms"}
SCENES = sorted(TRIMMED.glob("v*/scene_*.npz"))
CONTINUOUS = ("ego_progress", "score", "pdm_score")
BYTES = 640 * 1024  # any of them fits in, packed
