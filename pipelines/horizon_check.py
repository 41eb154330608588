"""The leak certificate's line on a forecast: whether anything of the horizon reached what models read."""

from collections.abc import Mapping

import pandas as pd

from contracts.payloads import Payloads
from contracts.target import Target
from pipelines.audit import Check
from pipelines.horizon import steps_beyond


def horizon_check(
    samples: pd.DataFrame, target: Target, whole: Mapping[str, Payloads], now: Mapping[str, Payloads]
) -> Check:
    """A leak where a step of the horizon is left in a sequence; `whole` are those that were read, `now` the models'."""
    beyond = steps_beyond(samples, target, whole, now)
    evidence = {"rows": len(samples), "values_ahead": int(target.horizon or 0), "steps_of_the_horizon_left": beyond}
    if beyond:
        told = f"{beyond:,} steps of the horizon are left in the sequences that models read"
        return Check(name="horizon", verdict="leak", sentence=told, evidence=evidence)
    told = f"all sequences of the {len(samples):,} rows end before the first value that is to be forecast"
    return Check(name="horizon", verdict="clean", sentence=told, evidence=evidence)
