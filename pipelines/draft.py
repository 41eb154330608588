"""The first declaration of a study, read off its data: a proposal in which every guess is marked for a person.

Nothing here is used by a run; what a person leaves in the file is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed, masked
from contracts.names import nearest
from contracts.study import Column, Target
from pipelines.cells import canonical, read_cells
from pipelines.clean import CleanParams
from pipelines.identifiers import identifying, words

if TYPE_CHECKING:
    TextSeries = pd.Series[str]
    Counts = pd.Series[int]

Array = NDArray[np.float64]

MISSING_WORDS = frozenset(
    "na n/a n.a. #n/a nan null nil missing unknown unk unknown/missing refused refuse declined ? . - -- --- "
    "not known|not available|not recorded|not reported|not done|not stated|not asked|no data|no answer|no response|"
    "don't know|dont know|do not know|don’t know|prefer not to say|#div/0!|#value!|#ref!|#name?|未知|不详|缺失|拒绝".split("|")
)
CODES = {float(str(digit) * length) for digit in (7, 8, 9) for length in range(1, 8)} | {
    float(str(digit) * length) for digit in (5, 6) for length in range(3, 8)
}
FORMATS = {
    "%Y-%m-%d": "",
    "%Y/%m/%d": "",
    "%d.%m.%Y": "",
    "%d/%m/%Y": "%m/%d/%Y",
    "%m/%d/%Y": "%d/%m/%Y",
    "%d-%m-%Y": "%m-%d-%Y",
    "%m-%d-%Y": "%d-%m-%Y",
    "%d-%b-%Y": "",
    "%d%b%Y": "",
    "%Y年%m月%d日": "",
}
CLOCK = r"(?:b')?\d{1,2}:\d{2}(?::\d{2})?(?: ?[AaPp][Mm])?'?"
YES = ("1", "yes", "y", "true", "positive", "pos", "case", "dead", "died", "是", "阳性")
FEW, LISTED, MANY, MOST_CLASSES = 5, 20, 100, 20
