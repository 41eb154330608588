"""Training rows weighted or resampled so that a rare class counts. Never sees another part."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from contracts.study import Frozen
from contracts.tables import feature_names

if TYPE_CHECKING:
    from imblearn.over_sampling import SMOTE

Rows = NDArray[np.int64]
Features = NDArray[np.float32]


class BalanceParams(Frozen):
    """How training rows are balanced.

    method: "class_weight" weighs a row by the inverse of its class's share; "smote" adds rows between neighbours of
        the same class (Chawla et al., "SMOTE", JAIR 16, 2002); "random_over" adds copies; "random_under" leaves rows
        out; each until all classes are as large; "none".
    k_neighbors: SMOTE's. A class of that many rows or fewer takes as many neighbours as it has, one of a single row
        is copied; the report says so.
    seed: of the resampling.
    """

    method: Literal["none", "class_weight", "smote", "random_over", "random_under"] = "class_weight"
    k_neighbors: int = Field(default=5, ge=1)
    seed: int = 0


class BalanceReport(Frozen):
    """What was done: rows by class's index before and after, the classes' weights, and departures from the method."""

    method: str
    before: dict[int, int]
    after: dict[int, int]
    weight: dict[int, float]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Balanced:
    """The training table with `@weight` (mean 1) and `@origin`, and what was done."""

    table: pd.DataFrame
    report: BalanceReport


def balance(train: pd.DataFrame, params: BalanceParams, *, n_classes: int) -> Balanced:
    """Weights or resampled rows; the rows that stay keep their order.

    A row made is called `synthetic-000001` and so on, and takes `@group` and `@origin` from the row that it
    descends from: for SMOTE the one it starts at (the neighbour is a training row of the same class). A feature of
    values 0 and 1 only keeps that row's value, so that no made row has half a level. `@origin` of other rows is
    their own `@id`.
    """
    before = _count(train, n_classes)
    table = train.copy()
    table["@origin"], table["@weight"] = train["@id"], np.float32(1)
    notes: list[str] = []
    if params.method == "random_under":
        table = _under(table, params)
    elif params.method in ("smote", "random_over"):
        table = pd.concat([table, *_made(table, before, params, notes)], ignore_index=True)
    weight = dict.fromkeys(before, 1.0)
    if params.method == "class_weight":
        present = sum(count > 0 for count in before.values())
        weight = {index: len(train) / (present * count) if count else 0.0 for index, count in before.items()}
        table["@weight"] = train["@target"].map(weight).astype(np.float32)
    after = _count(table, n_classes)
    own = ["@id", "@group", "@target", "@weight", "@origin"]
    report = BalanceReport(method=params.method, before=before, after=after, weight=weight, notes=tuple(notes))
    return Balanced(table=table[[*own, *feature_names(train)]], report=report)


def _count(table: pd.DataFrame, n_classes: int) -> dict[int, int]:
    return dict(enumerate(np.bincount(table["@target"], minlength=n_classes).tolist()))


def _under(table: pd.DataFrame, params: BalanceParams) -> pd.DataFrame:
    from imblearn.under_sampling import RandomUnderSampler

    sampler = RandomUnderSampler(random_state=params.seed)
    sampler.fit_resample(np.zeros((len(table), 1)), table["@target"])
    return table.iloc[np.sort(sampler.sample_indices_)].reset_index(drop=True)


def _made(table: pd.DataFrame, count: dict[int, int], params: BalanceParams, notes: list[str]) -> list[pd.DataFrame]:
    """The rows that bring each class up to the largest."""
    names = feature_names(table)
    features, target = table[names].to_numpy(dtype=np.float32), table["@target"].to_numpy()
    largest, number, made = max(count.values()), 1, []
    for index, rows in count.items():
        if rows in (0, largest):
            continue
        neighbours = _neighbours(index, rows, params, notes)
        values, origin = _oversample(features, target, index, largest, neighbours, params.seed)
        ids = [f"synthetic-{n:06d}" for n in range(number, number + len(origin))]
        number += len(origin)
        own = (
            table[["@origin", "@group", "@target", "@weight"]]
            .iloc[origin]
            .reset_index(drop=True)
            .assign(**{"@id": ids})
        )
        made.append(pd.concat([own, pd.DataFrame(values, columns=names)], axis=1))
    return made


def _neighbours(index: int, rows: int, params: BalanceParams, notes: list[str]) -> int:
    """How many neighbours SMOTE may take; 0 means copies."""
    if params.method == "random_over":
        return 0
    if rows > params.k_neighbors:
        return params.k_neighbors
    done = f"SMOTE with {rows - 1} neighbours" if rows > 1 else "copies of its only row"
    notes.append(f"class {index} has {rows} training rows for {params.k_neighbors} neighbours: {done}")
    return rows - 1


def _oversample(
    features: Features, target: Rows, index: int, size: int, neighbours: int, seed: int
) -> tuple[Features, Rows]:
    """The rows made for class `index`, and the row that each descends from.

    Shape: features (N, F), target (N,) -> (M, F), (M,)
    """
    rows = np.flatnonzero(target == index)
    if not neighbours:
        from imblearn.over_sampling import RandomOverSampler

        copier = RandomOverSampler(sampling_strategy={index: size}, random_state=seed)
        copier.fit_resample(np.zeros((len(target), 1)), target)
        origin = copier.sample_indices_[len(target) :]
        return features[origin], origin
    sampler = _tracing_smote(sampling_strategy={index: size}, k_neighbors=neighbours, random_state=seed)
    made = sampler.fit_resample(features, target)[0][len(target) :]
    origin = rows[sampler.starts]
    flags = np.isin(features, (0, 1)).all(axis=0)
    made[:, flags] = features[origin][:, flags]
    return made, origin


def _tracing_smote(**settings: object) -> "SMOTE":
    """imbalanced-learn's SMOTE, which does not tell a made row's parents, with `starts`: where each one starts."""
    from imblearn.over_sampling import SMOTE

    class TracingSMOTE(SMOTE):  # type: ignore[misc]
        def _generate_samples(self, X, nn_data, nn_num, rows, cols, steps, *rest):  # type: ignore[no-untyped-def]  # noqa: N803
            self.starts = rows
            return super()._generate_samples(X, nn_data, nn_num, rows, cols, steps, *rest)

    return TracingSMOTE(**settings)
