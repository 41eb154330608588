"""Samples whose pictures or texts are nearly the same: told, and held together as if of one patient."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.payloads import Payloads
from contracts.tables import Schema
from pipelines.image.likeness import near_images
from pipelines.text.likeness import near_texts

Ints = NDArray[np.int64]
TEXTS = "texts"


def near_pairs(samples: pd.DataFrame, schema: Schema, payloads: Mapping[str, Payloads]) -> dict[str, Ints]:
    """Pairs of rows that nearly share a picture, by column, or all of their texts together. Shape: (K, 2), positions.

    Texts are compared as one, since a short one alone, such as "no finding", is shared by many patients.
    """
    found = {name: near_images(payloads[name], positions(samples[name])) for name in schema.of_type("image")}
    texts = schema.of_type("text")
    if texts:
        joined = samples[texts].fillna("").agg("\n".join, axis=1).str.strip().to_numpy(dtype=object)
        filled = np.flatnonzero(joined != "")
        found[TEXTS] = filled[near_texts(list(joined[filled]))].astype(np.int64)
    return found


def positions(cells: "pd.Series[int]") -> Ints:
    """(N,) the positions of a column's payloads, -1 where missing."""
    return np.asarray(cells.to_numpy(dtype=np.int64, na_value=-1), dtype=np.int64)


def joined_groups(group: "pd.Series[str]", pairs: Ints) -> "pd.Series[str]":
    """(N,) the patients, those of paired rows brought under the first of their names."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    codes, names = pd.factorize(group, sort=True)
    edges = codes[pairs]
    links = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(names), len(names)))
    component = connected_components(links, directed=False)[1]
    first = pd.Series(names).groupby(component).transform("first")
    return pd.Series(first.to_numpy()[codes], index=group.index, dtype="str")
