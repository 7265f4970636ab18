"""The resize is OpenCV's, without OpenCV."""

from __future__ import annotations

import numpy as np
import pytest

from navsim_agents.data.resize import bilinear_taps, resize_bilinear

cv2 = pytest.importorskip("cv2")


def gradient(height: int, width: int) -> np.ndarray:
    """Each channel a ramp of its own direction."""
    y, x = np.mgrid[0:height, 0:width]
    ramps = (255 * x / width, 255 * y / height, 127.5 * x / width + 127.5 * y / height)
    return np.stack(ramps, axis=-1).astype(np.uint8)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def largest_difference(image: np.ndarray, width: int, height: int) -> int:
    ours = resize_bilinear(image, width, height)
    assert ours.dtype == np.uint8
    return int(np.abs(ours.astype(int) - cv2.resize(image, (width, height))).max())


@pytest.mark.parametrize("picture", [gradient, noise])
def test_equals_opencv_at_the_released_size(picture: object) -> None:
    assert largest_difference(picture(1024, 1920), 512, 256) == 0


@pytest.mark.parametrize("picture", [gradient, noise])
@pytest.mark.parametrize(("width", "height"), [(256, 128), (70, 45), (96, 53), (330, 217), (1, 1)])
def test_is_within_one_grey_level_of_opencv(picture: object, width: int, height: int) -> None:
    assert largest_difference(picture(101, 163), width, height) <= 1


def test_same_size_is_the_same_picture() -> None:
    image = noise(5, 7)
    assert (resize_bilinear(image, 7, 5) == image).all()


def test_taps_of_a_halving_lie_between_two_pixels() -> None:
    lower, upper, weight = bilinear_taps(6, 3)
    assert lower.tolist() == [0, 2, 4]
    assert upper.tolist() == [1, 3, 5]
    assert weight.tolist() == [1024, 1024, 1024]


def test_worked_by_hand() -> None:
    image = np.array([[[0], [100]], [[200], [44]]], dtype=np.uint8)
    assert resize_bilinear(image, 1, 1).tolist() == [[[86]]]
