"""Reads a NAVSIM submission without the devkit, and says what would trouble the evaluation server.

Formats: v1.1 keeps ``predictions``, a list of {token: trajectory}, one dict a seed; v2.2 keeps
``first_stage_predictions`` and ``second_stage_predictions`` (NAVSIM's ``run_create_submission_pickle``, and alike its
``run_create_submission_pickle_challenge``), whose scenes a split's mapping ties together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Optional

import numpy as np

from navsim_agents.common.conventions import HORIZON_S, NUM_POSES, NUM_STEPS, POSE_INTERVAL_S, STEP_S
from navsim_agents.common.poses import HEADING, LARGEST_M, XY, are_poses
from navsim_agents.data.names import WAY_OUT, is_text
from navsim_agents.data.plan_slips import likely_slips
from navsim_agents.data.restricted_pickle import RestrictedUnpickler, plain_value
from navsim_agents.data.split_mapping import SECOND_STAGE_TOKEN_LENGTH, TwoStageMapping
from navsim_agents.errors import WorldDataError

V1_KEY = "predictions"
V2_KEYS = ("first_stage_predictions", "second_stage_predictions")
TEXT_KEYS = ("team_name", "email", "institution", "country / region")
MAX_DISTANCE_M = 300.0  # 75 m/s over 4 s: no plan in metres of the ego frame goes further
NUM_EXAMPLES = 3


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or that looks wrong."""

    is_error: bool  # the server refuses or mis-scores it; otherwise a warning
    where: str
    text: str

    def __str__(self) -> str:
        return f"{'ERROR  ' if self.is_error else 'warning'}  {self.where}: {self.text}"


class SubmittedTrajectory:
    """Stands for NAVSIM's ``Trajectory``."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = plain_value(state)
        self.poses = values.get("poses")
        self.sampling = values.get("trajectory_sampling")


class SubmittedSampling:
    """Stands for nuPlan's ``TrajectorySampling``."""

    num_poses: Optional[int] = None
    interval_length: Optional[float] = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.num_poses = state.get("num_poses")
        self.interval_length = state.get("interval_length")


class SubmittedConfig:
    """Stands for any of OmegaConf's classes: the script stores the authors as a node of its whole configuration."""

    def __init__(self, *_: Any) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}

    @property
    def content(self) -> Any:
        """What the node holds: a list's or a value's."""
        value = self.state.get("_content", self.state.get("_val"))
        return (
            [item.content for item in value if isinstance(item, SubmittedConfig)] if isinstance(value, list) else value
        )


class SubmissionUnpickler(RestrictedUnpickler):
    """Plain data, the two classes of a submission, and empty shells for configuration."""

    _allowed: ClassVar[dict[tuple[str, str], Any]] = {
        **RestrictedUnpickler._allowed,
        **{("builtins", kind.__name__): kind for kind in (list, dict, tuple, str, int, float, bool)},
        ("collections", "defaultdict"): defaultdict,
        ("typing", "Any"): Any,
        ("navsim.common.dataclasses", "Trajectory"): SubmittedTrajectory,
        ("nuplan.planning.simulation.trajectory.trajectory_sampling", "TrajectorySampling"): SubmittedSampling,
    }

    def find_class(self, module_name: str, global_name: str) -> Any:
        """The stand-in for a permitted name."""
        if module_name.split(".")[0] == "omegaconf":
            return SubmittedConfig
        return super().find_class(module_name, global_name)


@dataclass(frozen=True)
class ExpectedTokens:
    """Scenes that the split has; None where it is not known."""

    first_stage: Optional[frozenset[str]] = None
    second_stage: Optional[frozenset[str]] = None
    note: str = ""  # what is odd about the list itself
    mapping: Optional[TwoStageMapping] = None  # which of them belong together


@dataclass
class SubmissionReport:
    """What was found."""

    version: str = "unknown"
    num_trajectories: int = 0
    coverage: list[tuple[int, Optional[int]]] = field(default_factory=list)  # scenes there, and wanted, of each list
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        """Whether there is no error; warnings do not count."""
        return not any(problem.is_error for problem in self.problems)

    @property
    def scope(self) -> str:
        """Which scenes of the split are there, in words."""
        known = [(found, wanted) for found, wanted in self.coverage if wanted is not None]
        if not known:
            return "completeness not checked: give tokens=…"
        found, wanted = (sum(column) for column in zip(*known))
        text = f"{'all ' if found == wanted else f'{found} of '}{wanted} scenes of the split"
        return text if len(known) == len(self.coverage) else f"{text}; other lists not checked"

    def error(self, where: str, text: str) -> None:
        """Note something that the server will not take."""
        self.problems.append(Problem(True, where, text))

    def warn(self, where: str, text: str) -> None:
        """Note something that is allowed but probably not intended."""
        self.problems.append(Problem(False, where, text))


