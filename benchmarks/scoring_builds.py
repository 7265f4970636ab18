"""Times this build of the scorer beside another one, in turns, alone and with busy neighbours.

    python -m benchmarks.scoring_builds --other ../old [--neighbours 0 2 4] [--threads 1 2] [--device cuda]

``--other`` is a checkout of the other build, for example of commit 799e02c; both are run by this Python. A neighbour is
a process that multiplies matrices at the same priority until the benchmark ends it. Medians, of wall time and of
processor time; the latter counts where others work on the machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import torch

from benchmarks.scoring_processes import Worker, label_rates, neighbours
from benchmarks.scoring_tables import (
    OTHER,
    THIS,
    WHOLE,
    Figures,
    Takes,
    report_labels,
    report_memory,
    report_takes,
    report_threads,
)
from benchmarks.scoring_tools import ROOT, VOCABULARY, golden_paths, plans_from
from navsim_agents.errors import InputError

TIMED = ("epdms", "pdms", "packed", "index", "indices")
MEASURED = ("epdms", "pdms", "packed", "index")  # their memory
PARTS = (*TIMED, "memory", "answers", "labels")
METRIC = {"v1.1": "pdms", "v2.2": "epdms"}
SAME = 1e-6


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", type=Path, required=True, help="a checkout of the build to compare with")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:-1])
    parser.add_argument("--neighbours", nargs="+", type=int, default=[0, 2, 4])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--other-threads", nargs="+", type=int, default=[1], help="those of the other build")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--count", type=int, help="trajectories; default: the whole vocabulary")
    parser.add_argument("--label-scenes", type=int, default=24, help="scenes that are labelled")
    parser.add_argument("--golden", type=Path, help="folder of golden scenes, with v1.1 and v2.2 in it")
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser.parse_args()


def measure(workers: dict[tuple[str, int], Worker], names: list[str], repeats: int) -> Takes:
    """Wall and processor seconds of every part, build and number of threads, taken in turns."""
    takes: Takes = {(name, *key): Figures() for name in names for key in workers}
    for name in names:
        for worker in workers.values():
            worker.ask("time", name)  # warms up
    for _ in range(repeats):
        for name in names:
            for key, worker in workers.items():
                takes[(name, *key)].add(**worker.ask("time", name))
    return takes


def report_answers(this: Worker, other: Worker, names: list[str]) -> None:
    """How many entries of the answers differ between the builds."""
    for name in names:
        found, wanted = this.ask("answers", name), other.ask("answers", name)
        pairs = [(np.asarray(found[column]), np.asarray(wanted[column])) for column in wanted]
        differ = sum(np.count_nonzero(~np.isclose(a, b, rtol=0.0, atol=SAME)) for a, b in pairs)
        print(f"{name}: {differ} of {sum(a.size for a, _ in pairs)} entries of the answers differ by more than {SAME}")


def versions() -> str:
    """What the figures depend on."""
    found = [f"Python {platform.python_version()}", f"numpy {np.__version__}", f"torch {torch.__version__}"]
    try:
        found.append(f"numba {version('numba')}")
    except PackageNotFoundError:
        found.append("no numba")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{', '.join(found)}; {os.cpu_count()} cores, load {load}"


def inputs(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What every worker reads; the plans are put into ``folder``."""
    scenes = {metric: scenes_in(options.golden, version) for version, metric in METRIC.items()}
    plans = plans_from(options.vocabulary)[: options.count]
    np.save(folder / "plans.npy", plans.numpy())
    names = ", ".join(f"{Path(paths[0]).stem} ({metric})" for metric, paths in scenes.items())
    print(f"{len(plans)} trajectories; largest scenes: {names}; {len(scenes['epdms'])} scenes of EPDMS")
    return {"scenes": scenes, "plans": str(folder / "plans.npy"), "device": options.device}


def scenes_in(golden: Optional[Path], version: str) -> list[str]:
    """Golden scenes of a devkit's version, the largest file first."""
    paths = sorted((golden / version).glob("scene_*.npz")) if golden else golden_paths(version)
    if not paths:
        raise InputError(f"--golden is {golden}, but {version}/scene_*.npz is not there; leave it out, or name another")
    return [str(path.resolve()) for path in sorted(paths, key=lambda path: -path.stat().st_size)]


def time_builds(options: argparse.Namespace, start: Callable[[str, int], Worker]) -> None:
    """The tables of times, one for each number of neighbours."""
    names = [name for name in TIMED if name in options.parts]
    for count in options.neighbours if names else []:
        with ExitStack() as stack:
            stack.enter_context(neighbours(count))
            keys = [(OTHER, threads) for threads in options.other_threads]
            keys += [(THIS, threads) for threads in options.threads]
            workers = {key: stack.enter_context(start(*key)) for key in keys}
            takes = measure(workers, names, options.repeats)
            print(f"\n{count} neighbours, load {os.getloadavg()[0]:.1f}")
            report_takes(takes)
            report_threads(takes, count)


def compare_memory(start: Callable[[str, int], Worker]) -> None:
    """The peak memory of one call of each part, in a process of its own."""
    for name in MEASURED:
        memory = {}
        for build in (THIS, OTHER):
            with start(build, 1) as worker:
                memory[build] = {**worker.at_start, **worker.ask("memory", name)}
        report_memory(name, memory)


def compare_answers(start: Callable[[str, int], Worker]) -> None:
    """Whether both builds say the same."""
    print()
    with start(THIS, 1) as this, start(OTHER, 1) as other:
        report_answers(this, other, list(WHOLE))


def compare_labels(options: argparse.Namespace, roots: dict[str, Path], folder: Path) -> None:
    """Scenes a minute of both builds' own benchmark of labels, in turns."""
    words = ["--scenes", str(folder), "--vocabulary", str(options.vocabulary.resolve())]
    words += ["--count", str(options.label_scenes), "--workers", str(max(options.threads))]
    rates = {build: Figures() for build in roots}
    for _ in range(options.repeats):
        for build, root in roots.items():
            rates[build].add(**label_rates(root, words))
    print()
    report_labels(rates, max(options.threads))


def main() -> None:
    """Run the chosen parts and print their tables."""
    options = read_options()
    if options.device == "cuda":
        options.threads, options.other_threads, options.neighbours = [1], [1], [0]
    roots = {OTHER: options.other.resolve(), THIS: ROOT}
    print(f"{versions()}; {options.device}, medians of {options.repeats}; this is {ROOT}, the other {roots[OTHER]}")
    with tempfile.TemporaryDirectory() as name:
        settings = inputs(options, Path(name))

        def start(build: str, threads: int) -> Worker:
            return Worker(roots[build], {**settings, "threads": threads})

        time_builds(options, start)
        if "memory" in options.parts:
            compare_memory(start)
        if "answers" in options.parts:
            compare_answers(start)
        if "labels" in options.parts:
            compare_labels(options, roots, Path(settings["scenes"]["epdms"][0]).parent)


if __name__ == "__main__":
    main()
