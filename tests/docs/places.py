"""What documented commands leave to the reader: files and numbers to run them with, and the smallest settings.

A command that is new in the documentation is run as it is; what it leaves open has to be named here.
"""

from __future__ import annotations

from pathlib import Path

from tests.demo import PLANNER, PRETRAINING, SIZE, listed

# Documented word: what is run. ``{…}`` are the places of `tests.docs.inputs`.
WORDS = {
    "output=…": "output=out",
    "output=….npz": "output=out.npz",
    "output=….npy": "output=out.npy",
    "output=…/report.html": "output=report.html",
    "output=/data/world": "output=world",
    "output=/data/labels": "output=labels",
    "output=W/videos.jsonl": "output=videos.jsonl",
    "logs=…": "logs=1",
    "seed=…": "seed=3",
    "root=…": "root={world}",
    "root=W": "root={world}",
    "root=/data/world": "root={world}",
    "root=$OPENSCENE_DATA_ROOT": "root={world}",
    "split=…": "split=trainval",
    "layout=…": "layout=navsim",
    "data.root=…": "data.root={world}",
    "data.root=W": "data.root={world}",
    "data.root=world": "data.root={world}",
    "agent.config.scenes=…/scoring_scenes": "agent.config.scenes={world}/scoring_scenes",
    "agent.config.scenes=world/scoring_scenes": "agent.config.scenes={world}/scoring_scenes",
    "test.root=…": "test.root={unseen}",
    "test.root=OTHER_WORLD": "test.root={unseen}",
    "data_root=…": "data_root={unseen}",
    "data_root=W": "data_root={unseen}",
    "$OPENSCENE_DATA_ROOT": "{unseen}",
    "cam_l0": "cam_f0",
    "$NAVSIM_EXP_ROOT/metric_cache": "{places}/metric_cache",
    "scene=….npz": "scene={places}/scene.npz",
    "trajectories=….npy": "trajectories={places}/plans.npy",
    "scenes=…": "scenes={world}/scoring_scenes/trainval",
    "scenes=STORE": "scenes={world}/scoring_scenes/trainval",
    "scenes=/data/scenes": "scenes={world}/scoring_scenes/trainval",
    "vocabulary=….npy": "vocabulary={vocabulary}",
    "vocabulary=v.npy": "vocabulary={vocabulary}",
    "vocabulary=8192.npy": "vocabulary={vocabulary}",
    "source=public/8192.npy": "source={vocabulary}",
    "labels=LABELS": "labels={demo}/labels",
    "+runs.<name>=…": "+runs.mine={demo}/trainings/drive_jepa",
    "+runs.mine=RUN": "+runs.mine={demo}/trainings/drive_jepa",
    "+checkpoints.mine=RUN/checkpoints/*.ckpt": "+checkpoints.mine={demo}/trainings/drive_jepa/checkpoints/*.ckpt",
    "checkpoints=RUN/checkpoints/*.ckpt": "checkpoints={demo}/trainings/drive_jepa/checkpoints/*.ckpt",
    "checkpoints=MORE/checkpoints/epoch*.ckpt": "checkpoints={demo}/trainings/drive_jepa/checkpoints/best*.ckpt",
    "agent.checkpoint_path=RUN/checkpoints/last.ckpt": (
        "agent.checkpoint_path={demo}/trainings/drive_jepa/checkpoints/last.ckpt"
    ),
    "agent.config.scenes=W/scoring_scenes": "agent.config.scenes={world}/scoring_scenes",
    "evaluation=…": "evaluation={demo}/evaluation",
    "+tables.ours=….csv": "+tables.ours={demo}/evaluation/drive_jepa.epdms.csv",
    "+tables.theirs=….csv": "+tables.theirs={demo}/evaluation/constant_velocity.epdms.csv",
    "+tables.ours=OUT/mine.epdms.csv": "+tables.ours={demo}/evaluation/drive_jepa.epdms.csv",
    "+tables.theirs=2025.09.01.csv": "+tables.theirs={demo}/evaluation/constant_velocity.epdms.csv",
    "drives=OUT/mine.csv": "drives={demo}/evaluation/drive_jepa.csv",
    "submission=….pkl": "submission={places}/submission.pkl",
    "submission=submission.pkl": "submission={places}/submission.pkl",
    "tokens=….yaml": "tokens={places}/navtest.yaml",
    "given.root=W": "given.root={world}",
    "given.scenes=W/scoring_scenes": "given.scenes={world}/scoring_scenes",
    "given.labels=LABELS": "given.labels={demo}/labels",
    "given.vocabulary=….npy": "given.vocabulary={vocabulary}",
    "given.encoder=….pt": "given.encoder={checkpoint}",
    "given.test_root=OTHER_WORLD": "given.test_root={unseen}",
    "+encoders.<name>=…": "+encoders.mine={checkpoint}",
    "+encoders.ours=RUN/checkpoints/step_00000200.pt": "+encoders.ours={checkpoint}",
    "+encoders.ours=….pt": "+encoders.ours={checkpoint}",
    "model.init_from=/weights/vitl.pt": "model.init_from={checkpoint}",
    "input=…": "input={checkpoint}",
    "input=/weights/vitl.pt": "input={checkpoint}",
    "input=VITL": "input={checkpoint}",
    "output=….pt": "output=out.pt",
    "data=…": "data=world data.data_sets.world.manifest={manifest} data.data_sets.world.root={world}",
    "data.data_sets.world.manifest=W/videos.jsonl": "data.data_sets.world.manifest={manifest}",
    "data.data_sets.world.root=W": "data.data_sets.world.root={world}",
    "data.data_sets.openscene.manifest=…": "data.data_sets.openscene.manifest={places}/openscene.jsonl",
    "data.data_sets.openscene.root=…": "data.data_sets.openscene.root={world} "
    "~data.data_sets.covla ~data.data_sets.drivingdojo",
    "manifest=covla.jsonl": "manifest={places}/covla.jsonl",
    "root=COVLA": "root={places}/covla",
    "root=DOJO": "root={places}/dojo",
    "root=ARGOVERSE/sensor/val": "root={places}/argoverse",
    "output=STORE": "output=store",
    "FOLDER": "{world}/scoring_scenes/trainval",
    "outputs/demo": "{demo}",
    "run": "{demo}/trainings/drive_jepa",
    "world": "{unseen}",
    "[picture.png]": "picture.png",
    "8": "1",
    "--reference": "",
    "VJEPA2": "",
    "<what_the_training_step_consumes>": "2",
    "…": "",
}
for _name in ("tokens", "forbidden_logs"):
    _filter = "$NAVSIM_DEVKIT_ROOT/navsim/planning/script/config/common/train_test_split/scene_filter/navtest.yaml"
    WORDS[f"{_name}={_filter}"] = f"{_name}={{places}}/navtest.yaml"

