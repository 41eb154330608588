"""Rows that stand in a table more than once, and ids that stand on rows that differ, over all blocks."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.study import Study
from pipelines.cells import Mask
from pipelines.copies import row_hashes
from pipelines.profile import Profile


def repeated_rows(blocks: Sequence[Profile], source: Sequence[str]) -> tuple[Mask, Mask]:
    """(N,) the rows that are equal to another one, and of these all but the first; told by 64-bit hashes."""
    content = pd.Series(np.concatenate([row_hashes(source, profile.block) for profile in blocks]))
    return content.duplicated(keep=False).to_numpy(), content.duplicated().to_numpy()


def conflicting_ids(blocks: Sequence[Profile], name: str, copies: Mask) -> Mask:
    """(N,) the rows, blank ids and `copies` left aside, whose id stands on another one too.

    Of all rows only 64-bit hashes are held; ids of equal hashes are compared themselves.
    """
    hashes, is_open = [], []
    for block in blocks:
        ids = block.texts(name)
        hashes.append(pd.util.hash_array(ids.array, categorize=False))
        is_open.append((ids != "").to_numpy(dtype=bool))
    at = np.flatnonzero(np.concatenate(is_open) & ~copies)
    at = at[pd.Series(np.concatenate(hashes)[at]).duplicated(keep=False).to_numpy()]
    conflicting = np.zeros(len(copies), dtype=bool)
    conflicting[at[_texts(blocks, name, at).duplicated(keep=False).to_numpy()]] = True
    return conflicting


def contradicting_labels(blocks: Sequence[Profile], study: Study) -> Mask:
    """(N,) the rows of a patient that are equal in all that the study uses to another one with another class.

    Asked where patients are named, since others may be alike by chance, and of classes, since a number measured twice
    differs. Rows without a patient or a class are left aside; told by 64-bit hashes.
    """
    label, group = study.target.column, study.group
    if label is None or group is None or study.target.task not in ("classes", "ordinal"):
        return np.zeros(sum(map(len, blocks)), dtype=bool)
    used = list(dict.fromkeys([group, *study.features(), *([study.time] if study.time else [])]))
    content = np.concatenate([row_hashes(used, profile.block) for profile in blocks])
    classes = np.concatenate([profile.cells(label).values.astype("str").fillna("").to_numpy() for profile in blocks])
    known = (classes != "") & np.concatenate([(profile.texts(group) != "").to_numpy() for profile in blocks])
    pairs = pd.DataFrame({"content": content, "class": classes})[known].drop_duplicates()
    twice = pairs["content"][pairs["content"].duplicated()]
    found: Mask = known & np.isin(content, twice)
    return found


def _texts(blocks: Sequence[Profile], name: str, at: NDArray[np.int64]) -> "pd.Series[str]":
    """The column's texts in these rows, ascending."""
    parts, start = [pd.Series([], dtype="str")], 0
    for block in blocks:
        here = at[(at >= start) & (at < start + len(block))] - start
        if len(here):
            parts.append(block.texts(name).iloc[here])
        start += len(block)
    return pd.concat(parts, ignore_index=True)
