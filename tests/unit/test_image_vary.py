"""Each variation keeps shape and type, follows its seed, and leaves its inputs alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.image.vary import VARIATIONS, vary_image

SHAPES = st.sampled_from([(1, 16, 16), (3, 9, 14), (1, 2, 3)])
TYPES = st.sampled_from([np.uint8, np.uint16, np.float32])


@settings(max_examples=60)
@given(st.integers(0, 2**32), SHAPES, TYPES, st.lists(st.sampled_from(sorted(VARIATIONS)), max_size=6))
def test_any_variations_keep_the_form_and_the_inputs(seed: int, shape: tuple[int, ...], type_: type, how: list) -> None:
    most = 1 if type_ is np.float32 else np.iinfo(type_).max
    image, partner = (np.random.default_rng(seed).random((2, *shape)) * most).astype(type_)
    before = image.copy(), partner.copy()
    varied = vary_image(image, partner, how, np.random.default_rng(seed))
    assert varied.shape == shape and varied.dtype == type_
    assert (varied == vary_image(image, partner, how, np.random.default_rng(seed))).all()
    assert (image == before[0]).all() and (partner == before[1]).all()
    assert varied is not image and not np.shares_memory(varied, image)
    if not how:
        assert (varied == image).all()


def many(name: str, count: int = 40) -> list[np.ndarray]:
    image = np.zeros((1, 20, 20), dtype=np.uint8)
    image[:, 6:14, 4:10] = 200
    partner = np.full((1, 20, 20), 100, dtype=np.uint8)
    rng = np.random.default_rng(0)
    return [vary_image(image, partner, [name], rng)[0].astype(int) - image[0] for _ in range(count)]


@pytest.mark.parametrize("name", VARIATIONS)
def test_a_variation_changes_something(name: str) -> None:
    assert len({made.tobytes() for made in many(name)}) >= 2


def test_flips_half_the_time() -> None:
    assert 10 <= sum(made.any() for made in many("flip")) <= 30


def test_noise_is_two_percent() -> None:
    bright = np.full((1, 100, 100), 128, dtype=np.uint8)
    noisy = vary_image(bright, bright, ["noise"], np.random.default_rng(0))
    assert abs(noisy.std() / 255 - 0.02) < 0.001


def test_affine_stays_near_and_fills_with_black() -> None:
    white = np.full((1, 40, 40), 255, dtype=np.uint8)
    rng = np.random.default_rng(0)
    made = [vary_image(white, white, ["affine"], rng)[0] for _ in range(20)]
    assert any((image[[0, -1]] == 0).any() for image in made)
    assert all((image[10:30, 10:30] == 255).all() for image in made)


def test_mixtures_keep_more_of_the_picture_itself() -> None:
    image, partner = np.full((1, 32, 32), 200, dtype=np.uint8), np.zeros((1, 32, 32), dtype=np.uint8)
    rng = np.random.default_rng(0)
    for name in ("mixup", "cutmix"):
        means = [vary_image(image, partner, [name], rng).mean() / 200 for _ in range(50)]
        assert min(means) > 0.45 and min(means) < 0.9