# Words that mean something else in one command.
WORDS_OF = {
    ("cache_tools.index_videos", "…"): "layout=navsim root={world} output=m.jsonl",
    ("benchmarks.pretraining", "8"): "8",
    ("benchmarks.clip_loading", "8"): "8",
    ("benchmarks.scoring_builds", "../old"): str(Path(__file__).resolve().parents[2]),
}

ENCODER = ["--preset", "tiny", "--clip", "2", "32", "64", "--batch", "1", "--repeats", "1", "--device", "cpu"]
TRAINING = [
    "trainer.params.max_epochs=1",
    "trainer.params.accelerator=cpu",
    "dataloader.params.batch_size=2",
    "cache.workers=0",
]

ONE_STEP = ("schedule.epochs=1", "schedule.iterations_per_epoch=1")
ROWS_OF_FULL_PLANNER = ("base", "without_distillation", "without_distillation_momentum", "momentum")
ABLATED = [f"~rows.drive_jepa_{name}" for name in ROWS_OF_FULL_PLANNER] + [
    f"rows.drive_jepa.overrides={listed(*PLANNER)}"
]

# Program: further words that make it small.
SMALLEST = {
    "navsim_agents.world": ["logs=1", "duration_s=6", "cameras=[]"],
    "training.recoveries": ["logs=1", "duration_s=6", "cameras=[]", "share=1", "workers=1"],
    "cache_tools.build_vocabulary": ["k=5"],
    "cache_tools.score_vocabulary": ["workers=0"],
    "cache_tools.index_videos": ["workers=0"],
    "cache_tools.convert_argoverse": ["workers=0"],
    "cache_tools.resize_videos": ["workers=0", "height=32", "width=64"],
    "training.pretrain": [*PRETRAINING, "precision=float32", "schedule.epochs=1", "schedule.iterations_per_epoch=2"],
    "training.probe": [*SIZE, *TRAINING, "seeds=[0]"],
    "training.compare_pretrainings": [
        f"pretraining={listed(*PRETRAINING, 'precision=float32', *ONE_STEP)}",
        f"probe={listed(*SIZE, 'measures=[linear_fit]')}",
        *("~rows.paper", "seeds=[0]", "workers=1"),
    ],
    "training.train": [*SIZE, *PLANNER, *TRAINING],
    "training.ablate": [f"training={listed(*SIZE, *TRAINING)}", "seeds=[0]", "max_scenes=2", "workers=0", *ABLATED],
    "training.evaluate": ["max_scenes=2"],
    "training.drive": ["routes=1", "time_limit_s=1", "towns=[us-ma-boston]"],
    "training.report": ["num_failures=1"],
    "training.feature_pca": ["encoder=tiny", "num_frames=4", "height=32", "width=64"],
    "benchmarks.encoder": ENCODER,
    "benchmarks.pretraining": [*ENCODER, "--clip", "4", "32", "64"],
    "benchmarks.scoring": ["--parts", "vocabulary", "--vocabulary", "{vocabulary}", "--repeats", "1"],
    "benchmarks.scoring_builds": [
        *("--parts", "epdms", "index", "memory", "--vocabulary", "{vocabulary}"),
        *("--neighbours", "1", "--threads", "1", "--repeats", "1"),
    ],
    "benchmarks.reward": ["--batch", "3", "--plans", "4", "--calls", "1", "--repeats", "1"],
    "benchmarks.training_step": ["--batch", "2", "--repeats", "1"],
    "benchmarks.reactive_traffic": ["--plans", "3"],
    "benchmarks.latency": ["--agent", "drive_jepa_small", "--frames", "1"],
    "benchmarks.labels": ["--vocabulary", "{vocabulary}", "--count", "2", "--workers", "1"],
    "benchmarks.clip_loading": ["--seconds", "5", "--clips", "1", "--repeats", "1"],
    "venv": ["--without-pip"],
}

