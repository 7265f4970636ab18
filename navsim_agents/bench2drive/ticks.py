"""The leaderboard's clock: its server runs at 20 Hz."""

from __future__ import annotations

from navsim_agents.common.conventions import FRAME_INTERVAL_S

TICKS_PER_S = 20
TICKS_PER_INTERVAL = round(FRAME_INTERVAL_S * TICKS_PER_S)
"""From one picture of a clip to the next."""
