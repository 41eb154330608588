"""A time to an event: how it is read, what models learn of it, its metrics against their definitions, its pages."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs
from contracts.follow_up import followed, signed, times
from contracts.study import Column, Study, Target
from contracts.tables import Schema
from models import hazards
from models.families import cox
from models.losses import HazardLoss
from models.params import TrainParams
from models.tasks import survival as of_models
from models.training import fit
from pipelines.compare import CompareParams, compare
from pipelines.figures import leaderboard_page, report
from pipelines.follow_up import course, spared, watched
from pipelines.labels import COURSES, graded, labelled, refuse_labels
from pipelines.results import Entry, EvaluateParams
from pipelines.tasks.survival import METRICS, evaluate, judge, scores

RANDOM = np.random.default_rng(0)
ROWS, HORIZON = 240, 8.0
HAZARD = np.exp(RANDOM.normal(size=ROWS))
UNTIL, LEFT = np.ceil(RANDOM.exponential(10 / HAZARD)), np.ceil(RANDOM.uniform(0, 20, ROWS))
TARGET = signed(np.minimum(UNTIL, LEFT), UNTIL <= LEFT)
GROUP = (np.arange(ROWS) // 2).astype(str)
PARAMS = EvaluateParams(resamples=100)
TOLD = {"column": "months", "event": "died", "classes": ["no", "yes"], "positive": "yes", "horizon": HORIZON}
COLUMNS = {"x": Column(type="numeric"), "months": Column(type="numeric", unit="months")}


def target(**changes: object) -> Target:
    return Target.model_validate({**TOLD, "task": "survival", **changes})


def study(**changes: object) -> Study:
    return Study(name="s", title="s", target=target(**changes), columns=COLUMNS)


def predicted(noise: float) -> np.ndarray:
    hazard = HAZARD / 10 * np.exp(noise * np.random.default_rng(1).normal(size=ROWS))
    survival = np.exp(-hazard[:, None] * times(HORIZON))
    return np.column_stack([1 - survival[:, -1], np.log(2) / hazard, survival])


def entry(noise: float) -> Entry:
    given = {"target": TARGET, "predicted": predicted(noise), "group": GROUP}
    return Entry(evaluation=evaluate(**given, horizon=HORIZON, unit="months", params=PARAMS), **given)


def found(given: np.ndarray, target: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """The metrics, of weights in the rows' own order."""
    judged = judge(target, given, HORIZON, 4)
    return {
        name: float(value[0])
        for name, value in scores(judged, weight[None, judged.course.order]).items()
        if value.ndim == 1
    }


def test_a_course_is_one_number_whose_sign_says_how_it_ended() -> None:
    label = signed(np.array([3.0, 3.0, 0.0, 0.0]), np.array([True, False, True, False]))
    assert label.tolist() == [3, -3, 0, 0]
    time, happened = followed(label)
    assert time.tolist() == [3, 3, 0, 0]
    assert happened.tolist() == [True, False, True, False]


def test_labels_are_read_from_two_columns_neither_of_which_is_a_feature() -> None:
    rows = pd.DataFrame(
        {
            "@row": list("123456"),
            "x": "1",
            "months": ["5", "0", "", "7", "2", "-1"],
            "died": ["yes", "no", "yes", "", "?", "no"],
        },
        dtype="str",
    )
    read = labelled(rows, study(), missing=[])
    assert read.rows["@row"].tolist() == ["1", "2"]
    assert np.signbit(read.rows["@target"]).tolist() == [False, True]
    assert list(study().features()) == ["x"]
    with pytest.raises(MedloopError, match="1 labels are no finite numbers of 0 or more") as error:
        refuse_labels([read.faulty], study(), "exclude")
    assert "column months" in error.value.where
    read = labelled(rows.iloc[:5], study(), missing=[])
    with pytest.raises(MedloopError, match=r"1 labels are none of the classes \['no', 'yes'\]") as error:
        refuse_labels([read.faulty], study(), "exclude")
    assert "column died" in error.value.where


def test_who_was_followed_beyond_a_limit_had_no_event_by_then() -> None:
    months = Column(type="numeric", unit="months", censored="limit")
    limited = study().model_copy(update={"columns": {**COLUMNS, "months": months}})
    rows = pd.DataFrame(
        {"@row": list("1234"), "months": ["5", "> 60", "<3", "≥60"], "died": ["yes", "yes", "yes", "no"]}, dtype="str"
    )
    read = labelled(rows, limited, missing=[])
    assert read.rows["@target"].tolist() == [5, -60, 3, -60]
    assert [c.cells for c in read.ledger if c.rule == "event after a limit: followed until it"] == [1]


