import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from contracts.errors import MedloopError
from contracts.study import Column
from contracts.tables import Schema, feature_names, of_part
from pipelines.balance import BalanceParams, balance
from pipelines.impute import ImputeParams, apply_impute, fit_impute
from pipelines.normalize import ENCODERS, SCALINGS, NormalizeParams, fit_normalize
from pipelines.normalizer import Normalizer, apply_normalize
from pipelines.scaling import Scale, Scaling
from pipelines.split import SplitParams, split

SCHEMA = Schema(
    features={
        "dose": Column(type="numeric"),
        "flag": Column(type="numeric"),
        "race": Column(type="categorical"),
        "stage": Column(type="ordinal", levels=("I", "II", "III")),
        "born": Column(type="datetime"),
    },
    classes=("no", "yes"),
)


def train(rows: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "@id": [f"r{i}" for i in range(rows)],
            "@group": [f"p{i}" for i in range(rows)],
            "@time": pd.Series(pd.Timestamp("2020-06-01"), index=range(rows)),
            "@target": np.arange(rows) % 2,
            "dose": np.exp(3 * rng.normal(size=rows)),
            "flag": np.arange(rows) % 2.0,
            "race": pd.Series(["a"] * (rows - 13) + ["b"] * 12 + ["rare"], dtype="str"),
            "stage": pd.Series(["I", "II", "III", "III"] * (rows // 4), dtype="str"),
            "born": pd.Timestamp("2020-06-01") - pd.to_timedelta(np.arange(rows), unit="D"),
        }
    )


def features(params: NormalizeParams, new: pd.DataFrame | None = None) -> pd.DataFrame:
    return apply_normalize(fit_normalize(train(), SCHEMA, params), train() if new is None else new)


def test_names_order_and_types() -> None:
    table = features(NormalizeParams())
    assert feature_names(table) == [
        "dose",
        "flag",
        "race=a",
        "race=b",
        "race=‹other›",
        "stage",
        "born days",
        "born season sine",
        "born season cosine",
    ]
    assert set(table[feature_names(table)].dtypes) == {np.dtype(np.float32)}
    assert table.columns[:3].tolist() == ["@id", "@group", "@target"]


def test_each_feature_tells_of_a_column() -> None:
    normalizer = fit_normalize(train(), SCHEMA, NormalizeParams())
    assert normalizer.sources == ("dose", "flag", "race", "race", "race", "stage", "born", "born", "born")


def test_names_that_would_be_given_to_another_columns_numbers_are_refused() -> None:
    told = fit_normalize(train(), SCHEMA, NormalizeParams()).model_dump(mode="json")
    told["before"]["features"] = dict(reversed(told["before"]["features"].items()))
    with pytest.raises(ValidationError, match="not in the order of the columns"):
        Normalizer.model_validate(told)


def test_standard_has_mean_0_and_deviation_1() -> None:
    dose = features(NormalizeParams(clip=100))["dose"]
    assert (dose.mean(), dose.std(ddof=0)) == pytest.approx((0, 1), abs=1e-5)


def test_robust_has_median_0_and_quartiles_1_apart() -> None:
    dose = features(NormalizeParams(numeric="robust", clip=1e6))["dose"]
    assert dose.median() == pytest.approx(0, abs=1e-5)
    assert dose.quantile(0.75) - dose.quantile(0.25) == pytest.approx(1, abs=1e-5)


def test_minmax_runs_from_0_to_1_and_stores_no_patients_value() -> None:
    normalizer = fit_normalize(train(), SCHEMA, NormalizeParams(numeric="minmax", clip=100))
    scaled, dose = apply_normalize(normalizer, train())["dose"], train()["dose"]
    low, high = dose.quantile(0.005), dose.quantile(0.995)
    assert scaled.tolist() == pytest.approx(((dose - low) / (high - low)).tolist(), abs=1e-5)
    stored = normalizer.numbers["dose"]
    assert isinstance(stored, Scale)
    assert not np.isclose(dose, stored.center, rtol=1e-9).any()
    assert not np.isclose(dose, stored.center + stored.scale, rtol=1e-9).any()


def test_quantile_makes_a_skewed_column_normal_and_keeps_its_order() -> None:
    dose = features(NormalizeParams(numeric="quantile"))["dose"]
    assert (dose.mean(), dose.std()) == pytest.approx((0, 1), abs=0.15)
    assert dose.rank().equals(train()["dose"].rank())


def test_none_leaves_numbers() -> None:
    assert np.allclose(features(NormalizeParams(numeric="none"))["dose"], train()["dose"])


@pytest.mark.parametrize("method", [m for m in SCALINGS if m not in ("patient", "unit")])
def test_flags_stay_flags_and_outliers_end_at_the_clip(method: Scaling) -> None:
    table = features(NormalizeParams(numeric=method, clip=3), train().assign(dose=1e300))
    assert set(table["flag"]) == {0, 1}
    assert np.isfinite(table["dose"]).all()
    assert method == "none" or (table["dose"] <= 3).all()


def test_rare_and_unseen_levels_share_the_bucket() -> None:
    new = train().assign(race=["a", "b", "rare", "never seen"] * 10)
    table = features(NormalizeParams(), new)
    assert table[["race=a", "race=b", "race=‹other›"]][:4].to_numpy().tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [0, 0, 1],
    ]


