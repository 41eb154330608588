"""Folds for cross-validation: whole patients, alike shares of each class, in an order that new patients hardly change.

Stratified, grouped k-fold; repeated and nested (Varma & Simon, "Bias in error estimation when using cross-validation
for model selection", BMC Bioinformatics 7, 2006).
"""

import pandas as pd

from contracts.errors import MedloopError
from pipelines.split import SplitParams, rarest_class, shuffled


def with_folds(parts: pd.DataFrame, samples: pd.DataFrame, params: SplitParams) -> pd.DataFrame:
    """`parts` with the column `@fold`, or `@fold_0`, `@fold_1` … where folds are repeated; without folds, as it is.

    Shape: (N,) Int64 each, 0 … folds - 1, missing for test rows.

    Raises MedloopError when a class has fewer patients than there are folds.
    """
    if not params.folds:
        return parts
    kept = samples[(parts["@part"] != "test").to_numpy()]
    names = ["@fold"] if params.repeats == 1 else [f"@fold_{repeat}" for repeat in range(params.repeats)]
    drawn = {name: draw_folds(kept, params.folds, f"{params.seed} {name}") for name in names}
    return parts.assign(**{name: fold.reindex(parts.index) for name, fold in drawn.items()})


def draw_folds(samples: pd.DataFrame, folds: int, seed: str) -> "pd.Series[int]":
    """The fold of every sample, by its index: (N,) Int64, 0 … folds - 1.

    Patients of a class are put in the order of a hash and cut into blocks of equal size, so that a patient more moves
    only those at the edges. Classes begin with different folds, lest the first takes every odd patient.

    Raises MedloopError when a class has fewer patients than there are folds.
    """
    patients = pd.DataFrame({"stratum": rarest_class(samples)}).sort_index()
    patients["hash"] = shuffled(patients.index, seed)
    strata = patients.sort_values(["stratum", "hash"]).groupby("stratum")["stratum"]
    size = strata.transform("size")
    if size.min() < folds:
        raise MedloopError(
            f"{folds} folds need as many patients of each class; the rarest has {size.min()}",
            mend=f"split.folds: {size.min()} or fewer, gather more rows of it, or test on fewer",
        )
    fold = (strata.cumcount() * folds // size + strata.ngroup()) % folds
    return samples["@group"].map(fold).astype("Int64")


def nested(samples: pd.DataFrame, outer: "pd.Series[int]", folds: int, seed: int) -> pd.DataFrame:
    """Inner folds within what each outer fold leaves to train on.

    Shape: (N, outer folds) Int64, by the samples' index: column k holds the inner fold while outer fold k is tested,
    missing for the rows of k and for those of no outer fold.

    Raises MedloopError when a class has fewer patients left than there are folds.
    """
    numbers = sorted(int(number) for number in outer.dropna().unique())
    inner = {k: draw_folds(samples[outer.notna() & (outer != k)], folds, f"{seed} within {k}") for k in numbers}
    return pd.DataFrame({k: fold.reindex(samples.index) for k, fold in inner.items()}, index=samples.index)
