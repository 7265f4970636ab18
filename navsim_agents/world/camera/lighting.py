"""The light of one drive: sun, sky colours and haze, drawn mildly at random from the drive's name."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from navsim_agents.world.camera.model import FloatArray
from navsim_agents.world.types import Z

HAZE_FREE_M = 15.0
MAX_HAZE = 0.92


@dataclass(frozen=True, eq=False)
class Lighting:
    """Colours are 0-255 RGB; ``sun`` points from the ground to the sun, global frame, unit length."""

    sun: Float64[np.ndarray, "3"]
    sun_strength: float  # what a face turned to the sun gains over ``ambient``
    ambient: float
    tint: Float64[np.ndarray, "3"]  # colour of the light, about 1
    zenith: Float64[np.ndarray, "3"]
    horizon: Float64[np.ndarray, "3"]  # also the colour of haze
    cloudiness: float  # 0 clear .. 1 overcast
    shadow_strength: float  # 0 none .. 1 black
    haze_range_m: float  # distance over which haze thickens by 1 / e
    sky_seed: int

    def shade(self, colours: FloatArray, normals: Float64[np.ndarray, "#F 3"]) -> Float64[np.ndarray, "F 3"]:
        """Colours of matt faces with unit ``normals``."""
        sunlit = self.sun_strength * np.clip(normals @ self.sun, 0.0, None)
        skylit = self.ambient * (0.82 + 0.18 * normals[:, Z])
        return colours * self.tint * (sunlit + skylit)[:, None]

    def haze(self, distance_m: npt.ArrayLike) -> Float64[np.ndarray, "..."]:
        """Share of the horizon's colour in what is seen at ``distance_m``."""
        beyond = np.clip(np.asarray(distance_m, dtype=np.float64) - HAZE_FREE_M, 0.0, None)
        return np.asarray(MAX_HAZE * (1.0 - np.exp(-beyond / self.haze_range_m)))

    def through_air(self, colours: FloatArray, distance_m: Float64[np.ndarray, " F"]) -> Float64[np.ndarray, "F 3"]:
        """Colours as seen from ``distance_m``."""
        share = self.haze(distance_m)[:, None]
        return colours * (1.0 - share) + self.horizon * share


# Each: sun height [deg], sun strength, ambient, tint, zenith, horizon, clouds, shadow strength, haze range [m].
CLEAR = (52.0, 0.46, 0.62, (1.0, 0.99, 0.96), (74, 126, 194), (196, 214, 230), 0.35, 0.40, 520.0)
AFTERNOON = (33.0, 0.50, 0.57, (1.03, 0.98, 0.90), (88, 134, 190), (214, 216, 214), 0.45, 0.38, 430.0)
EVENING = (19.0, 0.46, 0.60, (1.07, 0.95, 0.82), (104, 132, 176), (232, 208, 182), 0.40, 0.30, 340.0)
OVERCAST = (58.0, 0.16, 0.76, (0.97, 0.99, 1.01), (150, 162, 174), (198, 204, 208), 0.95, 0.16, 300.0)
MOODS = (CLEAR, CLEAR, AFTERNOON, EVENING, OVERCAST)


def lighting_of(log_name: str) -> Lighting:
    """The light of the drive called ``log_name``; always the same for the same name."""
    seed = zlib.crc32(log_name.encode())
    rng = np.random.default_rng(seed)
    height, sun_strength, ambient, tint, zenith, horizon, clouds, shadow, haze = MOODS[rng.integers(len(MOODS))]
    height_rad, azimuth = np.deg2rad(height + rng.uniform(-5.0, 5.0)), rng.uniform(-np.pi, np.pi)
    brightness = rng.uniform(0.94, 1.05)
    sun = (np.cos(azimuth) * np.cos(height_rad), np.sin(azimuth) * np.cos(height_rad), np.sin(height_rad))
    return Lighting(
        sun=np.array(sun),
        sun_strength=sun_strength * brightness,
        ambient=ambient * brightness,
        tint=np.array(tint),
        zenith=np.array(zenith, dtype=np.float64),
        horizon=np.array(horizon, dtype=np.float64),
        cloudiness=float(np.clip(clouds + rng.uniform(-0.15, 0.15), 0.0, 1.0)),
        shadow_strength=shadow,
        haze_range_m=haze * rng.uniform(0.85, 1.2),
        sky_seed=seed,
    )