def test_parts_are_drawn_by_whether_the_event_happened() -> None:
    schema = Schema(features={}, classes=(), task="survival", horizon=HORIZON)
    code, names = graded(pd.Series(TARGET), schema)
    assert names == COURSES
    assert (code == (UNTIL <= LEFT)).all()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"horizon": None}, "also says horizon: event: died"),
        ({"event": None}, "also says event"),
        ({"positive": None, "classes": ("a", "b", "c")}, "also says positive"),
        ({"event": "months"}, "are two columns"),
        ({"task": "regression", "positive": None, "classes": ()}, "event is said of a label of survival"),
        ({"horizon": 0}, "greater than 0"),
    ],
)
def test_what_is_lacking_of_a_label_is_told(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        target(**changes)


def test_intervals_end_at_round_quantiles_of_events_and_at_the_horizon() -> None:
    cuts = hazards.cuts(TARGET, 7.77)
    assert 7.77 in cuts
    assert np.all(np.diff(cuts) > 0)
    assert len(cuts) <= hazards.INTERVALS + 1
    assert cuts[-1] >= UNTIL[UNTIL <= LEFT].max()
    assert all(cut == float(f"{cut:.3g}") for cut in cuts)


def test_a_row_tells_of_the_intervals_that_it_was_followed_through() -> None:
    label = signed(np.array([3.0, 2.0, 3.5, 2.9, 9.0, 0.0]), np.array([True, True, False, False, True, True]))
    told, fell = hazards.courses(label, [2.0, 4.0, 6.0])
    assert told.astype(int).tolist() == [[1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 0, 0]]
    assert fell.astype(int).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_the_loss_is_minus_the_log_likelihood_of_the_course() -> None:
    import torch

    cuts = hazards.cuts(TARGET, HORIZON)
    logits = RANDOM.normal(size=(ROWS, len(cuts)))
    expected = hazards.losses(hazards.survival(logits), TARGET, cuts)
    ours = HazardLoss(cuts)(torch.from_numpy(logits), torch.from_numpy(TARGET))
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
    one = hazards.losses(np.array([[0.8, 0.6]]), np.array([3.0]), [2.0, 4.0])
    assert one[0] == pytest.approx(-np.log(0.8 - 0.6))


def test_survival_is_told_between_and_beyond_the_cuts() -> None:
    curve, cuts = np.array([[0.8, 0.4], [0.9, 0.7]]), [2.0, 4.0]
    np.testing.assert_allclose(
        hazards.at(curve, cuts, np.array([1.0, 2, 3, 9])), [[0.9, 0.8, 0.6, 0.4], [0.95, 0.9, 0.8, 0.7]]
    )
    np.testing.assert_allclose(hazards.median(curve, cuts), [3.5, np.nan])


def test_concordance_of_validation_rows_is_harrells() -> None:
    risk = predicted(1.0)[:, 0]
    time, happened = followed(TARGET)
    right, pairs = 0.0, 0
    for i in np.flatnonzero(happened):
        for j in range(ROWS):
            if time[j] > time[i] or (time[j] == time[i] and not happened[j]):
                pairs += 1
                right += (risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j])
    assert hazards.concordance(risk, TARGET) == pytest.approx(right / pairs)


def test_kaplan_and_meier_by_hand_events_before_the_censored_of_a_time() -> None:
    label = signed(np.array([1.0, 2, 2, 3, 4]), np.array([True, True, False, False, True]))
    ours, weight = course(label), np.ones((1, 5))
    np.testing.assert_allclose(spared(ours, weight)[0], [1, 4 / 5, 3 / 5, 3 / 5, 0])
    np.testing.assert_allclose(watched(ours, weight)[0], [1, 1, 2 / 3, 1 / 3, 1 / 3])
    twice = np.array([[1.0, 2, 0, 1, 1]])
    assert (
        spared(ours, twice)[0].tolist()
        == spared(course(np.repeat(label, [1, 2, 0, 1, 1])), np.ones((1, 5)))[0].tolist()
    )


