"""How the scorer's cost grows with trajectories, scenes, tracks and polygon vertices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmarks.scoring_tools import fresh, median_s, with_polygons, with_tracks
from navsim_agents.scoring import ScoringScene, score_scenes, score_trajectories

TRAJECTORIES = (256, 512, 1024, 2048, 4096, 8192)
SCENES, PROPOSALS = (4, 8, 16, 32, 64), 32
TRACKS = (8, 16, 32, 64, 128, 256)
POLYGONS = ((19, 200), (38, 200), (75, 200), (150, 200), (300, 200))  # polygons, vertices of each
CHOSEN = 2048  # trajectories where something else grows
LAST = 3  # sizes that the exponent is fitted to

Series = tuple[list[int], list[float]]


def measure(scene: ScoringScene, scenes: list[ScoringScene], plans: torch.Tensor, repeats: int) -> dict[str, Series]:
    """Sizes and seconds of each series; the same ``plans`` in all of them."""
    some = plans[:: max(1, len(plans) // CHOSEN)][:CHOSEN]
    series: dict[str, Series] = {
        "trajectories": (
            list(TRAJECTORIES),
            [median_s(lambda n=n: score_trajectories(scene, plans[:n]), repeats) for n in TRAJECTORIES],
        )
    }
    batches = [[scenes[row % len(scenes)] for row in range(count)] for count in SCENES]
    rows = plans[: max(SCENES) * PROPOSALS].unflatten(0, (max(SCENES), PROPOSALS))
    series["scenes"] = (
        list(SCENES),
        [median_s(lambda b=batch: score_scenes(b, rows[: len(b)]), repeats) for batch in batches],
    )
    crowds = [with_tracks(scene, count) for count in TRACKS]
    series["tracks"] = (
        list(TRACKS),
        [median_s(lambda c=crowd: score_trajectories(c, some), repeats) for crowd in crowds],
    )
    maps = [with_polygons(scene, *size) for size in POLYGONS]
    vertices = [polygons * each for polygons, each in POLYGONS]
    series["vertices (index)"] = (vertices, [median_s(lambda m=made: fresh(m).index, repeats) for made in maps])
    series["vertices"] = (vertices, [median_s(lambda m=made: score_trajectories(m, some), repeats) for made in maps])
    return series


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Slope of the logarithms at the largest sizes: 1 is linear growth."""
    return float(np.polyfit(np.log(sizes[-LAST:]), np.log(seconds[-LAST:]), 1)[0])


def report(series: dict[str, Series]) -> None:
    """One line a series."""
    for name, (sizes, seconds) in series.items():
        points = ", ".join(f"{size}: {1e3 * taken:.0f}" for size, taken in zip(sizes, seconds))
        print(f"growth with {name} [ms]: {points}; exponent {exponent(sizes, seconds):.2f}")


def plot(series: dict[str, Series], path: Path) -> None:
    """Draw all series, with a line of slope 1 beside each."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, axes = pyplot.subplots(1, len(series), figsize=(3.2 * len(series), 3.0), layout="constrained")
    for axis, (name, (sizes, seconds)) in zip(axes, series.items()):
        milliseconds = 1e3 * np.array(seconds)
        axis.loglog(sizes, milliseconds, "o-", color="tab:blue", label=f"exponent {exponent(sizes, seconds):.2f}")
        axis.loglog(sizes, milliseconds[-1] * np.array(sizes) / sizes[-1], ":", color="gray", label="linear")
        axis.set(xlabel=name, ylim=(0.5 * milliseconds.min(), 2.0 * milliseconds.max()))
        axis.set_xticks(sizes[::2], [str(size) for size in sizes[::2]])
        for side in (axis.xaxis, axis.yaxis):
            side.set_minor_formatter(ticker.NullFormatter())
        axis.legend(frameon=False, fontsize="small")
    axes[0].set_ylabel("median [ms]")
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