# Part of a command: why it is not run here.
NOT_RUN = {
    "git clone <this repository>": "needs a network",
    "cd navsim-drive-jepa": "follows the clone",
    "pip install": "needs a network; tests/test_installation.py installs in each way without one",
    "--device cuda": "needs a GPU",
    "benchmarks.scoring --parts devkit": "needs a devkit's metric cache; measured by hand",
    "benchmarks.reactive_traffic --metric-cache": "needs a devkit's metric cache; measured by hand",
    "benchmarks.reward --workers 8 --backend ray": "needs Ray; tests/reward runs actors where it is",
    "benchmarks.reward --metric-cache": "needs a devkit's metric cache; measured by hand",
    "benchmarks.training_step --metric-cache": "needs a devkit's metric cache; measured by hand",
    "--scene-filter navtrain": "needs a devkit's split; tests/devkit/test_doctor.py names one",
    "--follow-ups": "needs a devkit's split; tests/devkit_alone/test_follow_up_health.py runs it",
    "drive-jepa ablate output=": "makes worlds, for more than an hour; with worlds that are there it is run",
    "drive-jepa compare-pretrainings output=": "makes worlds, for half an hour; with worlds that are there it is run",
    "drive-jepa serve": "waits for a simulator; tests/training/test_serve.py runs it where its package is",
    "+served.mine": "needs a server; tests/closed_loop/test_served_planner.py drives with one where its package is",
    "benchmarks.serving": "its package is not for Python 3.9; tests/alpasim/test_benchmark.py runs it where it is",
    "root=CLIPS": "needs clips of Bench2Drive; tests/bench2drive/test_training.py runs the chain on clips of its own",
    "scenes=INDEX/scoring_scenes": "reads what the commands above write; run by the same test",
    "format=bench2drive": "renders for a minute; tests/world/test_clips.py runs it with plain pictures",
    "drive-jepa bench2drive-routes": "needs CARLA; tests/bench2drive/test_route_runs.py runs it with a small evaluator",
    "drive-jepa bench2drive-table": "needs results of CARLA; tests/cache_tools/test_bench2drive_table.py runs it",
    "tools/merge_route_json.py": "Bench2Drive's own script",
    "tools/efficiency_smoothness_benchmark.py": "Bench2Drive's own script",
    "drive-jepa demo output=": "the demo of tests/demo.py, which every other command here reads",
}
# Part of a command that needs a devkit: tests/devkit/test_documented_commands.py composes it with each.
WITH_DEVKIT = (
    "/run_",
    "drive-jepa export-scenes",
    "drive-jepa compare-with-devkit",
    "source=devkit",
    "protocol=two_stage",  # these two are run there, too, by test_two_stage_agents.py
    "drive-jepa score-submission",
)

# Lines of code blocks that are no commands, by how they begin.
NO_COMMANDS = (". /data/world/devkit.env", "queries = ", "4 times", "answer: ")
