"""The loader: weights, coverage, sharding, resumption, broken files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cache_tools.resize_videos import ResizeVideosConfig, resize_videos
from navsim_agents.errors import VideoError
from navsim_agents.video import clip as clip_reading
from navsim_agents.video.config import ClipDataConfig, DataSetConfig
from navsim_agents.video.layouts import VideoFiles
from navsim_agents.video.loader import ClipLoader, build_clip_loader
from navsim_agents.video.manifest import Unreadable, Video, read_rows, write_rows
from navsim_agents.video.mixing import plan_epoch, shares
from navsim_agents.video.slots import clip_times, cut_slots, nearest_frame, read_slots
from tests.video.videos import (
    damaged,
    numbers_in,
    picture_data,
    sequence_row,
    small_clips,
    with_clips,
    write_video,
)


@pytest.fixture
def clips(tmp_path: Path) -> ClipDataConfig:
    """Two data sets of picture folders at 4 Hz; clips need frames s, s + 2, s + 4."""
    return small_clips(
        dojo=picture_data(tmp_path / "dojo", {"a": 11, "b": 29, "c": 5}, "dojo", 3.0),
        covla=picture_data(tmp_path / "covla", {"d": 17, "e": 8}, "covla", 1.0),
    )


def epoch_of(loader: ClipLoader) -> list[torch.Tensor]:
    return list(loader)


def test_batches_have_the_contracts_form(clips: ClipDataConfig) -> None:
    loader = build_clip_loader(with_clips(clips, 7), batch_size=2, seed=5)
    batches = epoch_of(loader)
    assert len(loader) == len(batches) == 3
    assert all(batch.shape == (2, 3, 3, 8, 16) and batch.dtype == torch.uint8 for batch in batches)
    for clip in (clip for batch in batches for clip in numbers_in(batch)):
        assert [clip[1] - clip[0], clip[2] - clip[1]] == [2, 2]
    assert (loader.order.epoch, loader.order.iteration) == (1, 0)


def test_video_files_and_pictures_agree(tmp_path: Path) -> None:
    """The same numbered frames, read from a file and from a folder, give the same clips."""
    write_video(tmp_path / "files" / "a.mp4", 40)
    files = VideoFiles("files", tmp_path / "files")
    write_rows(tmp_path / "files.jsonl", files.probe("a.mp4"))
    pictures = picture_data(tmp_path / "pictures", {"a": 40}, "pictures")
    write_rows(Path(pictures.manifest), [sequence_row("pictures", "a", 40, fps=10.0)])
    data = {"files": DataSetConfig(str(tmp_path / "files.jsonl"), str(tmp_path / "files")), "pictures": pictures}
    seen = [
        numbers_in(batch)
        for name, data_set in data.items()
        for batch in build_clip_loader(with_clips(small_clips(**{name: data_set}), 12), 6, seed=1)
    ]
    assert seen[:2] == seen[2:]
    assert len({tuple(clip) for batch in seen for clip in batch}) > 3


def test_frames_are_spaced_by_time_at_any_rate() -> None:
    video = sequence_row("dojo", "a", 60, fps=12.5)
    assert clip_times(video, 5, 3, 2.0) == [0.4, 0.9, 1.4]
    times = clip_times(video, 3, 5, 2.0)
    assert [nearest_frame(video, time) for time in times] == [3, 9, 16, 22, 28]
    nearest = np.abs(np.arange(60)[:, None] / 12.5 - np.array(times)).argmin(0)
    assert nearest.tolist() == [3, 9, 15, 22, 28], "only the tie at 15.5 is decided the other way"


def test_slots_share_out_every_start_once(clips: ClipDataConfig) -> None:
    slots = read_slots(clips)["dojo"]
    starts = Counter(
        (slots.videos[video].path, start)
        for video, first, last in zip(slots.video, slots.first, slots.last)
        for start in range(first, last + 1)
    )
    assert starts == Counter([("a", s) for s in range(7)] + [("b", s) for s in range(25)] + [("c", 0)])
    assert Counter(slots.videos[video].path for video in slots.video) == {"a": 2, "b": 5, "c": 1}


def test_shares_are_exact_and_follow_the_weights(clips: ClipDataConfig) -> None:
    assert shares([0.5, 0.2, 0.3], 10) == [5, 2, 3]
    assert shares([0.5, 0.2, 0.3], 11) == [6, 2, 3]
    assert shares([1, 1, 1], 2) == [1, 1, 0]
    slots = read_slots(clips)
    for epoch in range(3):
        plan = plan_epoch(slots, [3.0, 1.0], 40, seed=2, epoch=epoch)
        assert Counter(plan.data_set.tolist()) == {0: 30, 1: 10}
        runs = np.abs(np.diff(plan.data_set)).sum()
        assert runs > 8, "the data sets must be mixed, not one after the other"


def test_everything_is_seen_once_before_anything_is_seen_twice(clips: ClipDataConfig) -> None:
    slots = read_slots(clips)
    part = slots["dojo"]
    seen: list[tuple[int, int]] = []
    for epoch in range(5):
        plan = plan_epoch(slots, [3.0, 1.0], 8, seed=9, epoch=epoch)
        for video, start in zip(plan.video[plan.data_set == 0], plan.start[plan.data_set == 0]):
            (slot,) = np.flatnonzero((part.video == video) & (part.first <= start) & (start <= part.last))
            seen.append((int(slot), int(start)))
    rounds = [sorted(slot for slot, _ in seen[first : first + len(part)]) for first in range(0, 24, len(part))]
    assert rounds == [list(range(len(part)))] * 3
    assert len({start for _, start in seen}) > len(part), "starts must vary within a slot"


def test_processes_together_see_what_one_sees(clips: ClipDataConfig) -> None:
    alone = epoch_of(build_clip_loader(with_clips(clips, 13), batch_size=6, seed=4))
    shards = [epoch_of(build_clip_loader(with_clips(clips, 13), 2, rank, 3, seed=4)) for rank in range(3)]
    together = [torch.cat(batches) for batches in zip(*shards)]
    assert len(alone) == len(together) == 2
    assert all(torch.equal(one, many) for one, many in zip(alone, together))


def test_workers_change_nothing(clips: ClipDataConfig) -> None:
    loaders = [build_clip_loader(with_clips(clips, 12), 4, seed=4, workers=workers) for workers in (0, 2)]
    alone, shared = ([*loader, *loader] for loader in loaders)
    assert len(alone) == len(shared) == 6
    assert all(torch.equal(one, many) for one, many in zip(alone, shared))
    assert not torch.equal(alone[0], alone[3]), "the second epoch must have other clips"


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_run_goes_on_exactly(clips: ClipDataConfig, workers: int) -> None:
    config = with_clips(clips, 12)
    loader = build_clip_loader(config, 3, seed=4, workers=workers)
    whole = [*loader, *loader]
    first = build_clip_loader(config, 3, seed=4, workers=workers)
    for _, batch in zip(range(2), first):
        assert batch is not None
    state = first.state_dict()
    assert (state["epoch"], state["clips"]) == (0, 6)
    resumed = build_clip_loader(config, 3, seed=4)
    resumed.load_state_dict(state)
    rest = [*resumed, *resumed]
    assert len(rest) == 6
    assert all(torch.equal(one, again) for one, again in zip(whole[2:], rest))
    ranks = [build_clip_loader(config, 3, rank, 2, seed=4) for rank in range(2)]
    for rank in ranks:
        rank.load_state_dict(state)
    halves = [torch.cat(pair) for pair in zip(*ranks)]
    assert torch.equal(halves[0], torch.cat(whole[2:4]))


def test_resuming_on_other_data_or_within_a_batch_is_refused(clips: ClipDataConfig) -> None:
    loader = build_clip_loader(with_clips(clips, 12), 3, seed=4)
    next(iter(loader))
    state = loader.state_dict()
    with pytest.raises(VideoError, match=r"seed is 5, but 4 where the run stopped"):
        build_clip_loader(with_clips(clips, 12), 3, seed=5).load_state_dict(state)
    heavier = replace(clips.data_sets["covla"], weight=2.0)
    other = replace(with_clips(clips, 12), data_sets={**clips.data_sets, "covla": heavier})
    with pytest.raises(VideoError, match=r"fingerprint is .* its clips would come in another order"):
        build_clip_loader(other, 3, seed=4).load_state_dict(state)
    with pytest.raises(VideoError, match="after 3 clips of its epoch, which is no multiple of the batch of 2"):
        build_clip_loader(with_clips(clips, 12), 2, seed=4).load_state_dict(state)


def test_broken_file_costs_itself_and_is_listed(clips: ClipDataConfig) -> None:
    config = with_clips(clips, 16)
    whole = numbers_of_epoch(config)
    damaged(config, "dojo", "b")
    loader = build_clip_loader(config, 4, seed=3)
    broken = [clip for batch in loader for clip in numbers_in(batch)]
    assert len(broken) == len(whole) == 16
    changed = [index for index, (before, after) in enumerate(zip(whole, broken)) if before != after]
    assert 0 < len(changed) < 16
    assert list(loader.report()) == ["dojo: b"]
    assert "is not a complete image" in loader.report()["dojo: b"]
    shards = [build_clip_loader(config, 2, rank, 2, seed=3, workers=rank) for rank in range(2)]
    together = [clip for pair in zip(*shards) for batch in pair for clip in numbers_in(batch)]
    assert together == broken
    assert set().union(*(shard.report() for shard in shards)) == {"dojo: b"}


def numbers_of_epoch(config: ClipDataConfig) -> list[list[int]]:
    return [clip for batch in build_clip_loader(config, 4, seed=3) for clip in numbers_in(batch)]


def test_nothing_but_broken_files_is_an_error(clips: ClipDataConfig) -> None:
    for name in ("d", "e"):
        damaged(clips, "covla", name)
    with pytest.raises(VideoError, match="21 clips of covla in a row cannot be read"):
        epoch_of(build_clip_loader(with_clips(clips, 12), 3, seed=4))


def test_short_slow_and_unreadable_videos_are_listed(clips: ClipDataConfig) -> None:
    manifest = Path(clips.data_sets["covla"].manifest)
    extra = [
        sequence_row("covla", "short", 4),
        sequence_row("covla", "slow", 9, fps=1.0),
        Unreadable("covla", "torn.mp4", "1-2", "cannot be decoded"),
    ]
    write_rows(manifest, [*read_rows(manifest), *extra])
    assert build_clip_loader(with_clips(clips, 4), 2).report() == {
        "covla: torn.mp4": "cannot be decoded",
        "covla: short": "4 frames are too few for 1 s between first and last",
        "covla: slow": "1 frames a second are fewer than the clips' 2",
    }


def test_epoch_without_a_number_of_clips_holds_all_slots(clips: ClipDataConfig) -> None:
    assert len(build_clip_loader(clips, 3)) == sum(map(len, read_slots(clips).values())) // 3
    just_enough = cut_slots([sequence_row("dojo", "a", 5)], clips)
    assert (just_enough.first.tolist(), just_enough.last.tolist()) == ([0], [0])


def test_wrong_settings_are_refused(clips: ClipDataConfig) -> None:
    dojo = clips.data_sets["dojo"]
    with pytest.raises(VideoError, match="data_sets is empty"):
        build_clip_loader(small_clips(), 1)
    with pytest.raises(VideoError, match=r"lists data set 'dojo', but it is given for 'openscene'"):
        build_clip_loader(small_clips(openscene=dojo), 1)
    with pytest.raises(VideoError, match=r"gives no clip of 90 frames at 2 Hz: of 3 rows 0 are unreadable and 3 too"):
        build_clip_loader(replace(small_clips(dojo=dojo), num_frames=90), 1)
    with pytest.raises(VideoError, match="an epoch of 4 clips is less than one batch of 2 x 3"):
        build_clip_loader(with_clips(clips, 4), 3, 1, 2)
    with pytest.raises(VideoError, match="rank=2, world_size=2"):
        build_clip_loader(clips, 1, 2, 2)
    with pytest.raises(VideoError, match="weight=0 must be positive"):
        replace(dojo, weight=0)
    with pytest.raises(VideoError, match="fps=0 must be positive"):
        replace(clips, fps=0)
    cropped = small_clips(dojo=replace(dojo, cropped_rows=24))
    with pytest.raises(VideoError, match="cropped_rows=24 leaves nothing of a picture of 48 rows"):
        epoch_of(build_clip_loader(with_clips(cropped, 2), 2))
    own_size = replace(cropped, height=48, width=64)
    with pytest.raises(VideoError, match=r"cropped_rows=24, but .* lists copies of the clips' own size, 64x48"):
        build_clip_loader(own_size, 1)


def test_test_data_in_a_manifest_is_refused(clips: ClipDataConfig) -> None:
    manifest = Path(clips.data_sets["covla"].manifest)
    write_rows(manifest, [sequence_row("covla", "sensor_blobs/test/log/CAM_F0", 9)])
    with pytest.raises(VideoError, match="split='test' must not be learnt from"):
        build_clip_loader(clips, 1)


def test_a_root_of_test_data_is_refused(tmp_path: Path) -> None:
    data = picture_data(tmp_path / "sensor_blobs" / "test" / "log", {"CAM_F0": 11})
    with pytest.raises(VideoError, match="split='test' must not be learnt from"):
        build_clip_loader(small_clips(dojo=data), 1)
    with pytest.raises(VideoError, match="split='test' must not be learnt from"):
        resize_videos(ResizeVideosConfig(data.manifest, data.root, str(tmp_path / "small"), workers=0))


def test_cropped_rows_are_cut_before_the_resize(tmp_path: Path) -> None:
    """A picture whose upper and lower quarter differ from its middle loses both."""
    data = picture_data(tmp_path, {"a": 9})
    for picture in (tmp_path / "a").iterdir():
        from PIL import Image

        pixels = np.full((48, 64, 3), 200, dtype=np.uint8)
        pixels[12:36] = 90
        Image.fromarray(pixels).save(picture)
    (whole,) = build_clip_loader(with_clips(small_clips(dojo=data), 1), 1)
    (cropped,) = build_clip_loader(with_clips(small_clips(dojo=replace(data, cropped_rows=12)), 1), 1)
    assert set(whole.unique().tolist()) == {90, 200}
    assert set(cropped.unique().tolist()) == {90}


@pytest.mark.parametrize("kind", ["pictures", "files"])
def test_kept_frames_give_the_same_clips_and_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "files":
        write_video(tmp_path / "files" / "a.mp4", 40)
        write_rows(tmp_path / "files.jsonl", VideoFiles("files", tmp_path / "files").probe("a.mp4"))
        clips = small_clips(files=DataSetConfig(str(tmp_path / "files.jsonl"), str(tmp_path / "files")))
    else:
        clips = small_clips(dojo=picture_data(tmp_path / "dojo", {"a": 11, "b": 29}, "dojo", 1.0))
    plain = build_clip_loader(clips, batch_size=2, seed=3)
    kept = build_clip_loader(replace(clips, keep_frames=True), batch_size=2, seed=3)
    read: list[tuple[str, float]] = []
    original = clip_reading.read_pictures

    def counted(video: Video, times_s: Sequence[float], root: Path) -> Iterator[np.ndarray]:
        read.extend((video.path, time_s) for time_s in times_s)
        return original(video, times_s, root)

    for _ in range(6):
        expected = epoch_of(plain)
        with monkeypatch.context() as context:
            context.setattr(clip_reading, "read_pictures", counted)
            found = epoch_of(kept)
        assert all(torch.equal(one, other) for one, other in zip(found, expected))
        assert len(found) == len(expected)
    assert len(read) == len(set(read))
    shown = sum(batch.shape[0] * batch.shape[2] for batch in expected) * 6
    assert len(read) < shown
