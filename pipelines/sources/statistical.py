"""Stata's .dta and SAS's transport files (.xpt): typed cells as text."""

import io
import re
from typing import TYPE_CHECKING

from contracts.errors import MedloopError
from pipelines.sources.raw import Raw
from pipelines.sources.typed import read_frame

if TYPE_CHECKING:
    import pandas as pd

# The first bytes of Stata 13 and later; of Stata 5 to 12 the release, the byte order, and the kind.
STATA = re.compile(rb"<stata_dta>|[\x69-\x73][\x01\x02]\x01\x00")
MISREAD_ZERO = 16.0**-65  # what pandas makes of the zero of SAS
TRANSPORT = b"HEADER RECORD*******LIB"


def is_statistical(data: bytes) -> bool:
    """Whether these are the first bytes of a file that `read_statistical` reads."""
    return bool(STATA.match(data)) or data.startswith(TRANSPORT)


def read_statistical(data: bytes, *, where: str) -> Raw:
    """The rows of a .dta or .xpt file; `@row` counts from 1. Special missing values are blank.

    Of Stata's value labels those are taken whose column has a label, and another one, for every value; else the codes
    stay. Dates in SAS transport files are days since 1960, as the file holds them.
    Raises MedloopError for a damaged file, and for versions that pandas does not read.
    """
    is_transport = data.startswith(TRANSPORT)
    try:
        frame = _transport(data) if is_transport else _stata(data)
    except Exception as error:  # pandas lets whatever its parsers stumble over through
        raise MedloopError(
            f"the {'SAS transport' if is_transport else 'Stata'} file is damaged, or of a version that is not read",
            where=where,
            mend="fetch it again, or export the table as CSV where it was made",
        ) from error
    return read_frame(frame, where=where)


def _transport(data: bytes) -> "pd.DataFrame":
    import pandas as pd

    try:
        frame = pd.read_sas(io.BytesIO(data), format="xport", encoding="utf-8")
    except UnicodeDecodeError:
        frame = pd.read_sas(io.BytesIO(data), format="xport", encoding="latin-1")
    return frame.replace(MISREAD_ZERO, 0.0)


def _stata(data: bytes) -> "pd.DataFrame":
    import pandas as pd

    frame = pd.read_stata(io.BytesIO(data), convert_categoricals=False)
    try:
        labelled = pd.read_stata(io.BytesIO(data), order_categoricals=False).select_dtypes("category")
    except ValueError:  # two values of a column have the same label
        return frame
    whole = [str(name) for name in labelled if all(isinstance(label, str) for label in labelled[name].cat.categories)]
    return frame.assign(**{name: labelled[name].astype("object") for name in whole})