def test_levels_as_ranks_by_frequency() -> None:
    table = features(NormalizeParams(categorical="ordinal"), train().assign(race=["a", "b", "rare", "new"] * 10))
    assert table["race"][:4].tolist() == [0, 1, 2, 2]


def test_ordinal_levels_run_from_0_to_1() -> None:
    assert features(NormalizeParams())["stage"][:3].tolist() == [0, 0.5, 1]


def test_dates_count_from_the_samples_own_time() -> None:
    by_day = features(NormalizeParams(numeric="none"))
    assert by_day["born days"].tolist() == list(range(40))
    later = train().assign(**{"@time": pd.Timestamp("2021-06-01"), "born": train()["born"] + pd.Timedelta(days=365)})
    assert features(NormalizeParams(numeric="none"), later)["born days"].equals(by_day["born days"])


def test_a_gap_never_gets_through() -> None:
    for column in ("dose", "stage", "born"):
        new = train()
        new[column] = new[column].mask(np.arange(len(new)) == 3)
        with pytest.raises(MedloopError, match=f"gaps after imputation: {column}"):
            features(NormalizeParams(), new)


def test_a_column_of_texts_takes_no_scaling() -> None:
    schema = Schema(features={"note": Column(type="text")}, classes=("no", "yes"))
    with pytest.raises(MedloopError, match="robust does not fit note, a column of type text"):
        fit_normalize(train(), schema, NormalizeParams(columns={"note": "robust"}))


def test_two_features_of_one_name_are_refused() -> None:
    schema = SCHEMA.model_copy(update={"features": {**SCHEMA.features, "race=a": Column(type="numeric")}})
    with pytest.raises(MedloopError, match="named race=a"):
        fit_normalize(train().assign(**{"race=a": 1.0}), schema, NormalizeParams())


@pytest.mark.parametrize("method", [m for m in SCALINGS if m not in ("patient", "unit")] + list(ENCODERS))
def test_what_was_learnt_survives_json_and_scores_rows_alone(method: str) -> None:
    name = "race" if method in ENCODERS else "dose"
    normalizer = fit_normalize(train(), SCHEMA, NormalizeParams(columns={name: method}))
    again = Normalizer.model_validate_json(normalizer.model_dump_json())
    assert again == normalizer
    whole, row = apply_normalize(again, train()), apply_normalize(again, train().drop(columns="@target").iloc[[7]])
    assert row[feature_names(row)].equals(whole[feature_names(whole)].iloc[[7]])
    assert len(apply_normalize(again, train().iloc[:0])) == 0


def test_a_column_of_its_own_method_and_the_others_of_the_default() -> None:
    table = features(NormalizeParams(columns={"dose": "log", "race": "ordinal", "stage": "onehot", "flag": "standard"}))
    assert table["dose"].corr(np.log1p(train()["dose"])) == pytest.approx(1)
    assert set(table["race"]) == {0, 1, 2}
    assert set(table["flag"]) == {-1, 1}
    assert {"stage=I", "stage=II", "stage=III", "stage=‹other›"} <= set(table)
    assert table["born days"].mean() == pytest.approx(0, abs=1e-6)


def test_an_ordinal_column_named_ordinal_keeps_its_declared_order() -> None:
    assert features(NormalizeParams(columns={"stage": "ordinal"}))["stage"].equals(features(NormalizeParams())["stage"])


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"dos": "log"}, ["names dos", "did you mean dose"]),
        ({"race": "log"}, ["log does not fit race, a column of type categorical", "onehot"]),
        ({"dose": "onehot"}, ["onehot does not fit dose, a column of type numeric", "maxabs"]),
        ({"born": "patient"}, ["patient does not fit born, a column of type datetime", "standard"]),
    ],
)
def test_a_method_that_does_not_fit_is_an_error_that_says_what_does(columns: dict[str, str], told: list[str]) -> None:
    with pytest.raises(MedloopError) as error:
        features(NormalizeParams(columns=columns))
    assert all(words in str(error.value) for words in told)


def test_an_unknown_method_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match=r"dose: there is no method lgo \(did you mean log\?\)"):
        NormalizeParams(columns={"dose": "lgo"})


def two_numbers() -> tuple[pd.DataFrame, Schema]:
    schema = SCHEMA.model_copy(update={"features": {**SCHEMA.features, "rate": Column(type="numeric")}})
    return train().assign(rate=np.linspace(-3, 3, 40)), schema


