"""Levels of a categorical column as numbers: rare and unseen ones share a bucket, whatever the encoding."""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.study import Frozen
from pipelines.table import Table, patient_numbers, places_among

Encoder = Literal["onehot", "ordinal", "target", "index"]
Codes = NDArray[np.intp]
Shares = NDArray[np.float64]
Numbers = NDArray[np.int64]

OTHER = "‹other›"
INDEX = "#index"  # ends the name of a feature that holds codes to look up, not amounts
FOLDS = 5


class TargetShares(Frozen):
    """What the encoding "target" needs beside the levels.

    classes: the K classes whose shares are features: the positive one of two, else all but the last.
    shares: (L + 1, K) by level, the bucket last: the class's share among all training rows of the level.
    smoothing, min_count: as in the settings.
    """

    classes: tuple[int, ...]
    shares: tuple[tuple[float, ...], ...]
    smoothing: float
    min_count: int


class Encoding(Frozen):
    """How a column's levels become numbers.

    levels: those that stand for themselves, most frequent first; all others share a bucket.
    target: for the method "target" only.
    """

    method: Encoder
    levels: tuple[str, ...]
    target: TargetShares | None = None


def fit_encoding(
    train: Table,
    name: str,
    method: Encoder,
    *,
    patients: Numbers,
    classes: Sequence[int],
    min_count: int,
    smoothing: float,
) -> Encoding:
    """Learn the levels of column `name` from training rows, and for "target" the share of each of `classes` in them.

    patients: (N,) the patient of each row, as `patient_numbers` gives them.
    """
    encoding = Encoding(method=method, levels=_levels(train[name], patients, min_count))
    if method != "target":
        return encoding
    target = TargetShares(classes=tuple(classes), shares=(), smoothing=smoothing, min_count=min_count)
    codes, bucket = _codes(encoding, train[name]), len(encoding.levels)
    shares = _shares(codes, train["@target"].to_numpy(dtype=np.int64), patients, bucket, target)
    learnt = tuple(tuple(row) for row in shares.tolist())
    return encoding.model_copy(update={"target": target.model_copy(update={"shares": learnt})})


def encoded_names(encoding: Encoding, name: str, labels: Sequence[str]) -> list[str]:
    """The features that column `name` becomes, in order; `labels` are the classes' names."""
    if encoding.method == "onehot":
        return [f"{name}={level}" for level in (*encoding.levels, OTHER)]
    if encoding.target:
        return [f"{name}#share of {labels[index]}" for index in encoding.target.classes]
    return [f"{name}{INDEX}" if encoding.method == "index" else name]


def write_encoded(
    matrix: NDArray[np.float32], encoding: Encoding, samples: pd.DataFrame, name: str, fold: Numbers | None
) -> int:
    """Fill the first columns of the (N, ≥ W) `matrix` from column `name`, and say how many (W).

    `fold`, the `patient_folds`, is given where `samples` are the training rows: the shares of a level then come from
    the rows of other folds only, so that no label reaches its own row.
    """
    codes, bucket = _codes(encoding, samples[name]), len(encoding.levels)
    if encoding.method == "onehot":
        matrix[np.arange(len(samples)), codes] = 1
        return bucket + 1
    if encoding.target:
        learnt = np.array(encoding.target.shares)[codes]
        shares = learnt if fold is None else _cross_fitted(codes, samples, fold, bucket, encoding.target)
        matrix[:, : shares.shape[1]] = shares
        return int(shares.shape[1])
    matrix[:, 0] = np.where(codes == bucket, 0, codes + 1) if encoding.method == "index" else codes
    return 1


def patient_folds(patients: "pd.Series[Any]") -> Numbers:
    """(N,) one of 5 folds a row: patients are dealt out in the order of a hash of their name."""
    names = sorted(set(patients), key=lambda name: hashlib.sha256(f"target\0{name}".encode()).hexdigest())
    fold = {name: place % FOLDS for place, name in enumerate(names)}
    return patients.map(fold).to_numpy(dtype=np.int64)


def _levels(values: "pd.Series[Any]", patients: Numbers, min_count: int) -> tuple[str, ...]:
    """The levels of at least `min_count` patients, by falling number of rows."""
    codes, levels = pd.factorize(values)
    known, number = codes >= 0, int(patients.max(initial=0)) + 1
    pairs = pd.unique(codes[known] * np.int64(number) + patients[known])
    rows = np.bincount(codes[known], minlength=len(levels)).tolist()
    often = np.bincount(pairs // number, minlength=len(levels)) >= min_count
    return tuple(level for _, level in sorted((-rows[at], str(levels[at])) for at in np.flatnonzero(often).tolist()))


def _codes(encoding: Encoding, values: "pd.Series[Any]") -> Codes:
    """(N,) the place of each cell's level; the number of levels for the bucket."""
    codes = places_among(encoding.levels, values)
    return np.where(codes < 0, len(encoding.levels), codes)


def _shares(codes: Codes, labels: Numbers, patients: Numbers, bucket: int, target: TargetShares) -> Shares:
    """(L + 1, K) shares, drawn towards those of all rows as if `smoothing` more of these stood in each level.

    Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes", SIGKDD Explorations 3, 2001.
    A bucket of few patients might tell their label: it takes the shares of all rows.

    Shape: codes, labels, patients (N,)
    """
    counts = np.bincount(codes, minlength=bucket + 1)[:, None]
    hits = np.stack([np.bincount(codes[labels == index], minlength=bucket + 1) for index in target.classes], axis=1)
    overall = hits.sum(axis=0) / max(len(codes), 1)
    shares = (hits + target.smoothing * overall) / (counts + target.smoothing)
    if len(np.unique(patients[codes == bucket])) < target.min_count:
        shares[bucket] = overall
    return np.asarray(shares)


def _cross_fitted(codes: Codes, train: pd.DataFrame, fold: Numbers, bucket: int, target: TargetShares) -> Shares:
    """(N, K) shares of each training row's level among the patients of the other folds."""
    labels, patients = train["@target"].to_numpy(dtype=np.int64), patient_numbers(train)
    shares = np.empty((len(train), len(target.classes)))
    for own in range(FOLDS):
        inside = fold == own
        others = _shares(codes[~inside], labels[~inside], patients[~inside], bucket, target)
        shares[inside] = others[codes[inside]]
    return shares
