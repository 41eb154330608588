"""Rows that stand in a table more than once, and ids that stand on rows that differ, over all blocks."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.study import Study
from pipelines.cells import Mask
from pipelines.copies import row_hashes, twice
from pipelines.profile import Profile
from pipelines.table import coded


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
    classes = np.concatenate([_classes(profile, label, group) for profile in blocks])
    at = np.flatnonzero(classes)
    at = at[twice(content[at])]
    several = pd.Series(classes[at]).groupby(content[at]).transform("nunique").to_numpy() > 1
    found = np.zeros(len(content), dtype=bool)
    found[at[several]] = True
    return found


def _classes(profile: Profile, label: str, group: str) -> NDArray[np.uint64]:
    """(N,) a hash of each row's class; 0 where it, or the patient, is not told."""
    numbers, classes = coded(profile.cells(label).values.astype("str"))
    hashes = np.where(classes == "", 0, pd.util.hash_array(classes.to_numpy(dtype=object), categorize=False))
    return np.where(profile.texts(group) == "", 0, hashes.astype(np.uint64)[numbers])


def _texts(blocks: Sequence[Profile], name: str, at: NDArray[np.int64]) -> "pd.Series[str]":
    """The column's texts in these rows, ascending."""
    parts, start = [pd.Series([], dtype="str")], 0
    for block in blocks:
        here = at[(at >= start) & (at < start + len(block))] - start
        if len(here):
            parts.append(block.texts(name).iloc[here])
        start += len(block)
    return pd.concat(parts, ignore_index=True)
