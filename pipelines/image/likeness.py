"""Pictures that are nearly the same: one saved anew, resized, brightened, sharpened or mirrored.

Candidates are found by difference hashes in both directions (dHash: N. Krawetz, "Kind of like that", 2013), and
confirmed by the correlation of thumbnails, since heads and chests of different people have alike outlines.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.payloads import Payloads

DISTANCE = 8  # of 128 bits
CORRELATION = 0.95
THUMBNAIL = 32
BATCH = 256
PAIRS = 2**18  # compared at once
PLAIN = 0.004  # deviation, as a share of the range, below which nothing is seen: one step of 8 bits

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Hashes = NDArray[np.uint64]


def near_images(payloads: Payloads, positions: Ints, *, distance: int = DISTANCE) -> Ints:
    """The pairs of `positions` whose pictures are nearly the same, mirrored or turned by 180 degrees or not.

    At most `distance` of 128 bits differ, and the thumbnails correlate by CORRELATION or more. Not every pair is
    compared: the bits are dealt into one band more than may differ, so that a near copy agrees on a whole band
    (pigeonhole). Of equal thumbnails each is paired with the first only. Plain pictures are like none, nor are missing
    ones (-1).

    The defaults were chosen by eye on the 3,000 scans of Br35H, most of them altered and mirrored copies of one
    another: up to 8 bits nearly all pairs that correlate by 0.95 are one scan, and no group has more than 76 of them;
    without the correlation, different heads begin to chain at 8 bits, and from 10 on join in groups of hundreds.

    Shape:
        positions: (N,)
        result: (K, 2), indexes into `positions`, the lower one first, sorted
    """
    seen = np.flatnonzero(positions >= 0)
    thumbnails = _thumbnails(payloads.values, positions[seen])
    shown = thumbnails.std(axis=(1, 2)) > PLAIN
    seen, thumbnails = seen[shown], thumbnails[shown]
    flat = thumbnails.reshape(len(seen), THUMBNAIL**2)
    _, first, same = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    copies = np.stack([first[same], np.arange(len(seen))], axis=1)
    one = thumbnails[first]
    close = [first[_close(one, one[:, ::down, ::right], distance)] for down in (1, -1) for right in (1, -1)]
    pairs: Ints = np.unique(np.sort(seen[np.concatenate([copies[copies[:, 0] != copies[:, 1]], *close])]), axis=0)
    return pairs


def _close(one: Floats, other: Floats, distance: int) -> Ints:
    """(K, 2) the pairs, the first of `one` before the second of `other`, that agree in hash and in thumbnail."""
    hashes, turned = _hashes(one), _hashes(other)
    normed, normed_turned = _normed(one), _normed(other)
    found = [np.empty((0, 2), dtype=np.int64)]
    for pairs in _candidates(hashes, turned, max(distance + 1, 3)):
        differ = np.bitwise_count(hashes[pairs[:, 0]] ^ turned[pairs[:, 1]]).sum(axis=1)
        near = pairs[differ <= distance]
        for part in np.array_split(near, len(near) // 2**14 + 1):
            alike = np.einsum("ij,ij->i", normed[part[:, 0]], normed_turned[part[:, 1]])
            found.append(part[alike >= CORRELATION])
    return np.unique(np.concatenate(found), axis=0)


def _candidates(one: Hashes, other: Hashes, bands: int) -> Iterator[Ints]:
    """(K, 2) pairs that agree on a band, which is every bands-th bit; about PAIRS at a time."""
    bits = np.unpackbits(np.concatenate([one, other]).view(np.uint8), axis=1).astype(np.int64)
    for band in range(bands):
        of_band = bits[:, band::bands]
        key = of_band @ (1 << np.arange(of_band.shape[1]))
        keys, order = key[: len(one)], np.argsort(key[len(one) :], kind="stable")
        ordered = key[len(one) :][order]
        begin = np.searchsorted(ordered, keys)
        count = np.searchsorted(ordered, keys, side="right") - begin
        for rows in np.split(np.arange(len(one)), np.flatnonzero(np.diff(np.cumsum(count) // PAIRS)) + 1):
            first = np.repeat(rows, count[rows])
            within = np.arange(len(first)) - np.repeat(np.cumsum(count[rows]) - count[rows], count[rows])
            second = order[begin[first] + within]
            yield np.stack([first, second], axis=1)[first < second]


def _normed(thumbnails: Floats) -> Floats:
    """(N, 1024) so that the product of two is their correlation."""
    flat = thumbnails.reshape(len(thumbnails), THUMBNAIL**2)
    centred = flat - flat.mean(axis=1, keepdims=True)
    normed: Floats = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return normed


def _hashes(thumbnails: Floats) -> Hashes:
    """(N, 2): whether it grows brighter from cell to cell, in 64 steps to the right and 64 down."""
    eight, nine = areas(THUMBNAIL, 8), areas(THUMBNAIL, 9)
    right = np.diff(eight @ thumbnails @ nine.T, axis=2)
    down = np.diff(nine @ thumbnails @ eight.T, axis=1)
    bits = np.concatenate([right.reshape(-1, 64), down.reshape(-1, 64)], axis=1) > 0
    hashes: Hashes = np.packbits(bits, axis=1).view(np.uint64)
    return hashes


def _thumbnails(values: NDArray[Any], positions: Ints) -> Floats:
    """(N, 32, 32) means of areas over all channels, 0 to 1."""
    most = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    down, across = areas(values.shape[2], THUMBNAIL), areas(values.shape[3], THUMBNAIL)
    thumbnails = np.empty((len(positions), THUMBNAIL, THUMBNAIL), dtype=np.float32)
    for start in range(0, len(positions), BATCH):
        grey = values[positions[start : start + BATCH]].mean(axis=1, dtype=np.float32)
        thumbnails[start : start + BATCH] = down @ grey @ across.T / most
    return thumbnails


def areas(pixels: int, cells: int) -> Floats:
    """(cells, pixels) weights that average equal stretches of a line of pixels."""
    edges = np.linspace(0, pixels, cells + 1)
    shares = np.minimum(edges[1:, None], np.arange(1, pixels + 1)) - np.maximum(edges[:-1, None], np.arange(pixels))
    weights = shares.clip(min=0)
    means: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return means
