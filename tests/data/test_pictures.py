"""Pictures' files: whole, empty, cut off, something else; and what Pillow, which NAVSIM reads by, makes of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from navsim_agents.data.pictures import TAIL_BYTES, PictureCheck, picture_fault

ENDS, DECODE, NAMES = PictureCheck.ENDS, PictureCheck.DECODE, PictureCheck.NAMES


def encoded(kind: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, format=kind)
    return stream.getvalue()


JPEG = encoded()


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG"])
def test_whole_files_pass_at_every_price(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(JPEG)
    assert [picture_fault(tmp_path / name, check) for check in PictureCheck] == ["", "", ""]


@pytest.mark.parametrize("padding", [b"\0", b"\0" * 100, b"\n", b"made by a camera"])
def test_padding_after_the_end_is_no_fault(tmp_path: Path, padding: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEG + padding)
    assert [picture_fault(tmp_path / "a.jpg", check) for check in PictureCheck] == ["", "", ""]


@pytest.mark.parametrize("lost", [1, 2, 3, 100, len(JPEG) - TAIL_BYTES, len(JPEG) - 20, len(JPEG) - 2])
def test_cut_files_are_found_by_their_ends_where_pillow_refuses_them(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(JPEG[:-lost])
    assert picture_fault(path, ENDS) == "cut off"
    assert picture_fault(path, DECODE) == "cut off"
    assert picture_fault(path, NAMES) == ""
    with pytest.raises(OSError, match=r"truncated|cannot identify|broken"):
        np.asarray(Image.open(path))


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"", "empty"), (b"<html>not found</html>", "no JPEG"), (encoded("PNG"), "no JPEG"), (b"\xff", "no JPEG")],
)
def test_files_of_another_kind(tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    assert picture_fault(tmp_path / "a.jpg", ENDS) == fault


def test_other_formats_are_judged_by_size_or_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded("PNG")[:-500])
    assert picture_fault(path, ENDS) == ""
    assert picture_fault(path, DECODE).startswith("unreadable (")
    path.write_bytes(b"")
    assert picture_fault(path, ENDS) == "empty"


def test_damage_inside_is_found_by_decoding_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(JPEG[:2] + b"\0" * 30 + JPEG[32:])
    assert picture_fault(path, ENDS) == ""
    assert picture_fault(path, DECODE).startswith("unreadable (")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    assert [picture_fault(tmp_path / "a.jpg", check) for check in PictureCheck] == ["missing"] * 3
    (tmp_path / "b.jpg").mkdir()
    assert picture_fault(tmp_path / "b.jpg", ENDS).startswith("unreadable (")