def test_metrics_are_their_definitions_whatever_the_weights() -> None:
    weight = RANDOM.integers(0, 3, ROWS).astype(float)
    ours = found(predicted(0.7), TARGET, weight)
    rows = np.repeat(np.arange(ROWS), weight.astype(int))  # a weight of 2 is the row twice
    time, happened = followed(TARGET[rows])
    survival, risk = predicted(0.7)[rows, 2:], predicted(0.7)[rows, 0]

    def watch(moment: float, *, before: bool) -> float:
        chance = 1.0
        for u in np.unique(time[~happened]):
            if u < moment or (u == moment and not before):
                chance *= 1 - ((time == u) & ~happened).sum() / ((time > u) | ((time == u) & ~happened)).sum()
        return chance

    scale = np.array(
        [1 / watch(t, before=True) if e and t <= HORIZON else 0.0 for t, e in zip(time, happened, strict=True)]
    )
    brier = [
        np.mean(np.where(time <= t, scale * survival[:, k] ** 2, (1 - survival[:, k]) ** 2 / watch(t, before=False)))
        for k, t in enumerate(times(HORIZON))
    ]
    assert ours["horizon_brier"] == pytest.approx(brier[-1])
    assert ours["ibs"] == pytest.approx(np.trapezoid([0, *brier], [0, *times(HORIZON)]) / HORIZON)
    higher = (risk[:, None] > risk) + 0.5 * (risk[:, None] == risk)
    later = (time > time[:, None]) | ((time == time[:, None]) & ~happened)
    assert ours["concordance"] == pytest.approx(
        (scale[:, None] ** 2 * later * higher).sum() / (scale[:, None] ** 2 * later).sum()
    )
    beyond = scale[:, None] * (time > HORIZON)
    assert ours["horizon_auroc"] == pytest.approx((beyond * higher).sum() / beyond.sum())
    assert ours["excess"] == pytest.approx(risk.mean() - ours["observed"])


def test_a_resample_weighs_the_same_rows_wherever_the_metric_is_asked_for() -> None:
    """Rows are judged by rising time; weights come in the rows' own order, and a weight of 2 is the row twice."""
    one, weight = entry(0.7), RANDOM.integers(0, 3, ROWS)
    at = np.repeat(np.arange(ROWS), weight)
    asked = one.evaluation.statistics(TARGET, one.predicted, ["concordance", "ibs"])(weight[None].astype(float))
    twice = one.evaluation.statistics(TARGET[at], one.predicted[at], ["concordance", "ibs"])(np.ones((1, len(at))))
    for name, value in twice.items():
        assert asked[name] == pytest.approx(value)


def test_without_censoring_the_metrics_are_those_of_classes() -> None:
    from sklearn.metrics import brier_score_loss, roc_auc_score

    label, given = signed(UNTIL, np.ones(ROWS, dtype=bool)), predicted(0.7)
    ours = found(given, label, np.ones(ROWS))
    by_then = HORIZON >= UNTIL
    assert ours["horizon_auroc"] == pytest.approx(roc_auc_score(by_then, given[:, 0]))
    assert ours["horizon_brier"] == pytest.approx(brier_score_loss(by_then, given[:, 0]))
    assert ours["observed"] == pytest.approx(by_then.mean())


def test_nobody_followed_beyond_the_horizon_is_told_and_gives_no_number() -> None:
    label = signed(np.minimum(np.abs(TARGET), 5.0), np.abs(TARGET) < 5)
    result = evaluate(
        target=label, predicted=predicted(0.5), group=GROUP, horizon=HORIZON, unit="months", params=PARAMS
    )
    assert result.metrics["concordance"].reason == "no row was followed beyond 8 months"
    assert result.thirds[0].observed == ()


def test_the_truer_model_is_first_and_pages_show_thirds_and_calibration() -> None:
    entries = {"cox": entry(2.0), "mlp": entry(0.0)}
    board = compare(entries, CompareParams(metric="concordance"), {"cox"})
    assert [row.model for row in board.rows] == ["mlp", "cox"]
    assert set(entries["mlp"].evaluation.metrics) == set(METRICS)
    page = report(entries["mlp"].evaluation, "A study")
    assert "the event happens to" in page
    assert "predicted less observed is " in page
    assert "highest third of risk" in page
    assert "Calibration at the horizon" in leaderboard_page(
        board, {n: e.evaluation for n, e in entries.items()}, "A study"
    )
    other = replace(entries["mlp"], evaluation=entries["mlp"].evaluation.model_copy(update={"horizon": 9.0}))
    with pytest.raises(MedloopError, match="of another label"):
        compare({"a": entries["cox"], "b": other}, CompareParams(metric="ibs"), set())


