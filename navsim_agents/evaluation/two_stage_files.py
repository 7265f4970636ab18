"""What a two-stage evaluation leaves beside the plans: the devkit's table of every agent, and averages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from navsim_agents.common.conventions import EPDMS_NAME
from navsim_agents.common.files import write_text
from navsim_agents.data.split_mapping import TwoStageMapping
from navsim_agents.errors import DevkitError, InputError, SceneError, WorldDataError
from navsim_agents.evaluation.planning import Evaluation
from navsim_agents.evaluation.two_stage import SCORE_NAME, TwoStageScores
from navsim_agents.evaluation.two_stage_scores import (
    GroupScores,
    average_groups,
    lack_of,
    reason_of,
    score_scenes_of_both_stages,
)
from navsim_agents.scoring.config import REACTIVE
from navsim_agents.scoring.traffic.checks import require_traffic
from navsim_agents.sources import SceneSource, TwoStageScenes

NUM_SHOWN = 5


def write_two_stage(
    result: Evaluation, source: SceneSource, mapping: TwoStageMapping, output: Path, traffic: str
) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """Score the plans, write ``<agent>.two_stage.csv`` into ``output``, and return averages.

    Args:
        result: plans of scenes of both stages.
        source: of the scoring scenes.
        mapping: groups that were asked for; one that lacks a plan or a scene is left out and named.
        output: folder.
        traffic: log_replay or reactive, in both stages.

    Returns:
        Averages by agent, under the names of :func:`averages_of`; and what the summary says of groups and scenes.

    Raises:
        InputError: not one group of any agent is whole.
        TrajectoryError: there is no such traffic.
    """
    tokens = [scene["token"] for scene in result.scenes]
    plans = {name: np.stack(poses) for name, poses in result.plans.items()}
    scored = score_scenes_of_both_stages(source.scoring_scene, tokens, plans, traffic=traffic)
    found: dict[str, GroupScores] = {}
    for name in plans:
        reasons = {**_reasons(result, mapping, name), **scored.reasons}
        found[name] = average_groups(scored.scores.get(name), mapping, reasons)
        if (scores := found[name].scores) is not None:
            write_text(output / f"{name}.two_stage.csv", scores.table().to_csv())
    if all(groups.scores is None for groups in found.values()):
        first, why = next(iter(next(iter(found.values())).left_out.items()))
        raise InputError(f"not one of {len(mapping.groups)} groups can be scored; that of {first}: {why}")
    averages = {name: averages_of(groups.scores) for name, groups in found.items() if groups.scores is not None}
    about = {
        "traffic": traffic,
        "num_groups": len(mapping.groups),
        "left_out": {name: groups.left_out for name, groups in found.items()},
        "unscored": scored.reasons,
    }
    return averages, about


def refuse_without_group(mapping: TwoStageMapping, source: SceneSource, traffic: str) -> None:
    """Before anything is planned: one group at least has all that scores need, beside the plans.

    Args:
        mapping: groups that were asked for; where there are none, nothing is looked at.
        source: of the scenes.
        traffic: log_replay or reactive.

    Raises:
        InputError: no group has.
    """
    first = ""
    for group in mapping.groups:
        reasons = {token: why for token in group.tokens if (why := _why_unscored(token, source, traffic))}
        if not reasons:
            return
        first = first or f"that of {group.now}: {lack_of(group, list(reasons), reasons)}"
    if first:
        raise InputError(f"not one of {len(mapping.groups)} groups can be scored; {first}")


def _why_unscored(token: str, source: SceneSource, traffic: str) -> str:
    """Why no plan can be scored in a scene, or its pickle not be read; empty where nothing is known against it."""
    try:
        scene = source.scoring_scene(token)
        if traffic == REACTIVE:
            require_traffic(scene)
        if isinstance(source, TwoStageScenes):
            source.check_follow_up(token)
    except (InputError, SceneError, DevkitError, WorldDataError) as error:
        return reason_of(error)
    return ""


def _reasons(result: Evaluation, mapping: TwoStageMapping, agent: str) -> dict[str, str]:
    """Token → why ``agent`` has no plan there."""
    found = {failure["token"]: failure["reason"] for failure in result.failures if failure["agent"] in ("", agent)}
    seen = {scene["token"] for scene in result.scenes} | found.keys()
    absent = [token for token in mapping.first_stage if token not in seen]
    return {**dict.fromkeys(absent, "its logs do not hold such a scene; check data_root, split and log_names"), **found}


def averages_of(scores: TwoStageScores) -> dict[str, float]:
    """``epdms_stage_one``, ``epdms_stage_two``, ``epdms_combined``, and sub-scores as ``epdms.<name>_stage_one``."""
    rows = scores.averages.items()
    main = {f"{EPDMS_NAME}_{stage}": columns[SCORE_NAME] for stage, columns in rows}
    parts = {
        f"{EPDMS_NAME}.{name}_{stage}": value
        for stage, columns in rows
        for name, value in columns.items()
        if name != SCORE_NAME
    }
    return {name: round(value, 6) for name, value in {**main, **parts}.items()}


def groups_in_words(about: Mapping[str, Any]) -> Sequence[str]:
    """How many groups each agent's averages are of, with the first reasons why others are not among them."""
    lines = [f"two stages, traffic={about['traffic']}"]
    for agent, left_out in about["left_out"].items():
        number = about["num_groups"] - len(left_out)
        lines.append(f"{agent}: averages of {number} of {about['num_groups']} groups")
        if left_out:
            lines[-1] += "; NAVSIM's script would end without any score"
        lines += [f"  left out: group of {token}: {why}" for token, why in list(left_out.items())[:NUM_SHOWN]]
    return lines
