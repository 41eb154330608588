"""Tables of features as the arrays that models take, so that `models` runs without pandas."""

from typing import TYPE_CHECKING

import numpy as np

from contracts.examples import Examples, Inputs
from contracts.tables import Schema, feature_names

if TYPE_CHECKING:
    import pandas as pd


def examples(features: "pd.DataFrame") -> Examples:
    """A features table as arrays, copied since pandas gives read-only ones; target and weight where it has them.

    Rows that balancing masked are left out.
    """
    if "@masked" in features:
        features = features[~features["@masked"]]
    target, weight = features.get("@target"), features.get("@weight")
    return Examples(
        features={"table": np.array(features[feature_names(features)], dtype=np.float32)},
        target=None if target is None else np.array(target, dtype=np.int64),
        weight=None if weight is None else np.array(weight, dtype=np.float32),
    )


def inputs(features: "pd.DataFrame", schema: Schema) -> Inputs:
    """What a model must know of this table before it sees it."""
    return Inputs(
        columns={"table": feature_names(features)}, classes=list(schema.classes), positive=schema.positive_index
    )
