"""The ways to fill a gap beside the simple ones, and the promises that hold for all of them."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import MedloopError
from contracts.study import Column
from contracts.tables import Schema, rows_seen
from pipelines.impute import KNOWN, ImputeParams, Imputer, apply_impute, fit_impute

SCHEMA = Schema(
    features={
        "a": Column(type="numeric"),
        "b": Column(type="numeric", range=(0, None)),
        "c": Column(type="numeric"),
        "sex": Column(type="categorical"),
        "stage": Column(type="ordinal", levels=("I", "II", "III")),
        "seen": Column(type="datetime"),
    },
    classes=("no", "yes"),
)
NAMES = list(SCHEMA.features)
EVERY = [(kind, method) for kind, known in KNOWN.items() for method in known]


def samples(rows: int = 120, *, share: float = 0.25, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Patients of four visits whose columns hang together: whole, and with a share of the cells gone."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=rows)
    kind = np.digitize(hidden, [-0.5, 0.5])
    time = pd.Timestamp("2020-01-01") + pd.to_timedelta(30 * (np.arange(rows) % 4) + rng.integers(0, 9, rows), unit="D")
    whole = pd.DataFrame(
        {
            "@id": [f"r{i:04}" for i in range(rows)],
            "@group": [f"p{i // 4}" for i in range(rows)],
            "@time": time,
            "a": hidden + 0.3 * rng.normal(size=rows),
            "b": np.exp(hidden + 0.3 * rng.normal(size=rows)),
            "c": 50 - 10 * hidden + 3 * rng.normal(size=rows),
            "sex": pd.Series(np.where(hidden > 0, "f", "m"), dtype="str"),
            "stage": pd.Series(np.array(SCHEMA.features["stage"].levels)[kind], dtype="str"),
            "seen": pd.Timestamp("2000-01-01") + pd.to_timedelta((1000 * hidden).round(), unit="D"),
        }
    )
    gaps = rng.random((rows, len(NAMES))) < share
    return whole, whole.assign(**{name: whole[name].mask(gaps[:, place]) for place, name in enumerate(NAMES)})


def chosen(kind: str, method: str, **more: Any) -> ImputeParams:
    constants = {"sex": "f", "stage": "II", "seen": "2001-02-03"}
    return ImputeParams.model_validate({kind: method, "constants": constants, **more})


@pytest.mark.parametrize(("kind", "method"), EVERY)
@settings(max_examples=3)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_method_keeps_its_promises(kind: str, method: str, seed: int) -> None:
    """Known cells and rows stay, no gap is left, the order of rows does not matter, the state is plain JSON."""
    _, holed = samples(60, seed=seed % 5)
    params = chosen(kind, method)
    imputer = fit_impute(holed, SCHEMA, params)
    shuffled = holed.sample(frac=1, random_state=seed)
    again = fit_impute(shuffled, SCHEMA, params)
    assert again.model_dump_json() == imputer.model_dump_json()
    assert imputer.seen == rows_seen(holed["@id"])
    kept = json.dumps(imputer.model_dump(mode="json"), sort_keys=True)  # as it is stored
    table = apply_impute(Imputer.model_validate_json(kept), holed)
    pd.testing.assert_frame_equal(apply_impute(imputer, shuffled).sort_index(), table, check_like=True)
    assert table["@id"].equals(holed["@id"])
    assert not table.isna().any().any()
    assert table[NAMES].where(holed[NAMES].notna()).equals(holed[NAMES].where(holed[NAMES].notna()))
    assert (table.dtypes[NAMES] == holed.dtypes[NAMES]).all()
    assert len(apply_impute(imputer, holed[:0])) == 0


def test_forests_fill_in_the_order_in_which_they_learnt_from_the_stored_file_too() -> None:
    _, holed = samples(60, seed=2)  # whose columns by their gaps are in another order than by their names
    imputer = fit_impute(holed, SCHEMA, chosen("numeric", "forest"))
    stored = Imputer.model_validate_json(json.dumps(imputer.model_dump(mode="json"), sort_keys=True))
    pd.testing.assert_frame_equal(apply_impute(stored, holed), apply_impute(imputer, holed), check_like=True)


def numbers(part: Any) -> Iterator[float]:
    if isinstance(part, dict):
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from numbers(one)
    elif isinstance(part, float):
        yield part


@pytest.mark.parametrize("method", ["neighbours", "regression", "mice", "forest"])
def test_what_was_learnt_holds_no_patients_value(method: str) -> None:
    _, holed = samples(300)
    holed = holed[holed["b"].isna() | holed["b"].lt(30)]
    params = ImputeParams(numeric=method, categorical="neighbours", ordinal="neighbours", datetime="neighbours")  # type: ignore[arg-type]
    state = json.loads(fit_impute(holed, SCHEMA, params).model_dump_json(exclude={"fills"}))
    own = {round(v, 5) for name in "abc" for v in holed[name].dropna()}
    standard = {round((v - holed[n].mean()) / holed[n].std(ddof=0), 5) for n in "abc" for v in holed[n].dropna()}
    stored = [v for v in numbers({k: state[k] for k in ("regression", "chained", "forests", "neighbours")}) if v != 0]
    assert len(stored) > 20
    same = [v for v in stored if round(v, 5) in own | standard]
    assert len(same) <= 0.03 * len(stored)  # 600 values of 5 digits meet by chance now and then
    assert all(count >= 5 for count in state["neighbours"]["rows"])


def test_a_level_or_value_of_few_rows_is_no_neighbour() -> None:
    _, holed = samples(200)
    holed.loc[holed.index[:4], "sex"] = "rare"
    state = fit_impute(holed, SCHEMA, ImputeParams(categorical="neighbours")).model_dump_json()
    assert "rare" not in state


@pytest.mark.parametrize(("method", "within"), [("neighbours", 0.75), ("forest", 0.6), ("regression", 0.6)])
def test_learnt_methods_come_closer_than_the_median_on_rows_never_seen(method: str, within: float) -> None:
    whole, holed = samples(800)
    error = {}
    for each in ("median", method):
        imputer = fit_impute(holed[:600], SCHEMA, chosen("numeric", each))
        away = (apply_impute(imputer, holed[600:])[["a", "c"]] - whole.loc[600:, ["a", "c"]]) / whole[["a", "c"]].std()
        error[each] = np.sqrt((away.to_numpy()[holed.loc[600:, ["a", "c"]].isna()] ** 2).mean())
    assert error[method] < within * error["median"]


@pytest.mark.parametrize(("kind", "name", "least"), [("categorical", "sex", 0.75), ("ordinal", "stage", 0.6)])
def test_neighbours_know_levels(kind: str, name: str, least: float) -> None:
    whole, holed = samples(800)
    table = apply_impute(fit_impute(holed[:600], SCHEMA, chosen(kind, "neighbours")), holed[600:])
    gap = holed.loc[600:, name].isna()
    assert (table[name] == whole.loc[600:, name])[gap].mean() > least


def test_neighbours_know_dates() -> None:
    whole, holed = samples(800)
    table = apply_impute(fit_impute(holed[:600], SCHEMA, chosen("datetime", "neighbours")), holed[600:])
    gap = holed.loc[600:, "seen"].isna()
    assert (table["seen"] - whole.loc[600:, "seen"])[gap].abs().median() < pd.Timedelta(days=500)


def test_a_row_without_any_number_falls_back() -> None:
    _, holed = samples(200)
    imputer = fit_impute(holed, SCHEMA, chosen("numeric", "neighbours"))
    table = apply_impute(imputer, holed[:1].assign(a=np.nan, b=np.nan, c=np.nan))
    assert table["a"].tolist() == [holed["a"].median()]


def test_draws_keep_the_spread_that_expectations_lose_and_the_declared_range() -> None:
    whole, holed = samples(1000, share=0.4)
    drawn, expected = (
        apply_impute(fit_impute(holed, SCHEMA, chosen("numeric", method)), holed) for method in ("mice", "regression")
    )
    assert drawn["a"].std() == pytest.approx(whole["a"].std(), rel=0.06)
    assert expected["a"].std() < 0.97 * drawn["a"].std()
    assert drawn["b"].min() >= 0


def test_a_rows_draw_depends_on_its_id_and_the_seed_only() -> None:
    _, holed = samples()
    first, second = (fit_impute(holed, SCHEMA, chosen("numeric", "mice", seed=seed)) for seed in (0, 1))
    table = apply_impute(first, holed)
    pd.testing.assert_frame_equal(apply_impute(first, holed[37:38]), table[37:38])
    gap = holed["a"].isna()
    assert (apply_impute(second, holed)["a"] != table["a"])[gap].all()
    renamed = apply_impute(first, holed.assign(**{"@id": "x" + holed["@id"]}))
    assert (renamed["a"] != table["a"])[gap].all()


def visits() -> pd.DataFrame:
    """One patient's five days out of order, and another's single one."""
    return pd.DataFrame(
        {
            "@id": list("abcdef"),
            "@group": [*"ppppp", "q"],
            "@time": pd.to_datetime(
                ["2020-01-05", "2020-01-01", "2020-01-02", "2020-01-04", "2020-01-03", "2020-01-03"]
            ),
            "x": [np.nan, np.nan, 10.0, 40.0, np.nan, np.nan],
            "sex": pd.Series([None, None, "f", "m", None, None], dtype="str"),
        }
    )


VISITS = Schema(features={"x": Column(type="numeric"), "sex": Column(type="categorical")}, classes=("no", "yes"))


@pytest.mark.parametrize(
    ("method", "x"),
    [
        ("forward", [40, 25, 10, 40, 10, 25]),  # 25, the median, before the first value and for the other patient
        ("backward", [25, 10, 10, 40, 40, 25]),
        ("interpolate", [40, 10, 10, 40, 25, 25]),
    ],
)
def test_values_are_carried_within_a_patient_in_the_order_of_time(method: Any, x: list[float]) -> None:
    imputer = fit_impute(visits(), VISITS, ImputeParams(numeric=method))
    assert apply_impute(imputer, visits())["x"].tolist() == x
    alone = apply_impute(imputer, visits().drop(columns="@group"))["x"]  # as in a prediction
    assert alone.tolist() == [25, 25, 10, 40, 25, 25]


def test_a_line_follows_the_time_between_visits() -> None:
    moved = visits().assign(
        **{"@time": visits()["@time"].where(visits()["@id"] != "e", pd.Timestamp("2020-01-02 12:00"))}
    )
    imputer = fit_impute(visits(), VISITS, ImputeParams(numeric="interpolate"))
    assert apply_impute(imputer, moved)["x"].iloc[4] == 17.5


def test_levels_are_carried_and_their_gaps_stay_visible() -> None:
    imputer = fit_impute(visits(), VISITS, ImputeParams(categorical="forward"))
    table = apply_impute(imputer, visits())
    assert table["sex"].tolist() == ["m", "f", "f", "m", "f", "f"]
    assert "sex" in imputer.indicators.values() or "x" in imputer.indicators.values()


def test_a_visit_without_a_time_stands_alone() -> None:
    timeless = visits().assign(**{"@time": visits()["@time"].where(visits()["@id"] != "a")})
    imputer = fit_impute(visits(), VISITS, ImputeParams(numeric="forward"))
    assert apply_impute(imputer, timeless)["x"].iloc[0] == 25


def test_constants_by_column_and_a_frequent_number() -> None:
    _, holed = samples()
    params = ImputeParams.model_validate(
        {
            "columns": dict.fromkeys(NAMES, "constant"),
            "constant": 7,
            "constants": {"b": -1, "sex": "x", "stage": "III", "seen": "1999-01-01"},
        }
    )
    assert fit_impute(holed, SCHEMA, params).fills == {
        "a": 7, "b": -1, "c": 7, "sex": "x", "stage": "III", "seen": "1999-01-01T00:00:00",
    }  # fmt: skip
    often = holed.assign(a=np.where(np.arange(len(holed)) < 5, 3.0, holed["a"]))
    fills = fit_impute(often, SCHEMA, ImputeParams(numeric="most_frequent")).fills
    assert fills["a"] == 3
    assert fills["c"] == holed["c"].median()  # no number is frequent: a single patient's would be no better


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"columns": {"sex": "neighbors"}}, "Input should be"),
        ({"columns": {"seen": "interpolate"}}, "interpolate does not fill seen, a column of type datetime"),
        ({"columns": {"stage": "constant"}}, "fills stage with a constant"),
        ({"columns": {"stage": "constant"}, "constants": {"stage": "IV"}}, "fills stage with a constant"),
        ({"columns": {"a": "constant"}, "constants": {"a": "high"}}, "fills a with a constant"),
        ({"columns": {"seen": "constant"}, "constants": {"seen": "some day"}}, "fills seen with a constant"),
        ({"constants": {"sexx": "f"}}, "impute.constants names sexx.*did you mean sex"),
        ({"numeric": "forward"}, "the study has no time"),
    ],
)
def test_settings_that_do_not_fit_are_an_error(params: dict[str, Any], message: str) -> None:
    _, holed = samples()
    with pytest.raises((MedloopError, ValueError), match=message):
        fit_impute(holed.drop(columns="@time"), SCHEMA, ImputeParams.model_validate(params))


@pytest.mark.parametrize("method", ["forest", "neighbours", "autoencoder"])
def test_methods_that_look_at_other_numbers_need_some(method: str) -> None:
    _, holed = samples()
    one = Schema(features={"a": Column(type="numeric")}, classes=("no", "yes"))
    with pytest.raises(MedloopError, match="from other numeric columns, and there is none"):
        fit_impute(holed, one, ImputeParams.model_validate({"numeric": method}))
