"""What a command that wrote a world says at its end."""

from __future__ import annotations

from navsim_agents.world.config import BENCH2DRIVE, WorldConfig
from navsim_agents.world.plan import WorldIndex
from navsim_agents.world.writers.shell import SHELL_NAME


def summary(config: WorldConfig, index: WorldIndex) -> str:
    """What was written and how to point NAVSIM's scripts at it."""
    from navsim_agents.world.scoring_scenes.store import STORES_FOLDER  # needs the extra world

    output = config.output
    if config.format == BENCH2DRIVE:
        return clips_summary(config, index)
    lines = [f"World in {output}:"]
    for split, names in index.splits.items():
        scenes = sum(log.num_scenes() for log in index.logs if log.split == split)
        if names:
            lines.append(f"  {split}: {len(names)} logs, {scenes} scenes of 4 + 10 frames at frame_interval=1")
    if config.scoring_scenes:
        lines.append(f"For drive-jepa evaluate, PDMS and EPDMS without the devkit: {output}/{STORES_FOLDER}")
    lines += follow_up_lines(config, index) if config.two_stage else []
    return "\n".join([*lines, f"For NAVSIM's scripts: . {output}/{SHELL_NAME}"])


def clips_summary(config: WorldConfig, index: WorldIndex) -> str:
    """What was written of clips, and who reads it."""
    from navsim_agents.world.clips import CLIPS_FOLDER, MAPS_FOLDER  # needs the extra world

    root = config.output
    lines = [f"World in {root}, as clips of Bench2Drive:"]
    lines += [f"  {split}: {len(names)} clips" for split, names in index.splits.items() if names]
    where = f"root={root}/{CLIPS_FOLDER} maps={root}/{MAPS_FOLDER}"
    return "\n".join(
        [*lines, f"For drive-jepa train agent=drive_jepa_bench2drive: drive-jepa index-bench2drive {where}"]
    )


def follow_up_lines(config: WorldConfig, index: WorldIndex) -> list[str]:
    """How many follow-up scenes there are, which plans have none, and who finds them how."""
    from navsim_agents.world.follow_ups.record import all_pairs  # needs the extra world
    from navsim_agents.world.writers.follow_ups import FOLDER
    from navsim_agents.world.writers.split import CONFIG_FOLDER, SPLIT_NAME

    pairs = all_pairs(config, index)
    lines = [f"  {FOLDER}: {sum(len(pair.plans) for pair in pairs)} follow-up pairs of {len(pairs)} pairs of scenes"]
    for pair in pairs:
        lines += [f"    left out {pair.tokens[0]}, {plan}: {reason}" for plan, reason in pair.left_out.items()]
    if config.scoring_scenes:
        split = f"{config.output}/{CONFIG_FOLDER}/train_test_split/{SPLIT_NAME}.yaml"
        lines.append(f"For drive-jepa evaluate: protocol=two_stage data_root={config.output} tokens={split}")
    where = f"--config-dir {config.output}/{CONFIG_FOLDER} train_test_split={SPLIT_NAME}"
    return [*lines, f"For NAVSIM 2's two-stage scripts, in any of them: {where}"]