def test_bins_and_curves_of_few_patients_are_blank() -> None:
    one = evaluate(
        target=TARGET, predicted=predicted(0.5), group=np.full(ROWS, "p"), horizon=HORIZON, unit="", params=PARAMS
    )
    assert all(b.predicted is None and b.observed.value is None for b in one.bins)
    assert all(third.observed == () for third in one.thirds)


def rows(count: int, seed: int) -> Examples:
    random = np.random.default_rng(seed)
    table = random.normal(size=(count, 3)).astype(np.float32)
    until, left = random.exponential(10 * np.exp(-table[:, 0])), random.uniform(0, 30, count)
    return Examples(table=table, target=signed(np.minimum(until, left), until <= left))


INPUTS = Inputs(columns=["a", "b", "c"], classes=[], positive=0, task="survival", horizon=5.0, unit="months")


def fitted(train: Examples, validation: Examples, folder: Path, **params: object) -> object:
    given = TrainParams(**{"loss": "hazard", "monitor": "loss", **params})  # type: ignore[arg-type]
    parts = {"train": train, "validation": validation}
    return fit(
        "cox", {"penalties": (2.0,)}, given, inputs=INPUTS, **parts, checkpoints=folder, history=lambda row: None
    )


def test_cox_is_where_the_penalised_partial_likelihood_is_flat(tmp_path: Path) -> None:
    train = rows(150, 1)
    label = np.copysign(np.ceil(np.abs(train.target)), train.target)  # with ties
    train = replace(train, target=label)
    beta = fitted(train, rows(60, 2), tmp_path).arrays["coefficient"]  # type: ignore[attr-defined]
    time, happened = followed(label)

    def merit(at: np.ndarray) -> float:
        score = train.table.astype(np.float64) @ at
        told = sum(score[i] - np.log(np.exp(score[time >= time[i]]).sum()) for i in np.flatnonzero(happened))
        return float(told - at @ at)

    slopes = [(merit(beta + step) - merit(beta - step)) / 2e-4 for step in 1e-4 * np.eye(3)]
    np.testing.assert_allclose(slopes, 0, atol=1e-3)
    assert beta[0] == pytest.approx(1.0, abs=0.25)


def test_coxs_curves_are_breslows_at_the_cuts(tmp_path: Path) -> None:
    train = rows(150, 1)
    model = fitted(train, rows(60, 2), tmp_path)
    spared = model.predict(train, raw=True)  # type: ignore[attr-defined]
    time, happened = followed(train.target)
    score = np.exp(train.table.astype(np.float64) @ model.arrays["coefficient"])  # type: ignore[attr-defined]
    for k, cut in enumerate(model.inputs.cuts):  # type: ignore[attr-defined]
        risen = sum(1 / score[time >= t].sum() for t in time[happened & (time <= cut)])
        np.testing.assert_allclose(spared[:, k], np.exp(-risen * score), atol=1e-4)
    assert cox.outputs({"coefficient": np.full(3, 1e3), "baseline": np.zeros(2)}, train.table).max() < 1e3


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (np.abs(rows(150, 1).target) * -1.0, "the event happened in 0 training rows; 20 are needed"),
        (rows(150, 1).target * 1e6, "by the horizon of 5.* the event happened in 0 training rows"),
        (
            np.copysign(np.minimum(np.abs(rows(150, 1).target), 4.0), rows(150, 1).target),
            "was followed beyond the horizon of 5",
        ),
    ],
    ids=["no events", "none by the horizon", "no follow-up"],
)
def test_labels_that_nothing_can_be_learnt_from_are_errors(target: np.ndarray, told: str, tmp_path: Path) -> None:
    with pytest.raises(MedloopError, match=told):
        fitted(replace(rows(150, 1), target=target), rows(60, 2), tmp_path)


def test_what_is_told_of_new_rows_is_named_by_time() -> None:
    names = list(of_models.columns(target()))
    assert names[:3] == ["predicted", "median", "survival=0.8"]
    assert names[-1] == "survival=8"
    assert len(names) == predicted(0.0).shape[1]
