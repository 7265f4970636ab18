"""Tables of ``benchmarks.scoring_builds``: two builds side by side, and what is asked of the newer one."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

THIS, OTHER = "this", "other"
# Asked of this build's time as a share of the other's (issue 21), where both have the same number of threads.
LIMITS = {"epdms": 0.25, "pdms": 0.25, "packed": 0.25, "index": 0.5, "indices": 0.5, "labels": 1 / 3.5}
MEMORY_LIMIT = 0.5
BASES = {
    "imported_mb": "what importing all that is needed takes",
    "begun_mb": "what importing navsim_agents.scoring takes",
    "inputs_mb": "that and the inputs",
    "loaded_mb": "all that is loaded at the first call",
}
"""Moments in a process of ``scoring_worker``."""
SPEED_UP, SLOW_DOWN = 1.7, 1.2  # two idle cores against one; two threads against one among neighbours
WHOLE = ("epdms", "pdms")
TITLES = {
    "epdms": "EPDMS, everything returned",
    "pdms": "PDMS, everything returned",
    "packed": "scenes x proposals, packed",
    "index": "index, largest scene",
    "indices": "index, mean of the scenes",
    "labels": "labels, a scene",
}


@dataclass
class Figures:
    """Seconds of one part by one build, once a repeat."""

    wall_s: list[float] = field(default_factory=list)
    busy_s: list[float] = field(default_factory=list)

    def add(self, wall_s: float, busy_s: float) -> None:
        """One more repeat."""
        self.wall_s.append(wall_s)
        self.busy_s.append(busy_s)

    @property
    def wall(self) -> float:
        """Median wall time [s]."""
        return statistics.median(self.wall_s)

    @property
    def busy(self) -> float:
        """Median processor time of all threads [s]."""
        return statistics.median(self.busy_s)


Takes = dict[tuple[str, str, int], Figures]  # part, build, threads


def verdict(value: float, limit: float) -> str:
    """The limit, and whether the value keeps it."""
    return f"{'<=' if value <= limit else '> '} {limit:.3g}"


def report_takes(takes: Takes) -> None:
    """Both builds' medians and their ratio, a row a part and number of threads of this build.

    The other build's are those with as many threads, or with the fewest where it was not run with as many.
    """
    print(f"{'':34} {'wall [ms]':>27}   {'processor [ms]':>27}   wall ratio against the limit")
    print(f"{'':34} {'other':>9} {'this':>9} {'ratio':>7}   {'other':>9} {'this':>9} {'ratio':>7}")
    for name, threads in [(name, threads) for name, build, threads in takes if build == THIS]:
        this = takes[name, THIS, threads]
        known = [key for key in takes if key[:2] == (name, OTHER)]
        other = takes.get((name, OTHER, threads)) or takes[min(known)]
        cells = []
        for a, b in ((other.wall, this.wall), (other.busy, this.busy)):
            cells.append(f"{1e3 * a:9.2f} {1e3 * b:9.2f} {b / a:7.3f}")
        title = f"{TITLES[name]}, {threads} thr."
        print(f"{title:34} {'   '.join(cells)}   {verdict(this.wall / other.wall, LIMITS[name])}")


def report_threads(takes: Takes, num_neighbours: int) -> None:
    """What two threads are worth, by wall time."""
    needed = ((THIS, 1), (THIS, 2), (OTHER, 1))
    parts = (*WHOLE, "packed") if num_neighbours else WHOLE
    for name in [part for part in parts if all((part, *key) in takes for key in needed)]:
        one, two, old = (takes[name, THIS, 1].wall, takes[name, THIS, 2].wall, takes[name, OTHER, 1].wall)
        limit = SLOW_DOWN if num_neighbours else 1.0 / SPEED_UP
        print(f"{TITLES[name]}: two threads take {two / one:.3f} of one ({verdict(two / one, limit)})", end="")
        print(f", and {two / old:.3f} of the other build's one ({verdict(two / old, LIMITS[name])})")


def report_memory(name: str, memory: dict[str, dict[str, float]]) -> None:
    """Peak memory of one call, by build, above what a process has at several moments; the limit is of the first.

    All that is needed are modules, llvmlite among them where it loads compiled rules, but no such rules; inputs are
    scenes and trajectories.
    """
    print(f"\npeak memory, {TITLES[name]} [MB]:")
    for base, what in BASES.items():
        this, other = (memory[build]["peak_mb"] - memory[build][base] for build in (THIS, OTHER))
        share = this / other if other > 0 else float("nan")
        asked = f" ({verdict(share, MEMORY_LIMIT)})" if base == "imported_mb" and name in WHOLE else ""
        print(f"  above {what}: other {other:.0f}, this {this:.0f}, ratio {share:.3f}{asked}")


def report_labels(rates: dict[str, Figures], workers: int) -> None:
    """Scenes a minute of both builds."""
    this, other = rates[THIS], rates[OTHER]
    for name, figures in rates.items():
        print(
            f"labels, {name}: {60.0 / figures.wall:.1f} scenes a minute with {workers} processes; "
            f"{figures.busy:.3f} s of a processor a scene"
        )
    print(
        f"labels: {other.wall / this.wall:.2f} times as many scenes a minute, {other.busy / this.busy:.2f} times by "
        f"processor time (asked: {1.0 / LIMITS['labels']:.1f})"
    )
