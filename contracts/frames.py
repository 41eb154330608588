"""Tables of pandas whose columns have the names that the users gave them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def with_columns(table: "pd.DataFrame", columns: Mapping[str, Any]) -> "pd.DataFrame":
    """The table with these columns, new or in place of the old; `DataFrame.assign` takes none that is called self."""
    changed = table.copy(deep=False)
    for name, cells in columns.items():
        changed[name] = cells
    return changed
