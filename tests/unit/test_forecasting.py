"""The next values of a sequence's channel: nothing of the horizon is left to read, and each value is judged."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from contracts.errors import MedloopError
from contracts.examples import Inputs
from contracts.payloads import Payloads, ragged
from contracts.study import Column, Study, Target
from models.families import boosting, last_value
from models.params import TrainParams
from models.tasks import forecasting
from models.training import fit
from pipelines.clean import CleanParams, clean, clean_rows
from pipelines.compare import CompareParams, compare
from pipelines.decode import DecodedColumns
from pipelines.figures import leaderboard_page, report
from pipelines.horizon import parted, with_horizon, with_last
from pipelines.horizon_check import horizon_check
from pipelines.ingest import _refuse_resampled
from pipelines.pooling import pooled
from pipelines.results import Entry, EvaluateParams
from pipelines.table import as_table
from pipelines.tasks.forecasting import evaluate, scores
from tests.unit.problems import forecasts, inputs

NAN = float("nan")
PARAMS = EvaluateParams(resamples=100)


def study(*, horizon: float = 2, channel: str = "hr", more: tuple[str, ...] = ()) -> Study:
    columns = {name: Column(type="sequence", unit="bpm") for name in ("visits", *more)}
    target = Target(column="visits", task="forecasting", channel=channel, horizon=horizon)
    return Study(name="s", title="s", id="id", target=target, columns={"age": Column(type="numeric"), **columns})


def visits(*, times: bool = True, seed: int = 0, rows: int = 40) -> Payloads:
    """Two channels: hr with gaps, and temp."""
    random = np.random.default_rng(seed)
    pieces, moments = [], []
    for _ in range(rows):
        steps = int(random.integers(2, 12))
        piece = random.normal(80, 10, (steps, 2)).astype(np.float32)
        piece[random.random(steps) < 0.4, 0] = NAN
        pieces.append(piece)
        moments.append(np.cumsum(random.integers(1, 9, steps)).astype(np.float64))
    return ragged(pieces, moments if times else None, ("hr", "temp"), like=pieces[0])


def table(rows: int = 40, *columns: str) -> pd.DataFrame:
    numbers = [str(n) for n in range(rows)]
    ages = [str(20 + n % 50) for n in range(rows)]
    cells = dict.fromkeys(("visits", *columns), numbers)
    return pd.DataFrame({"@row": range(1, rows + 1), "id": numbers, "age": ages, **cells}, dtype="str")


def overwritten(payloads: Payloads, target: Target) -> Payloads:
    """Every value from the horizon on is another one, but known where it was known."""
    found, values = parted(payloads, target), payloads.values.copy()
    assert payloads.offsets is not None
    for place, start in enumerate(payloads.offsets[:-1]):
        values[start + found.end[place] : payloads.offsets[place + 1]] *= -1000
    return replace(payloads, values=values)


@pytest.mark.parametrize("times", [True, False])
def test_nothing_of_the_horizon_reaches_what_models_read(times: bool) -> None:
    asked, whole = study(), visits(times=times)
    changed = overwritten(whole, asked.target)
    before, after = (clean(table(), asked, CleanParams(), payloads={"visits": of}) for of in (whole, changed))
    for name in ("values", "offsets", "times"):
        np.testing.assert_array_equal(getattr(before.payloads["visits"], name), getattr(after.payloads["visits"], name))
    features = [name for name in before.samples if not name.startswith("@target")]
    pd.testing.assert_frame_equal(before.samples[features], after.samples[features])
    assert not before.samples["@target"].equals(after.samples["@target"])
    assert not (whole.values == changed.values).all()


def test_labels_are_the_last_values_less_the_last_known_one() -> None:
    asked, whole = study(), visits()
    cleaned = clean(table(), asked, CleanParams(), payloads={"visits": whole})
    for _, row in cleaned.samples.iterrows():
        known = whole[int(row["@id"])][:, 0]
        known = known[np.isfinite(known)].astype(np.float64)
        assert row["@target"] == known[-2] - known[-3]
        assert row["@target_2"] == known[-1] - known[-3]
        history = cleaned.payloads["visits"][int(row["visits"])][:, 0]
        assert history[np.isfinite(history)][-1] == np.float32(known[-3])
    short = sum(np.isfinite(whole[n][:, 0]).sum() < 3 for n in range(40))
    line = next(change for change in cleaned.ledger if change.rule == "too short to forecast")
    assert line.rows == short == 40 - len(cleaned.samples) > 0
    assert (cleaned.schema.task, cleaned.schema.horizon, cleaned.schema.unit) == ("forecasting", 2, "bpm")


def test_too_short_a_sequence_fails_the_run_where_that_is_asked_for() -> None:
    with pytest.raises(MedloopError, match="rows have no label"):
        clean(table(), study(), CleanParams(missing_label="fail"), payloads={"visits": visits()})


def test_other_sequences_end_at_the_same_moment() -> None:
    asked, whole, other = study(more=("pumps",)), visits(), visits(seed=1)
    raw, cut = with_horizon(as_table(table(40, "pumps")), asked, {"visits": whole, "pumps": other})
    found = parted(whole, asked.target)
    for place in np.flatnonzero(found.end):
        left = cut["pumps"].moments(place)
        assert left is not None and (left < found.moment[place]).all()
        moments = other.moments(place)
        assert moments is not None and len(left) == (moments < found.moment[place]).sum()
    assert raw["@target"].notna().sum() == (found.end > 0).sum()


def test_steps_of_the_same_moment_are_no_history() -> None:
    piece = np.array([[1.0, 0], [2, 0], [NAN, 5], [3, 0]], dtype=np.float32)
    of = ragged([piece], [np.array([1.0, 2, 3, 3])], ("hr", "temp"), like=piece)
    found = parted(of, study(horizon=1).target)
    assert (found.end.tolist(), found.moment.tolist(), found.ahead.tolist()) == ([2], [3.0], [[1.0]])


def test_the_certificate_says_what_is_left_of_the_horizon() -> None:
    asked, whole = study(more=("pumps",)), {"visits": visits(), "pumps": visits(seed=1)}
    cleaned = clean(table(40, "pumps"), asked, CleanParams(), payloads=whole)
    clear = horizon_check(cleaned.samples, asked.target, whole, cleaned.payloads)
    assert (clear.verdict, clear.evidence["steps_of_the_horizon_left"]) == ("clean", 0)
    for column in whole:
        leaky = horizon_check(cleaned.samples, asked.target, whole, {**cleaned.payloads, column: whole[column]})
        assert leaky.verdict == "leak", column
        assert "steps of the horizon are left" in leaky.sentence
    bare = visits(times=False)
    cut = clean(table(), study(), CleanParams(), payloads={"visits": bare})
    assert horizon_check(cut.samples, asked.target, {"visits": bare}, cut.payloads).verdict == "clean"
    assert horizon_check(cut.samples, asked.target, {"visits": bare}, {"visits": bare}).verdict == "leak"


def test_new_rows_are_read_whole_and_told_by_their_last_known_value() -> None:
    asked, whole = study(), visits()
    schema = clean(table(), asked, CleanParams(), payloads={"visits": whole}).schema
    found = clean_rows(table(), asked, schema, CleanParams(), payloads={"visits": whole})
    for _, row in found.samples.iterrows():
        known = whole[int(row["@id"])][:, 0]
        assert row["@last"] == known[np.isfinite(known)][-1]
    assert "visits" not in found.payloads
    unknown = [str(n) for n in range(40) if not np.isfinite(whole[n][:, 0]).any()]
    assert found.unscorable["@id"].tolist() == unknown != []
    assert set(found.unscorable["reason"]) == {"visits: no value of hr is known"}


def test_an_empty_sequence_takes_no_others_last_value() -> None:
    piece = np.array([[1.0, 0], [NAN, 0]], dtype=np.float32)
    of = ragged([piece[:0], piece, piece[1:]], None, ("hr", "temp"), like=piece)
    rows, unknown = with_last(table(3), study(), {"visits": of})
    np.testing.assert_array_equal(rows["@last"], [NAN, 1.0, NAN])
    assert unknown[0]["at"].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"horizon": 2}, "names a channel"),
        ({"channel": "hr"}, "names a channel"),
        ({"channel": "hr", "horizon": 1.5}, "names a channel"),
        ({"channel": "hr", "horizon": 0}, "greater than 0"),
        ({"channel": "hr", "horizon": 2, "classes": ("a", "b")}, "task is forecasting"),
        ({"channel": "hr", "horizon": 2, "task": "regression"}, "channel"),
    ],
)
def test_a_forecast_says_of_what_and_how_far(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Target.model_validate({"column": "visits", "task": "forecasting", **given})


def test_errors_name_what_is_there() -> None:
    with pytest.raises(ValidationError, match=r"declare age: \{type: sequence\}"):
        Study(
            name="s",
            title="s",
            target=Target(column="age", task="forecasting", channel="hr", horizon=1),
            columns={"age": Column(type="numeric")},
        )
    with pytest.raises(MedloopError, match=r"have no channel hrr \(did you mean hr"):
        parted(visits(), study(channel="hrr").target)
    with pytest.raises(MedloopError, match="no sequence has 41 values of hr"):
        parted(visits(), study(horizon=40).target)
    with pytest.raises(MedloopError, match="all sequences end where the forecast begins"):
        with_horizon(
            as_table(table(40, "pumps")), study(more=("pumps",)), {"visits": visits(), "pumps": visits(times=False)}
        )
    resampled = DecodedColumns(table=table(), facts={"visits": {"resampled": 3}})
    with pytest.raises(MedloopError, match="resampled steps are made of those around them"):
        _refuse_resampled(resampled, study())


def predicted(target: np.ndarray, noise: float) -> np.ndarray:
    given = target + noise * np.random.default_rng(1).normal(size=target.shape)
    return np.stack([given, given - 2, given + 2], axis=2).reshape(len(target), -1)


TARGET = np.random.default_rng(0).normal(size=(90, 2)) * [1, 3]
GROUP = (np.arange(90) // 2).astype(str)
EVEN = np.arange(90) // 2 % 2 == 0


def entry(noise: float) -> Entry:
    given = {"target": TARGET, "predicted": predicted(TARGET, noise), "group": GROUP}
    return Entry(evaluation=evaluate(**given, unit="bpm", aim=0.9, params=PARAMS), **given)


def test_mase_is_in_units_of_the_naive_forecast_whatever_the_weights() -> None:
    weight = np.random.default_rng(2).integers(0, 4, (3, 90)).astype(float)
    naive = scores(TARGET, np.zeros((90, 6)), weight)
    np.testing.assert_allclose(naive["mase"], 1)
    given = predicted(TARGET, 0.5)
    found = scores(TARGET, given, weight)
    error = np.abs(given.reshape(90, 2, 3)[..., 0] - TARGET)
    for b in range(3):
        mae = np.average(error.mean(axis=1), weights=weight[b])
        np.testing.assert_allclose(found["mae"][b], mae)
        np.testing.assert_allclose(found["mase"][b], mae / np.average(np.abs(TARGET).mean(axis=1), weights=weight[b]))
    assert np.isnan(scores(np.zeros((90, 2)), given, weight)["mase"]).all()


def test_an_evaluation_tells_each_value_ahead_and_all_together() -> None:
    one = entry(0.5).evaluation
    given = predicted(TARGET, 0.5)
    for step, of in enumerate(one.steps):
        error = np.abs(given[:, 3 * step] - TARGET[:, step]).mean()
        assert of["mae"].value == pytest.approx(error, abs=1e-5)
    assert one.metrics["mae"].value == pytest.approx(np.mean([of["mae"].value for of in one.steps]), abs=1e-5)
    assert one.steps[0]["mase"].value > one.steps[1]["mase"].value
    assert (one.counts.rows, one.counts.patients) == (90, 45)
    again = one.asked_of(TARGET, given, GROUP, PARAMS, [one])
    assert again == one


def test_the_predictions_of_folds_are_pooled() -> None:
    whole = entry(0.5)
    names = ("target", "predicted", "group")
    halves = [replace(whole, **{name: getattr(whole, name)[at] for name in names}) for at in (EVEN, ~EVEN)]
    found = pooled([halves], PARAMS).evaluation
    for name in ("mae", "mase", "r2"):
        assert found.metrics[name].value == pytest.approx(whole.evaluation.metrics[name].value, abs=1e-5)


def test_models_are_compared_and_shown() -> None:
    entries = {"close": entry(0.3), "far": entry(1.5)}
    board = compare(entries, CompareParams(metric="mase"), baselines={"far"})
    assert [row.model for row in board.rows] == ["close", "far"]
    page = leaderboard_page(board, {name: of.evaluation for name, of in entries.items()}, "Pressure")
    assert "MASE" in page
    told = report(entries["close"].evaluation, "Pressure")
    assert "closer than the last known value going on" in told
    assert "By value ahead" in told


def test_new_rows_are_told_each_value_with_its_interval() -> None:
    named = forecasting.columns(study().target)
    assert list(named) == ["predicted", "low", "high", "predicted_2", "low_2", "high_2"]
    given = predicted(TARGET, 0.5)
    told = dict(zip(named, forecasting.answers(given, inputs(["table"], 2, "forecasting"), None), strict=True))
    np.testing.assert_array_equal(told["low_2"], given[:, 4])


def test_the_last_value_going_on_is_no_change() -> None:
    asked = Inputs(columns=["a"], classes=[], positive=0, task="forecasting", horizon=2.0, centre=3.0, spread=2.0)
    rows = forecasts(["table"], 5, seed=0)
    arrays, _ = last_value.fit(rows, rows, config=last_value.Config(), inputs=asked, seed=0, threads=1)
    np.testing.assert_allclose(forecasting.predicted(last_value.outputs(arrays, rows.table), asked), np.zeros((5, 2)))


def test_boosting_has_trees_of_its_own_for_each_value() -> None:
    """As many models as values, of unequal numbers of rounds, score as each does alone."""
    asked = inputs(["table"], 2, "forecasting")
    train, held = forecasts(["table"], 200, seed=1), forecasts(["table"], 80, seed=2)
    config = boosting.Config(max_iter=30, patience=3)
    given = {"config": config, "inputs": asked, "seed": 0, "threads": 1}
    arrays, _ = boosting.fit(train, held, **given)
    assert train.target is not None and held.target is not None
    alone = []
    for k in range(2):
        own, theirs = (replace(of, target=of.target[:, k]) for of in (train, held) if of.target is not None)
        found, _ = boosting.fit(own, theirs, **{**given, "inputs": replace(asked, task="regression")})
        alone.append(boosting.outputs(found, held.table)[:, 0])
    np.testing.assert_allclose(boosting.outputs(arrays, held.table), np.stack(alone, axis=1), rtol=1e-12)


def test_intervals_widen_with_the_errors_of_their_own_value(tmp_path: object) -> None:
    from pathlib import Path

    model = fit(
        "ridge",
        {},
        TrainParams(loss="squared", monitor="mae"),
        inputs=inputs(["table"], 2, "forecasting"),
        train=forecasts(["table"], 200, seed=1),
        validation=forecasts(["table"], 80, seed=2),
        checkpoints=Path(str(tmp_path)),
        history=lambda row: None,
    )
    width = np.diff(model.predict(forecasts(["table"], 3, seed=3)).reshape(3, 2, 3)[..., 1:], axis=2)[..., 0]
    np.testing.assert_allclose(width[:, 0], width[0, 0])
    assert width[0, 0] == pytest.approx(2 * width[0, 1], rel=0.3)