def load_submission(path: Path) -> Any:
    """What a submission file holds, with stand-ins for the devkit's two classes.

    Raises:
        WorldDataError: no such file, damaged, or it holds more than trajectories of NumPy arrays and text.
    """
    try:
        with path.open("rb") as stream:
            return plain_value(SubmissionUnpickler(stream).load())
    except OSError as error:
        raise WorldDataError(f"{path} cannot be read ({error.strerror}); give the path of submission.pkl") from error
    except Exception as error:  # a damaged or crafted pickle may raise anything; all of it means the same
        raise WorldDataError(
            f"{path} is not a readable submission: {error}. It holds text and navsim Trajectory objects with NumPy "
            "poses; convert tensors with .numpy(), and write it again with run_create_submission_pickle"
        ) from error


def check_submission(content: Any, expected: ExpectedTokens) -> SubmissionReport:
    """Everything that is wrong with a submission's content, in order of where it is."""
    report = SubmissionReport()
    if not isinstance(content, dict):
        report.error("file", f"holds a {type(content).__name__}, but a submission is a dict; write it again")
        return report
    if expected.note:
        report.warn("tokens", expected.note)
    _check_team(content, report)
    stages = _stages(content, expected, report)
    known = frozenset[str]().union(*(wanted or () for wanted in stages.values()))
    for key, wanted in stages.items():
        _check_stage(key, content[key], wanted, known, report)
    if V1_KEY not in stages:
        _check_both_stages({key: _tokens_of(content[key]) for key in stages}, expected, report)
    return report


def _check_team(content: Mapping[str, Any], report: SubmissionReport) -> None:
    """Who submits: text, and a list of authors."""
    for key in TEXT_KEYS:
        if not isinstance(content.get(key), str) or not content[key].strip():
            report.error(key, f"is {content.get(key)!r}, but must be text; give it to run_create_submission_pickle")
    authors = content.get("authors")
    authors = authors.content if isinstance(authors, SubmittedConfig) else authors
    is_list = isinstance(authors, (list, tuple)) and bool(authors)
    if not is_list and not (isinstance(authors, str) and authors.strip()):
        report.error("authors", f"is {authors!r}, but must name somebody; give authors=[…]")


def _stages(
    content: Mapping[str, Any], expected: ExpectedTokens, report: SubmissionReport
) -> dict[str, Optional[frozenset[str]]]:
    """The lists of predictions that are there, with the tokens that each should have."""
    present = [key for key in V2_KEYS if key in content]
    if V1_KEY in content and present:
        report.error("file", f"has both {V1_KEY} (v1.1) and {present[0]} (v2.2); keep those of one version")
    if V1_KEY in content:
        report.version = "v1.1"
        if expected.second_stage:
            text = f"is of one stage (v1.1), but the split has {len(expected.second_stage)} scenes of a second one"
            report.error("file", f"{text}, which v2.2 alone knows; write it by v2.2's run_create_submission_pickle")
        return {V1_KEY: expected.first_stage}
    report.version = "v2.2" if present else "unknown"
    for key in V2_KEYS:
        if key not in content:
            report.error("file", f"has no {key}; v2.2 needs {' and '.join(V2_KEYS)}, v1.1 {V1_KEY}: use its own script")
    wanted = dict(zip(V2_KEYS, (expected.first_stage, expected.second_stage)))
    return {key: wanted[key] for key in present}


def _check_stage(
    key: str, seeds: Any, wanted: Optional[frozenset[str]], known: frozenset[str], report: SubmissionReport
) -> None:
    """One list of {token: trajectory}."""
    if not isinstance(seeds, list) or not seeds or not all(isinstance(seed, dict) for seed in seeds):
        report.error(key, "must be a list of at least one {token: trajectory}; write it again")
        return
    if key != V1_KEY and len(seeds) != 1:
        report.error(key, f"has {len(seeds)} dicts, but v2.2 evaluates one; submit them one by one")
    for index, predictions in enumerate(seeds):
        where = key if len(seeds) == 1 else f"{key}[{index}]"
        _check_tokens(where, predictions, wanted, known, report)
        faults = {token: list(faults_of(token, value)) for token, value in predictions.items()}
        for text in sorted({text for texts in faults.values() for text in texts}):
            tokens = [token for token, texts in faults.items() if text in texts]
            report.error(where, f"{text} ({len(tokens)} scenes: {_some(tokens)})")
        _check_plausibility(where, predictions, report)
        report.num_trajectories += len(predictions)


def _check_tokens(
    where: str,
    predictions: Mapping[Any, Any],
    wanted: Optional[frozenset[str]],
    known: frozenset[str],
    report: SubmissionReport,
) -> None:
    """Every scene of the split, and none that is not ``known``; those of the other stage are told elsewhere."""
    report.coverage.append((len(set(predictions) & (wanted or set())), None if wanted is None else len(wanted)))
    if wanted is None:
        if not predictions:
            report.warn(where, "is empty; a split with this stage needs its scenes (give tokens=… to check)")
        return
    missing, extra = wanted - set(predictions), set(predictions) - known
    if missing:
        report.error(
            where,
            f"lacks {len(missing)} of {len(wanted)} scenes ({_some(missing)}): an agent that fails on a scene leaves "
            "it out with no more than a warning; look for 'Agent failed' in the script's output",
        )
    numbers = [token for token in missing if not is_text(token)]
    if numbers:
        report.warn(
            where,
            f"{len(numbers)} missing tokens look like numbers ({_some(numbers)}), which YAML and Hydra's overrides "
            f'turn into other names: {WAY_OUT}, as in scene_filter.tokens=["…"]',
        )
    if extra:
        report.error(where, f"has {len(extra)} scenes that the split does not have ({_some(extra)}); use its split")


