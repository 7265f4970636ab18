"""What a data set of clips holds and what of it cannot be read, clip by clip, and its scoring scenes.

Layout of the folder that is written::

    <output>/index.json        all clips in words and numbers
    <output>/scoring_scenes/   a scene store: what drive-jepa score-vocabulary and the training read
    <output>/lanes/            what was read of each map
    <output>/clips/<name>.json, <output>/parts/<name>/   of one clip each, so that an interrupted run goes on
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Optional

from navsim_agents.bench2drive.clip_scenes import build_scene, scene_indices, scene_token
from navsim_agents.bench2drive.clip_source import fingerprint_of, picture_faults
from navsim_agents.bench2drive.clip_tracks import vanished
from navsim_agents.bench2drive.clips import STRIDE, Clip, ClipName, find_clips, read_clip
from navsim_agents.bench2drive.frames import folder_of
from navsim_agents.bench2drive.maps import HdMap, map_path, map_stamp, shared_map
from navsim_agents.common.files import read_json, reading, whole_folder, write_json
from navsim_agents.data.pictures import PictureCheck, picture_fault
from navsim_agents.errors import InputError, SceneError, WorldDataError
from navsim_agents.scoring import ScoringScene
from navsim_agents.scoring.scene_store import SceneStore, SceneStoreWriter

INDEX_FILE, SCENES_FOLDER, LANES_FOLDER = "index.json", "scoring_scenes", "lanes"
CLIPS_FOLDER, PARTS_FOLDER = "clips", "parts"
NUM_SHOWN = 5


@dataclass(frozen=True)
class ClipRow:
    """What is known of one clip. Frames are by number; of faults those are listed that have one."""

    name: str
    fingerprint: str
    town: str = ""
    num_frames: int = 0
    error: str = ""  # why nothing of the clip can be read
    unreadable: dict[str, str] = field(default_factory=dict)  # frame -> reason
    pictures: dict[str, dict[str, str]] = field(default_factory=dict)  # camera -> frame -> what is wrong
    vanished: dict[str, int] = field(default_factory=dict)  # actor -> last frame, near the ego before the clip's end
    scenes: list[str] = field(default_factory=list)  # tokens of the scoring scenes
    left_out: dict[str, str] = field(default_factory=dict)  # token -> why it has none


@dataclass(frozen=True)
class IndexJob:
    """All that a process needs for one clip."""

    folder: Path
    maps: Path
    output: Path
    cameras: tuple[str, ...]
    check: str  # of PictureCheck
    frame_interval: int

    @property
    def town(self) -> str:
        """By the clip's name.

        Raises:
            WorldDataError: it is no clip's.
        """
        return ClipName.parse(self.folder.name).town

    @property
    def fingerprint(self) -> str:
        """Changes with the clip, its pictures, its map and what is asked."""
        asked = (map_stamp(map_path(self.maps, self.town)), self.cameras, self.check, self.frame_interval)
        return fingerprint_of(self.folder, repr(asked), repr([self._pictures(camera) for camera in self.cameras]))

    def _pictures(self, camera: str) -> list[tuple[str, int]]:
        """Names and sizes [bytes] of what lies in a camera's folder."""
        found = (self.folder / "camera" / folder_of(camera)).glob("*")
        return sorted((path.name, path.stat().st_size) for path in found)

    def hd_map(self) -> HdMap:
        """Of the clip's town.

        Raises:
            WorldDataError: it cannot be read.
        """
        return shared_map(map_path(self.maps, self.town), self.output / LANES_FOLDER / f"{self.town}.npz")

    @property
    def record(self) -> Path:
        """Where the row is kept."""
        return self.output / CLIPS_FOLDER / f"{self.folder.name}.json"

    @property
    def store(self) -> Path:
        """Store of the clip's scenes."""
        return self.output / PARTS_FOLDER / self.folder.name


def index_clip(job: IndexJob) -> ClipRow:
    """The row of one clip, as it was found before where nothing has changed; its scenes lie in ``job.store``."""
    try:
        fingerprint = job.fingerprint
        known = _known(job)
        if known is not None and known.fingerprint == fingerprint:
            return known
        row = _read(job, fingerprint)
    except WorldDataError as error:
        row = ClipRow(job.folder.name, "", error=str(error))
    write_json(job.record, asdict(row))
    return row


def _known(job: IndexJob) -> Optional[ClipRow]:
    """What was found before; None where there is nothing, or it or its scenes are damaged: the clip is read again."""
    try:
        with reading(job.record):
            row = ClipRow(**read_json(job.record))
        SceneStore(job.store)
    except (InputError, SceneError):
        return None
    return row


