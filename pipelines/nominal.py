"""Which features of a model's table hold categories: 0/1 columns, one-hot groups, numbered levels."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Rows = NDArray[np.int64]
Groups = list[Rows]


def nominal_groups(features: Features, names: Sequence[str], numbered: Collection[str] = ()) -> Groups:
    """The places of the features that hold one category together, in the table's order.

    A one-hot group is the columns `name=level` of one name of which each row has just one at 1. Any other column
    of values 0 and 1 only, and each of `numbered` that holds whole numbers (levels by their number, not by what
    they mean for the label), is a category of its own.

    Shape: features (N, F)
    """
    flags = np.flatnonzero(np.isin(features, (0, 1)).all(axis=0)).tolist()
    named: dict[str, list[int]] = {}
    for place in flags:
        stem, equals, _ = names[place].partition("=")
        named.setdefault(stem if equals else f"={place}", []).append(place)
    groups = []
    for places in named.values():
        one_hot = (features[:, places].sum(axis=1) == 1).all()
        groups += [places] if one_hot else [[place] for place in places]
    whole = np.flatnonzero((features % 1 == 0).all(axis=0))
    alone = [[place] for place in whole.tolist() if names[place] in numbered and place not in flags]
    return [np.array(places) for places in sorted(groups + alone)]


def numeric_places(groups: Groups, width: int) -> Rows:
    """The features that are in no group."""
    return np.setdiff1d(np.arange(width), np.concatenate([np.empty(0, dtype=np.int64), *groups]))


def coded(features: Features, groups: Groups) -> Features:
    """The numbers first, then a column a group: which of its columns is at 1, or the lone column itself.

    Shape: features (N, F) -> (N, numbers + groups)
    """
    codes = [features[:, p].argmax(axis=1) if len(p) > 1 else features[:, p[0]] for p in groups]
    numbers = features[:, numeric_places(groups, features.shape[1])]
    return np.column_stack([numbers, *codes]).astype(np.float32)


def decoded(codes: Features, groups: Groups, width: int) -> Features:
    """What `coded` was given. Shape: codes (N, numbers + groups) -> (N, F), F being `width`."""
    numbers = numeric_places(groups, width)
    features = np.zeros((len(codes), width), dtype=np.float32)
    features[:, numbers] = codes[:, : len(numbers)]
    for places, code in zip(groups, codes[:, len(numbers) :].T, strict=True):
        if len(places) > 1:
            features[np.arange(len(codes)), places[code.astype(np.int64)]] = 1
        else:
            features[:, places[0]] = code
    return features
