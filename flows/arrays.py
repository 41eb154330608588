"""Tables of features and payloads as the arrays that models take, so that `models` runs without pandas."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.examples import Examples, Form, Inputs
from contracts.payloads import Payloads
from contracts.tables import Schema, feature_names, label_names, labels_of
from contracts.tags import padded

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def examples(features: "pd.DataFrame", payloads: Mapping[str, Payloads]) -> Examples:
    """A features table as arrays, copied since pandas gives read-only ones; target and weight where it has them.

    `payloads` are those of its rows, in their order. Rows that balancing masked are left out.
    """
    at = None
    if "@masked" in features:
        at = np.flatnonzero(~features["@masked"])
        features = features.iloc[at]
    weight, group = (features.get(name) for name in ("@weight", "@group"))
    return Examples(
        table=np.array(features[feature_names(features)], dtype=np.float32),
        payloads=dict(payloads),
        at=at,
        target=_labels(features) if label_names(features) else None,
        weight=None if weight is None else np.array(weight, dtype=np.float32),
        patient=None if group is None else np.unique(group, return_inverse=True)[1],
    )


def _labels(features: "pd.DataFrame") -> "NDArray[Any]":
    """The labels as numbers; those of words, which are text, as an array of tags."""
    told = labels_of(features)
    return padded(told.tolist()) if told.dtype == object else np.array(told)


def inputs(features: "pd.DataFrame", schema: Schema, told: Mapping[str, Any]) -> Inputs:
    """What a model must know of the training rows before it sees them; `told` is what normalisation says of them."""
    return Inputs(
        columns=feature_names(features),
        figures=told["figures"],
        sources=told["sources"],
        payloads={name: Form(**form) for name, form in told["payloads"].items()},
        classes=list(schema.classes),
        positive=schema.positive_index if schema.classes else 0,
        task=schema.task,
        unit=schema.unit,
        horizon=schema.horizon,
        labels=list(schema.labels),
    )


def with_made(real: Mapping[str, Payloads], made: Mapping[str, Payloads]) -> dict[str, Payloads]:
    """The payloads of training rows, and after them those of the rows that balancing made."""
    return {name: _stacked(of, made[name]) if name in made else of for name, of in real.items()}


def _stacked(first: Payloads, then: Payloads) -> Payloads:
    values = np.concatenate([first.values, then.values])
    if first.offsets is None or then.offsets is None:
        return replace(first, values=values)
    times = None if first.times is None or then.times is None else np.concatenate([first.times, then.times])
    offsets = np.append(first.offsets, first.offsets[-1] + then.offsets[1:])
    return replace(first, values=values, times=times, offsets=offsets)