def _read(job: IndexJob, fingerprint: str) -> ClipRow:
    clip = read_clip(job.folder)
    check = PictureCheck(job.check)
    faults = picture_faults(clip, job.cameras, lambda path: picture_fault(path, check))
    scenes, left_out = _scenes(clip, job)
    with whole_folder(job.store) as unfinished, SceneStoreWriter(unfinished) as writer:
        for scene in scenes:
            writer.add(scene)
    return ClipRow(
        name=clip.name,
        fingerprint=fingerprint,
        town=job.town,
        num_frames=len(clip),
        unreadable={str(index): reason for index, reason in clip.faults.items()},
        pictures={camera: {str(index): fault for index, fault in found.items()} for camera, found in faults.items()},
        vanished=vanished(clip.tracks, clip.rear_axles),
        scenes=[scene.token for scene in scenes],
        left_out=left_out,
    )


def _scenes(clip: Clip, job: IndexJob) -> tuple[list[ScoringScene], dict[str, str]]:
    """Scoring scenes of a clip, and why the others are none."""
    found, left_out = [], {}
    for index in scene_indices(clip, STRIDE * job.frame_interval):
        try:
            found.append(build_scene(clip, index, job.hd_map()))
        except (WorldDataError, SceneError) as error:
            left_out[scene_token(clip.name, index)] = str(error)
    return found, left_out


def jobs_of(
    root: Path, maps: Path, output: Path, cameras: Sequence[str], check: str, frame_interval: int
) -> list[IndexJob]:
    """One a clip.

    Raises:
        WorldDataError: there is no clip, or no map at all.
    """
    if not any(maps.glob("*_HD_map.npz")):
        raise WorldDataError(f"{maps} holds no TownNN_HD_map.npz; fetch Bench2Drive-Map of the release of the clips")
    return [IndexJob(folder, maps, output, tuple(cameras), check, frame_interval) for folder in find_clips(root)]


def keep_maps(jobs: Sequence[IndexJob]) -> None:
    """Read each town's map once, before several processes do; what cannot be read is named by the clips there."""
    towns: dict[str, IndexJob] = {}
    for job in jobs:
        with suppress(WorldDataError):
            towns.setdefault(job.town, job)
    for job in towns.values():
        with suppress(WorldDataError):
            job.hd_map()


def join(output: Path, rows: Sequence[ClipRow]) -> None:
    """Write the index of ``rows``, and the store of all their scenes."""
    rows = sorted(rows, key=lambda row: row.name)
    with whole_folder(output / SCENES_FOLDER) as unfinished, SceneStoreWriter(unfinished) as writer:
        for row in rows:
            if row.scenes:
                part = SceneStore(output / PARTS_FOLDER / row.name)
                for token in part:
                    writer.add_record(token, part.record(token).data)
    write_json(output / INDEX_FILE, {"clips": [asdict(row) for row in rows]})


def describe(rows: Sequence[ClipRow], output: Path) -> str:
    """What was found, and the first of what is wrong."""
    whole = [row for row in rows if not row.error]
    frames, scenes = sum(row.num_frames for row in whole), sum(len(row.scenes) for row in whole)
    lines = [
        f"{len(whole)} clips of {len(rows)} can be read: {frames} frames, {scenes} scenes, "
        f"{len({row.town for row in whole})} towns: {output / INDEX_FILE}"
    ]
    unread = sum(len(row.unreadable) for row in whole)
    pictures = sum(len(faults) for row in whole for faults in row.pictures.values())
    gone = sum(len(row.vanished) for row in whole)
    lines.append(
        f"{unread} frames unreadable, {pictures} pictures missing or damaged, {gone} actors vanish near the ego"
    )
    problems = [message for row in rows for message in _problems(row)]
    lines += problems[:NUM_SHOWN]
    if len(problems) > NUM_SHOWN:
        lines.append(f"and {len(problems) - NUM_SHOWN} more clips, frames or cameras; the index names them all")
    return "\n".join(lines)


def _problems(row: ClipRow) -> list[str]:
    """In words, one a clip, a frame or a camera."""
    if row.error:
        return [f"{row.name}: {row.error}"]
    found = [f"{row.name}: {reason}" for reason in (*row.unreadable.values(), *_first(row.left_out))]
    for camera, faults in row.pictures.items():
        frame, fault = next(iter(faults.items()))
        found.append(f"{row.name}: {len(faults)} pictures of {camera} cannot be used, the first is {frame} ({fault})")
    return found


def _first(left_out: dict[str, str]) -> list[str]:
    if not left_out:
        return []
    return [f"{len(left_out)} scenes are left out; the first: {next(iter(left_out.values()))}"]
