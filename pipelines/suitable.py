"""Which method of normalisation suits which type of column."""

from collections.abc import Mapping
from typing import get_args

from contracts.errors import MedloopError
from contracts.names import nearest
from contracts.tables import Schema
from pipelines.encoding import Encoder
from pipelines.scaling import Scaling

SCALINGS: tuple[str, ...] = get_args(Scaling)
ENCODERS: tuple[str, ...] = get_args(Encoder)
ACROSS = ("unit", "patient")  # look at more than the cell, and so make no sense of a date
FITS: dict[str, tuple[str, ...]] = {
    "numeric": SCALINGS,
    "datetime": tuple(method for method in SCALINGS if method not in ACROSS),
    "categorical": ENCODERS,
    "ordinal": ENCODERS,
}


def refuse_unfitting(schema: Schema, columns: Mapping[str, str]) -> None:
    """Raises MedloopError when `columns` names no feature, or a method that does not fit its type."""
    for name, method in columns.items():
        if name not in schema.features:
            raise MedloopError(
                f"normalize.columns names {name}, which is no feature after imputation{nearest(name, schema.features)}",
                mend="correct the name, or take it out of normalize.columns",
            )
        kind = schema.features[name].type
        if method not in FITS.get(kind, ()):
            raise MedloopError(
                f"normalize.columns: {method} does not fit {name}, a column of type {kind}"
                f"{nearest(method, FITS.get(kind, ()))}",
                mend=f"choose one of {list(FITS[kind])}"
                if kind in FITS
                else "pictures, sequences and texts have settings "
                "of their own: normalize.channels, image, sequence, text",
            )


def refuse_twins(names: tuple[str, ...]) -> None:
    """Raises MedloopError when two features have one name."""
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise MedloopError(f"several columns would give a feature named {twins[0]}", mend="rename one of them")
