"""Folds for cross-validation: whole patients, alike shares of each class, in an order that new patients hardly change.

Stratified, grouped k-fold; repeated and nested (Varma & Simon, "Bias in error estimation when using cross-validation
for model selection", BMC Bioinformatics 7, 2006).
"""

import pandas as pd

from contracts.errors import MedloopError
from contracts.tables import ASIDE, Schema
from pipelines.split import SplitParams, by_row, drawn, rarest_class, refuse_one_class, shuffled


def with_folds(parts: pd.DataFrame, samples: pd.DataFrame, params: SplitParams) -> pd.DataFrame:
    """`parts` with the column `@fold`, or `@fold_0`, `@fold_1` … where folds are repeated; without folds, as it is.

    Shape: (N,) Int64 each, 0 … folds - 1, missing for test rows.

    Raises MedloopError when a class has fewer patients than there are folds.
    """
    if not params.folds:
        return parts
    kept = samples[(parts["@part"] != "test").to_numpy()]
    folds = {name: draw_folds(kept, params.folds, f"{params.seed} {name}") for name in _names(params)}
    return parts.assign(**{name: fold.reindex(parts.index) for name, fold in folds.items()})


def _names(params: SplitParams) -> list[str]:
    return ["@fold"] if params.repeats == 1 else [f"@fold_{repeat}" for repeat in range(params.repeats)]


def with_fold_tested(parts: pd.DataFrame, samples: pd.DataFrame, schema: Schema, params: SplitParams) -> pd.DataFrame:
    """`parts` for one turn of a cross-validation: the fold is the test part, and the test set proper is set aside.

    Validation is drawn anew from the patients of the other folds, so that nothing that is learnt or chosen, be it the
    epoch to stop at, has seen the fold. Without a fold to test, `parts` as they are.

    Raises MedloopError when training then lacks a class, or a part holds one class only.
    """
    if params.fold is None:
        return parts
    name = _names(params)[params.repeat]
    tested = parts[name].eq(params.fold).fillna(False).to_numpy(dtype=bool)
    free = samples[parts[name].notna().to_numpy() & ~tested]
    set_before = pd.Series("test", index=samples.loc[tested, "@group"].unique(), dtype="str")
    others = drawn(free, params, set_before, f"{params.seed} {name} without {params.fold}")
    part = by_row(samples, pd.concat([set_before, others])).fillna(ASIDE)
    refuse_one_class(samples["@target"], part, schema)
    return parts.assign(**{"@part": part.astype("str")})


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
    return by_row(samples, fold).astype("Int64")


def nested(samples: pd.DataFrame, outer: "pd.Series[int]", folds: int, seed: int) -> pd.DataFrame:
    """Inner folds within what each outer fold leaves to train on.

    Shape: (N, outer folds) Int64, by the samples' index: column k holds the inner fold while outer fold k is tested,
    missing for the rows of k and for those of no outer fold.

    Raises MedloopError when a class has fewer patients left than there are folds.
    """
    numbers = sorted(int(number) for number in outer.dropna().unique())
    inner = {k: draw_folds(samples[outer.notna() & (outer != k)], folds, f"{seed} within {k}") for k in numbers}
    return pd.DataFrame({k: fold.reindex(samples.index) for k, fold in inner.items()}, index=samples.index)
