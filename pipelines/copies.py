"""Equal rows: one patient written down twice, or two patients alike in what was asked?"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def too_rare_for_chance(rows: pd.DataFrame, alike: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the rows marked `alike`, equal to another, are copies rather than coincidences. Shape: (N,) -> (N,).

    The bits of a row (the sum over its cells of -log2 of the value's frequency) say how rare it is. Columns that
    depend on each other make it look rarer than it is, so it takes twice the bits that single out one pair among all.
    """
    bits = np.zeros(len(rows))
    if alike.any():
        for name in rows:
            codes = pd.factorize(rows[name], use_na_sentinel=False)[0]
            bits[alike] -= np.log2(np.bincount(codes)[codes[alike]] / len(rows))
    rare: NDArray[np.bool_] = alike & (bits >= 4 * np.log2(max(len(rows), 2)))
    return rare