def test_unit_gives_each_row_length_1_and_leaves_flags_and_dates() -> None:
    rows, schema = two_numbers()
    table = apply_normalize(fit_normalize(rows, schema, NormalizeParams(numeric="unit")), rows)
    assert np.hypot(table["dose"], table["rate"]).tolist() == pytest.approx([1] * 40)
    assert (table["rate"] / table["dose"]).tolist() == pytest.approx((rows["rate"] / rows["dose"]).tolist(), rel=1e-5)
    assert set(table["flag"]) == {0, 1}
    assert table["born days"].std(ddof=0) == pytest.approx(1, abs=1e-5)


def test_unit_on_one_column_is_refused() -> None:
    with pytest.raises(MedloopError, match="dose: a row of one number"):
        features(NormalizeParams(columns={"dose": "unit"}))


def test_a_gap_in_one_column_of_a_unit_block_is_told_of_that_column_alone() -> None:
    rows, schema = two_numbers()
    normalizer = fit_normalize(rows, schema, NormalizeParams(numeric="unit"))
    with pytest.raises(MedloopError, match=r"^1 features hold gaps after imputation: rate"):
        apply_normalize(normalizer, rows.assign(rate=np.nan))


def test_within_a_patient_a_rows_future_changes_nothing_before_it() -> None:
    rows = train().assign(**{"@group": [f"p{i // 4}" for i in range(40)]})
    rows["@time"] = pd.Timestamp("2020-06-01") + pd.to_timedelta(np.arange(40) % 4, unit="D")
    params = NormalizeParams(columns={"dose": "patient"})
    normalizer = fit_normalize(rows, SCHEMA, params)
    scores = apply_normalize(normalizer, rows)["dose"]
    plain = apply_normalize(fit_normalize(rows, SCHEMA, NormalizeParams()), rows)["dose"]
    assert scores[::4].equals(plain[::4])
    known = rows["dose"][:4]
    assert scores[3] == pytest.approx((known[3] - known.mean()) / known.std(ddof=0), abs=1e-5)
    last = np.arange(40) % 4 == 3
    changed = apply_normalize(normalizer, rows.assign(dose=rows["dose"].mask(last, 0.0)))["dose"]
    assert changed[~last].equals(scores[~last])
    assert not changed[last].equals(scores[last])
    with pytest.raises(MedloopError, match="do not name their patient"):
        apply_normalize(normalizer, rows.drop(columns="@group"))


def test_within_a_patient_is_refused_where_each_has_one_row() -> None:
    with pytest.raises(MedloopError, match="each has one training row"):
        features(NormalizeParams(numeric="patient"))


def test_training_features_are_only_given_for_the_rows_that_were_fitted() -> None:
    normalizer = fit_normalize(train(), SCHEMA, NormalizeParams(categorical="target"))
    assert len(apply_normalize(normalizer, train(), training=True)) == 40
    with pytest.raises(MedloopError, match="not the training rows"):
        apply_normalize(normalizer, train()[:30], training=True)


def test_the_order_of_training_rows_changes_nothing() -> None:
    methods = {"dose": "power", "race": "target"}
    shuffled = train().sample(frac=1, random_state=0)
    first, second = (fit_normalize(t, SCHEMA, NormalizeParams(columns=methods)) for t in (train(), shuffled))
    assert first == second
    again = apply_normalize(second, shuffled, training=True).sort_index()
    pd.testing.assert_frame_equal(again, apply_normalize(first, train(), training=True))


def fitted(samples: pd.DataFrame) -> list[str]:
    """All that the steps learn from a table, as JSON, and the balanced training table as CSV."""
    parts = split(samples, SCHEMA, SplitParams())
    imputer = fit_impute(of_part(samples, parts, "train"), SCHEMA, ImputeParams(numeric="regression"))
    whole = apply_impute(imputer, samples)
    normalizer = fit_normalize(of_part(whole, parts, "train"), imputer.after, NormalizeParams(min_count=5))
    balanced = balance(
        of_part(apply_normalize(normalizer, whole), parts, "train"), BalanceParams(method="smote"), n_classes=2
    )
    return [imputer.model_dump_json(), normalizer.model_dump_json(), balanced.table.to_csv()]


def test_changing_rows_outside_training_leaves_all_that_is_learnt_identical() -> None:
    samples = train(200).assign(**{"@target": (np.arange(200) % 5 == 0).astype(int)})
    samples["dose"] = samples["dose"].mask(np.arange(200) % 4 == 0)
    parts = split(samples, SCHEMA, SplitParams())
    changed = samples.copy()
    for part, dose in (("test", 1e9), ("validation", np.nan)):
        changed.loc[parts["@part"] == part, ["dose", "flag", "race", "stage"]] = [dose, 7.0, "canary", "I"]
    assert fitted(samples) == fitted(changed)
    changed.loc[parts["@part"] == "train", "flag"] = 1.0
    assert fitted(samples)[0] != fitted(changed)[0]