def _tokens_of(seeds: Any) -> frozenset[str]:
    """Tokens in one list of predictions, whatever else is wrong with it."""
    dicts = [seed for seed in seeds if isinstance(seed, dict)] if isinstance(seeds, list) else []
    return frozenset(token for seed in dicts for token in seed if isinstance(token, str))


def _check_both_stages(
    tokens: Mapping[str, frozenset[str]], expected: ExpectedTokens, report: SubmissionReport
) -> None:
    """Every scene in the list of its stage, and every group of scenes whole."""
    first, second = (tokens.get(key, frozenset()) for key in V2_KEYS)
    if first & second:
        report.error("both stages", f"have {len(first & second)} scenes in common ({_some(first & second)}); keep one")
    of_second = expected.second_stage
    swapped = (
        {token for token in first if (token in of_second if of_second else len(token) == SECOND_STAGE_TOKEN_LENGTH)},
        second & expected.first_stage if expected.first_stage else set(),
    )
    for key, other, wrong in zip(V2_KEYS, V2_KEYS[::-1], swapped):
        if wrong:
            report.error(key, f"has {len(wrong)} scenes of the other stage ({_some(wrong)}); put them into {other}")
    groups = expected.mapping.groups if expected.mapping else ()
    broken = [group for group in groups if not (first | second).issuperset(group.tokens)]
    if broken:
        report.error(
            "both stages",
            f"leave {len(broken)} of {len(groups)} groups of scenes incomplete (those of "
            f"{_some([group.now for group in broken])}): run_pdm_score_from_submission then ends without any score",
        )


def faults_of(token: Any, value: Any) -> Iterator[str]:
    """What makes one prediction unusable."""
    if not isinstance(token, str):
        yield f"tokens are {type(token).__name__}, but must be text; convert them with str()"
    if not isinstance(value, SubmittedTrajectory):
        yield f"holds a {type(value).__name__}, but must be a navsim Trajectory; return one from compute_trajectory"
        return
    poses, sampling = value.poses, value.sampling
    if not isinstance(poses, np.ndarray) or poses.dtype.kind != "f":
        kind = poses.dtype if isinstance(poses, np.ndarray) else type(poses).__name__
        yield f"poses are {kind}, but must be a floating-point NumPy array; use .numpy() and float32"
        return
    if poses.ndim != 2 or poses.shape[1] != 3 or not isinstance(sampling, SubmittedSampling):
        yield f"poses have shape {poses.shape}, but must be [P, 3] with a TrajectorySampling"
        return
    num_poses, interval_s = sampling.num_poses, sampling.interval_length
    if num_poses != len(poses) or not interval_s or abs(num_poses * interval_s - HORIZON_S) > 1e-6:
        yield (
            f"{len(poses)} poses with sampling num_poses={num_poses}, interval_length={interval_s}, but they must be "
            f"as many and cover {HORIZON_S:g} s; plan {NUM_POSES} poses at {POSE_INTERVAL_S} s or "
            f"{NUM_STEPS} at {STEP_S} s"
        )
    if not np.isfinite(poses).all():
        yield "poses are not finite; clean the plans"
    elif not are_poses(poses):
        yield f"poses lie beyond {LARGEST_M:g} m, which is no place on a map; clean the plans"


def _check_plausibility(where: str, predictions: Mapping[Any, Any], report: SubmissionReport) -> None:
    """Units, frames and headings that the server takes and scores badly."""
    usable = {token: value for token, value in predictions.items() if not list(faults_of(token, value))}
    if not usable:
        return
    far = [token for token, value in usable.items() if np.abs(value.poses[:, XY]).max() > MAX_DISTANCE_M]
    if far:
        report.warn(
            where,
            f"{len(far)} plans leave {MAX_DISTANCE_M:g} m ({_some(far)}): poses are metres in the ego frame of now",
        )
    turned = [token for token, value in usable.items() if np.abs(value.poses[:, HEADING]).max() > 2.0 * np.pi]
    if turned:
        report.warn(where, f"{len(turned)} plans have headings beyond 2 pi ({_some(turned)}): are they degrees?")
    rest = [value for token, value in usable.items() if token not in {*far, *turned}]
    if rest:
        intervals = [value.sampling.interval_length for value in rest]
        for text in likely_slips([value.poses for value in rest], intervals):
            report.warn(where, text)


def _some(tokens: Collection[Any]) -> str:
    """A few of them."""
    names = sorted(map(str, tokens))
    return ", ".join(names[:NUM_EXAMPLES]) + (", …" if len(names) > NUM_EXAMPLES else "")
