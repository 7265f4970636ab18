"""The command itself on the real towns: two processes write what one writes, and its drives can be driven again."""

import numpy as np
import pytest

pytest.importorskip("geopandas")

from navsim_agents.data.logs import SceneLoader
from navsim_agents.world.load import load_world
from tests.world.small_world import run_command

SETTINGS = ["logs=2", "seed=5", "duration_s=7", "cameras=[]"]


@pytest.mark.slow
def test_processes_do_not_change_what_is_written(tmp_path):
    done = run_command(tmp_path / "one", *SETTINGS)
    assert done.returncode == 0, done.stderr
    assert "train: 1 logs, 2 scenes of 4 + 10 frames" in done.stdout
    assert run_command(tmp_path / "two", *SETTINGS, "workers=2").returncode == 0
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) == 2 + 2 + 1 + 4 + 3  # logs, index and shell file, map index, maps, store of scoring scenes
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)

    world = load_world(tmp_path / "one")
    for split in ("train", "val"):
        drive = world.drive(world.splits[split][0])
        loader = SceneLoader(world.root, "trainval", sensors=(), log_names=[drive.log_name], frame_interval=1)
        for number, token in enumerate(loader.tokens):
            now = 5 * (3 + number)
            scene = loader.get_scene(token)
            np.testing.assert_allclose(scene.current_pose, drive.ego.poses[now], atol=1e-9)
            speeds = [frame.ego_status.ego_velocity[0] for frame in scene.frames]
            np.testing.assert_allclose(speeds, drive.ego.velocities[now - 15 : now + 51 : 5, 0], atol=1e-5)

    refused = run_command(tmp_path / "one", *SETTINGS, "seed=6")
    assert refused.returncode != 0
    assert "holds a world of seed=5, but seed=6 is asked for" in refused.stderr
