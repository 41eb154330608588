"""Multiple imputation: several completed data sets, and one answer out of theirs, with the doubt that the gaps add."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from contracts.errors import MedloopError
from contracts.study import Frozen
from contracts.tables import Schema
from pipelines.impute import ImputeParams, apply_impute, fit_impute


class Pooled(Frozen):
    """An estimate over m completed data sets.

    variance: the total one, `within` (the mean of theirs) and (1 + 1/m) times `between`.
    freedom: degrees of freedom of the t distribution that gives its interval; None for a normal one.
    increase: the relative increase in variance due to the gaps; None when there is no variance within.
    """

    estimate: float
    variance: float
    within: float
    between: float
    freedom: float | None
    increase: float | None

    @property
    def lost(self) -> float:
        """The fraction of the information that the gaps took (Rubin 1987, equation 3.1.10)."""
        increase, freedom = self.increase or 0.0, np.inf if self.freedom is None else self.freedom
        return float((increase + 2 / (freedom + 3)) / (increase + 1)) if increase else 0.0

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The two ends of the t interval."""
        from scipy.special import ndtri, stdtrit

        share = (1 + confidence) / 2
        quantile = ndtri(share) if self.freedom is None else stdtrit(self.freedom, share)
        half = float(quantile * np.sqrt(self.variance))
        return self.estimate - half, self.estimate + half


def complete(
    train: pd.DataFrame, samples: pd.DataFrame, schema: Schema, params: ImputeParams, m: int
) -> list[pd.DataFrame]:
    """`samples` completed m times, each time by an imputer of a seed of its own, fitted on `train`.

    Raises MedloopError when no column is filled by "mice": only its draws carry the doubt that pooling needs.
    """
    if params.numeric != "mice" and "mice" not in params.columns.values():
        raise MedloopError(
            "multiple imputation takes draws, and no column is filled by mice", mend="set impute.numeric: mice"
        )
    seeds = range(params.seed, params.seed + m)
    imputers = (fit_impute(train, schema, params.model_copy(update={"seed": seed})) for seed in seeds)
    return [apply_impute(imputer, samples) for imputer in imputers]


def pool(estimates: Sequence[float], variances: Sequence[float], *, freedom: float = np.inf) -> Pooled:
    """Rubin's rules over (m,) estimates and their squared standard errors.

    Rubin, "Multiple Imputation for Nonresponse in Surveys", 1987, ch. 3; degrees of freedom of Barnard and Rubin,
    "Small-sample degrees of freedom with multiple imputation", Biometrika 86, 1999.

    Args:
        freedom: the degrees of freedom that the estimate would have on data without gaps.

    Raises MedloopError on fewer than two data sets, on lengths that differ, and on a negative variance.
    """
    q, u = np.asarray(estimates, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if len(q) < 2 or q.shape != u.shape or (u < 0).any():
        raise MedloopError(
            f"Rubin's rules take two estimates or more and a variance for each; got {len(q)} and {len(u)}",
            mend="pool the estimates of two completed data sets or more, with their squared standard errors",
        )
    within, between = float(u.mean()), float(q.var(ddof=1))
    added = (1 + 1 / len(q)) * between
    df = _freedom(len(q), added, within + added, freedom)
    return Pooled(
        estimate=float(q.mean()),
        variance=within + added,
        within=within,
        between=between,
        freedom=df if np.isfinite(df) else None,
        increase=added / within if within else None,
    )


def _freedom(m: int, added: float, total: float, complete: float) -> float:
    share = added / total if total else 0.0
    old = (m - 1) / share**2 if share else np.inf
    if not np.isfinite(complete):
        return old
    observed = (complete + 1) / (complete + 3) * complete * (1 - share)
    return 1 / (1 / old + 1 / observed) if observed else 0.0
