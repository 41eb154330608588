"""What models must know of a study's payloads before they see them, told from the training rows."""

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Form
from contracts.payloads import Payloads
from pipelines.encode_payloads import PayloadEncoding


def forms(encoding: PayloadEncoding, train: dict[str, Payloads]) -> dict[str, Form]:
    """By column, the form of its payloads as models take them."""
    sizes = {name: vocabulary.count for name, vocabulary in encoding.vocabularies.items()}
    return {name: _form(payloads, sizes.get(name, 0)) for name, payloads in train.items()}


def _form(payloads: Payloads, vocabulary: int) -> Form:
    channels = list(payloads.channels)
    if payloads.offsets is None:
        size, centre, spread = list(payloads.values.shape[2:]), list(payloads.centre), list(payloads.spread)
        return Form(kind="image", channels=channels, size=size, centre=centre, spread=spread)
    longest = _longest(np.diff(payloads.offsets))
    if vocabulary:
        return Form(kind="text", longest=longest, vocabulary=vocabulary)
    return Form(kind="sequence", channels=channels, longest=longest, pace=_pace(payloads))


def _longest(lengths: NDArray[np.int64]) -> int:
    """A power of two that 99 of 100 rows stay within: the longest itself would tell of one patient."""
    return int(2 ** np.ceil(np.log2(max(np.quantile(lengths, 0.99), 1)))) if len(lengths) else 1


def _pace(payloads: Payloads) -> float:
    """The median time between two steps of a sequence; 0 where steps carry no moments."""
    if payloads.times is None or payloads.offsets is None:
        return 0.0
    since = np.diff(payloads.times)
    within = np.ones(len(since), dtype=bool)
    ends = payloads.offsets[1:-1] - 1
    within[ends[(ends >= 0) & (ends < len(since))]] = False
    steps = since[within & (since > 0)]
    return float(np.median(steps)) if len(steps) else 1.0
