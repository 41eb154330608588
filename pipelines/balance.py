"""Training rows weighted, made or masked so that a rare class counts. Never sees another part."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from contracts.errors import MedloopError, listed
from contracts.names import nearest
from contracts.study import Frozen
from contracts.tables import feature_names, label_names
from pipelines.class_weights import Weighting, class_weights, patient_shares
from pipelines.masks import NEIGHBOURS, Cleaning, Mask, UnderSampling, clean, undersample
from pipelines.nominal import nominal_groups
from pipelines.oversampling import OverSampling, check_categories, oversample
from pipelines.priors import Prior, prior_shift
from pipelines.vary import KNOWN

Pair = Literal["smote_enn", "smote_tomek"]
Method = Literal["none"] | Weighting | OverSampling | UnderSampling | Cleaning | Pair
WEIGHTINGS: dict[str, Weighting] = {name: name for name in get_args(Weighting)}
OVER: dict[str, OverSampling] = {
    **{name: name for name in get_args(OverSampling)},
    "smote_enn": "smote",
    "smote_tomek": "smote",
}
UNDER: dict[str, UnderSampling] = {name: name for name in get_args(UnderSampling)}
CLEANINGS: dict[str, Cleaning] = {
    **{name: name for name in get_args(Cleaning)},
    "smote_enn": "enn",
    "smote_tomek": "tomek_links",
}
METHODS = list(dict.fromkeys(["none", *WEIGHTINGS, *OVER, *UNDER, *CLEANINGS]))


class BalanceParams(Frozen):
    """How training rows are balanced.

    method: "none", or one of
        weights: "class_weight", the inverse of a class's rows; "effective_number", of the volume that they cover (Cui
            et al., CVPR 2019); "patient_weight", as class_weight, and each patient of a class counts alike in it.
        made rows: "random_over", copies; "smote" (Chawla et al., JAIR 16, 2002) between a row and a neighbour of its
            class; "smote_nc" and "smote_n" (the same paper) where some or all features are categories, which a made
            row takes from most of the neighbours; "borderline_smote" (Han et al., ICIC 2005), "svm_smote" (Nguyen et
            al., IJKESDP 3, 2011; it also goes up to half as far away from the neighbour) and "adasyn" (He et al.,
            IJCNN 2008; reaches the size nearly) where another class is close.
        masked rows, which stay in the table and are not trained on: "random_under"; "patient_under", a patient's rows
            of a class together; "near_miss_1", "near_miss_2", "near_miss_3" (Mani and Zhang, ICML workshop 2003);
            "cluster_under", what is nearest to k-means centres; and of another class's neighbourhood "tomek_links",
            "enn" and "repeated_enn" (`pipelines/masks.py`), which do not aim at a size.
        made, then masked rows of every class, made ones too: "smote_enn", "smote_tomek" (Batista et al., SIGKDD
            Explorations 6, 2004).
    strategy: the share of the largest class that each other one reaches: made rows fill it up, masks (but
        those of neighbourhoods) shrink larger classes until the smallest is that share of them.
    k_neighbors: of made rows. A class of that many rows or fewer takes as many neighbours as it has, one of a
        single row is copied; the report says so.
    beta: of "effective_number"; 0 leaves all weights at 1, near 1 it is "class_weight".
    vary: how the pictures and sequences of made rows differ from those of the row that they descend from; pictures take
        "flip", "affine", "noise", "intensity", "mixup", "cutmix" (`pipelines.image.vary`), sequences "jitter",
        "scaling", "time_warp", "window", "shape_smote" (`pipelines.signal.vary`).
    seed: of the resampling.
    """

    method: Method = "class_weight"
    strategy: float = Field(default=1.0, gt=0, le=1)
    k_neighbors: int = Field(default=5, ge=1)
    beta: float = Field(default=0.999, ge=0, lt=1)
    vary: tuple[str, ...] = ("affine", "noise", "intensity", "jitter", "scaling")
    seed: int = 0

    @field_validator("vary")
    @classmethod
    def _known_variations(cls, vary: tuple[str, ...]) -> tuple[str, ...]:
        for name in vary:
            if name not in KNOWN:
                raise ValueError(f"unknown variation {name}{nearest(name, KNOWN)}; expected some of: {listed(KNOWN)}")
        return vary

    @field_validator("method", mode="before")
    @classmethod
    def _known(cls, method: object) -> object:
        if method not in METHODS:
            raise ValueError(
                f"unknown method{nearest(str(method), METHODS)}; expected one of: {listed(METHODS, most=99)}"
            )
        return method


class BalanceReport(Frozen):
    """What was done, by class's index, and departures from the method.

    before: rows. made, masked: rows added and rows hidden, made ones among them. after: rows that models train on.
    weight: the mean weight of those.
    """

    method: str
    before: dict[int, int]
    made: dict[int, int]
    masked: dict[int, int]
    after: dict[int, int]
    weight: dict[int, float]
    prior: Prior
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Balanced:
    """The training table with `@weight` (mean 1), `@origin`, `@masked` if any row is; and what was done."""

    table: pd.DataFrame
    report: BalanceReport


def balance(train: pd.DataFrame, params: BalanceParams, *, n_classes: int, numbered: Collection[str] = ()) -> Balanced:
    """Weights, made or masked rows; every row of `train` stays, in its order.

    A row made is called `synthetic-000001` and so on, and takes `@group` and `@origin` from the row that it
    descends from: the one it starts at (the neighbour is a training row of the same class). `@origin` of other rows
    is their own `@id`. Features that hold categories (0 and 1 only, and those `numbered`, whose levels are
    written as numbers) never get a value between two levels.

    `n_classes` is 0 for a label that is a number.

    Raises MedloopError when smote_nc or smote_n does not fit the features, when masks leave nothing of a class, and for
    any method but none where there are no classes.
    """
    if not n_classes and params.method != "none":
        raise MedloopError(
            f"{params.method} balances classes, and the label is a number",
            where="balance.method",
            mend="balance: {method: none}",
        )
    before = _count(train["@target"], n_classes)
    notes: list[str] = []
    table = train.copy()
    table["@origin"], table["@weight"] = train["@id"], np.float32(1)
    over, weighting = OVER.get(params.method), WEIGHTINGS.get(params.method)
    if over:
        table = pd.concat([table, *_made(table, before, over, params, numbered, notes)], ignore_index=True)
    masked = _masked(table, params, notes)
    weight = dict.fromkeys(before, 1.0)
    if weighting:
        weight = class_weights(weighting, before, beta=params.beta)
        table["@weight"] = table["@target"].map(weight).astype(np.float32)
    if weighting == "patient_weight":
        table["@weight"] *= patient_shares(train["@target"].to_numpy(), train["@group"].to_numpy()).astype(np.float32)
    return Balanced(
        table=_ordered(table, masked, feature_names(train)),
        report=_report(params.method, table["@target"], len(train), masked, n_classes, weight, notes),
    )


def _report(
    method: str,
    target: "pd.Series[Any]",
    real: int,
    masked: Mask,
    n_classes: int,
    weight: dict[int, float],
    notes: list[str],
) -> BalanceReport:
    before, after = _count(target[:real], n_classes), _count(target[~masked], n_classes)
    lost = [index for index in before if before[index] and not after[index]]
    if lost:
        raise MedloopError(
            f"{method} masks every row of class {listed(lost)}",
            mend="choose another balance.method, such as class_weight",
        )
    return BalanceReport(
        method=method,
        before=before,
        made=_count(target[real:], n_classes),
        masked=_count(target[masked], n_classes),
        after=after,
        weight=weight,
        prior=prior_shift(before, {index: weight[index] * rows for index, rows in after.items()}),
        notes=tuple(notes),
    )


def _ordered(table: pd.DataFrame, masked: Mask, features: list[str]) -> pd.DataFrame:
    own = ["@id", "@group", *label_names(table), "@weight", "@origin"]
    if masked.any():
        table, own = table.assign(**{"@masked": masked}), [*own, "@masked"]
    return table[[*own, *features]]


def _count(target: "pd.Series[Any]", n_classes: int) -> dict[int, int]:
    """The rows of each class; nothing where the label is none."""
    return {} if not n_classes else dict(enumerate(np.bincount(target, minlength=n_classes).tolist()))


def _masked(table: pd.DataFrame, params: BalanceParams, notes: list[str]) -> Mask:
    features = table[feature_names(table)].to_numpy(dtype=np.float32)
    target, patients = table["@target"].to_numpy(), table["@group"].to_numpy()
    under, cleaning = UNDER.get(params.method), CLEANINGS.get(params.method)
    if under:
        least = int(table["@target"].value_counts().min())
        if under.startswith("near_miss") and least < NEIGHBOURS:
            notes.append(
                f"the smallest class has {least} training rows for {NEIGHBOURS} neighbours: {under} with {least}"
            )
        return undersample(under, features, target, patients, share=params.strategy, seed=params.seed)
    if cleaning:
        return clean(cleaning, features, target, every_class=params.method in OVER)
    return np.zeros(len(table), dtype=bool)


def _made(
    table: pd.DataFrame,
    count: dict[int, int],
    method: OverSampling,
    params: BalanceParams,
    numbered: Collection[str],
    notes: list[str],
) -> list[pd.DataFrame]:
    """The rows that bring each class up to its share of the largest."""
    names = feature_names(table)
    features, target = table[names].to_numpy(dtype=np.float32), table["@target"].to_numpy()
    groups = nominal_groups(features, names, numbered)
    check_categories(method, groups, len(names))
    size, number, made = round(params.strategy * max(count.values())), 1, []
    for index, rows in count.items():
        if rows == 0 or rows >= size:
            continue
        neighbours = _neighbours(index, rows, method, params.k_neighbors, notes)
        settings = {"index": index, "size": size, "neighbours": neighbours, "seed": params.seed}
        values, origin = oversample(method, features, target, groups, **settings)
        if not len(origin):
            notes.append(f"class {index}: {method} finds no row close to another class: plain SMOTE")
            values, origin = oversample("smote", features, target, groups, **settings)
        if len(origin) != size - rows:
            notes.append(f"class {index}: {method} made {len(origin):,} rows where {size - rows:,} reach the size")
        ids = [f"synthetic-{n:06d}" for n in range(number, number + len(origin))]
        number += len(origin)
        own = table[["@origin", "@group", "@target", "@weight"]].iloc[origin].reset_index(drop=True)
        made.append(pd.concat([own.assign(**{"@id": ids}), pd.DataFrame(values, columns=names)], axis=1))
    return made


def _neighbours(index: int, rows: int, method: OverSampling, wanted: int, notes: list[str]) -> int:
    """How many neighbours a made row may have; 0 means copies."""
    if method == "random_over":
        return 0
    if rows > wanted:
        return wanted
    done = f"SMOTE with {rows - 1} neighbours" if rows > 1 else "copies of its only row"
    notes.append(f"class {index} has {rows} training rows for {wanted} neighbours: {done}")
    return rows - 1
