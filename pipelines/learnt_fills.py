"""Methods that fill a gap by what else is known: of the row's numbers at once, or of the patient's other moments."""

from typing import TYPE_CHECKING, Any, Literal, get_args

from contracts.errors import MedloopError
from contracts.study import Column
from pipelines.chained import fit_chained
from pipelines.denoising import fit_denoiser
from pipelines.forest import fit_forests
from pipelines.neighbours import fit_neighbours
from pipelines.regression import fit_regression
from pipelines.table import Table
from pipelines.within import Within

if TYPE_CHECKING:
    from pipelines.impute import ImputeParams

Model = Literal["regression", "mice", "forest", "autoencoder", "neighbours"]


def fit_models(
    table: Table,
    kept: dict[str, Column],
    methods: dict[str, str],
    fills: dict[str, float | str],
    params: "ImputeParams",
) -> dict[str, Any]:
    """What the learnt methods need, by field of Imputer."""
    numeric = {name: column for name, column in kept.items() if column.type == "numeric"}
    by = {m: [n for n, method in methods.items() if method == m] for m in (*get_args(Model), *get_args(Within))}
    _check_needs(by, table, list(numeric))
    models: dict[str, Any] = {"within": {name: method for method in get_args(Within) for name in by[method]}}
    if not any(by[method] for method in get_args(Model)):
        return models
    train = table.read()
    if by["regression"]:
        models["regression"] = fit_regression(train, list(numeric), by["regression"], fills)
    if by["mice"]:
        models["chained"] = fit_chained(train, numeric, by["mice"], fills, seed=params.seed)
    if by["forest"]:
        models["forests"] = fit_forests(train, list(numeric), by["forest"], fills, seed=params.seed)
    if by["autoencoder"]:
        models["denoiser"] = fit_denoiser(train, list(numeric), by["autoencoder"], seed=params.seed)
    if by["neighbours"]:
        filled = {name: kept[name] for name in by["neighbours"]}
        models["neighbours"] = fit_neighbours(train, list(numeric), filled, nearest=params.neighbours)
    return models


def _check_needs(by: dict[str, list[str]], train: Table, numeric: list[str]) -> None:
    for method in get_args(Within):
        if by[method] and "@time" not in train:
            raise MedloopError(
                f"impute: {method} fills {by[method][0]} from a patient's other moments, and the study has no time",
                mend="name the column of the moment under `time`, or choose another method",
            )
    for method in ("forest", "neighbours", "autoencoder"):
        alone = by[method] and not set(numeric) - set(by[method][:1])
        if alone:
            raise MedloopError(
                f"impute: {method} fills {by[method][0]} from other numeric columns, and there is none",
                mend="choose another method",
            )
