"""What the tests of sources share: a plain file, and short ways to read one or to be told its fault."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts.errors import MedloopError
from pipelines.sources import FileSource, Layout, Raw, read
from pipelines.sources.formats import parse

PLAIN = b"id,age,note\n007,61,a\n12345678901234567,,=cmd|' /C calc'!A0\n"


def table_of(data: bytes, **layout: object) -> pd.DataFrame:
    return parse(data, Layout.model_validate(layout), where="f.csv").table


def fault(data: bytes, **layout: object) -> MedloopError:
    with pytest.raises(MedloopError) as caught:
        parse(data, Layout.model_validate(layout), where="f.csv")
    return caught.value


def read_path(path: Path | str, **layout: object) -> Raw:
    return read(FileSource.model_validate({"path": str(path), **layout}), root=Path("/nowhere"), cache=Path("/nowhere"))


def npy(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(values, dtype=object), allow_pickle=True)
    return file.getvalue()
