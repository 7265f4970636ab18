"""The earlier name of ``navsim_agents.video.loader``, for programs that were written with it."""

from navsim_agents.video.loader import ClipLoader as ClipLoader
from navsim_agents.video.loader import build_clip_loader as build_clip_loader
