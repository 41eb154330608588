"""Near copies are found however they were altered; different and plain pictures are not."""

import io
import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from contracts.payloads import Payloads
from pipelines.image.likeness import _candidates, near_images


def scene(seed: int) -> NDArray[np.uint8]:
    """A soft random picture of 64 x 64."""
    coarse = np.random.default_rng(seed).integers(20, 200, (8, 8), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC))


SCENES = [scene(seed) for seed in range(60)]


def saved_anew(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))


def resized(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).resize((57, 60)).resize((64, 64)))


ALTERED = {
    "same": lambda picture: picture,
    "saved anew": saved_anew,
    "resized": resized,
    "brighter": lambda picture: (picture * 1.15 + 12).clip(0, 255).astype(np.uint8),
    "darker": lambda picture: (picture * 0.6).astype(np.uint8),
    "mirrored": lambda picture: picture[:, ::-1],
    "upside down": lambda picture: picture[::-1],
    "turned": lambda picture: saved_anew(picture[::-1, ::-1]),
}


def pairs_of(pictures: list[NDArray[np.uint8]], positions: NDArray[np.int64] | None = None) -> set[tuple[int, ...]]:
    held = Payloads(values=np.stack(pictures)[:, None])
    found = near_images(held, np.arange(len(pictures)) if positions is None else positions)
    return {tuple(pair) for pair in found.tolist()}


@settings(max_examples=40)
@given(st.integers(0, 59), st.sampled_from(sorted(ALTERED)))
def test_an_altered_copy_is_found_and_nothing_else(which: int, how: str) -> None:
    assert pairs_of([*SCENES, ALTERED[how](SCENES[which])]) == {(which, 60)}


@settings(max_examples=10)
@given(st.permutations(range(10)))
def test_the_order_does_not_matter(order: list[int]) -> None:
    pictures = [*SCENES[:6], *(saved_anew(SCENES[place]) for place in (0, 1, 1, 2))]
    expected = {(0, 6), (1, 7), (1, 8), (2, 9)} | {(7, 8)}
    found = pairs_of([pictures[place] for place in order])
    as_were = {tuple(sorted((order[a], order[b]))) for a, b in found}
    # of equal pictures each is paired with the first only, so the pairs may differ, the groups do not
    assert groups(as_were) == groups(expected)


def groups(pairs: set[tuple[int, ...]]) -> set[frozenset[int]]:
    together = [frozenset(pair) for pair in pairs]
    for a, b in itertools.product(range(len(together)), repeat=2):
        if together[a] & together[b]:
            joined = together[a] | together[b]
            together = [joined | one if one & joined else one for one in together]
    return set(together)


def test_plain_and_missing_pictures_are_like_none() -> None:
    plain = [np.full((64, 64), grey, dtype=np.uint8) for grey in (0, 0, 100, 100)]
    assert pairs_of([*plain, SCENES[0]]) == set()
    assert pairs_of(SCENES[:2], np.array([-1, 0, -1, 1, 0])) == {(1, 4)}
    assert pairs_of(SCENES[:2], np.array([-1, -1])) == set()


def test_every_pair_within_the_distance_is_a_candidate() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, (50, 2), dtype=np.uint64)
    for place in range(25):
        flipped = hashes[place].copy()
        for bit in rng.choice(128, 8, replace=False):
            flipped[bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
        hashes[place + 25] = flipped
    found = {tuple(pair) for pairs in _candidates(hashes, hashes, 9) for pair in pairs.tolist()}
    assert {(place, place + 25) for place in range(25)} <= found
