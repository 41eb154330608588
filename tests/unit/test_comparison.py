"""Runs beside one another: the verdict, thresholds, subgroups, what differs; hand-worked cases and false alarms."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.study import Column
from pipelines.bootstrap import Interval
from pipelines.comparison.decision import GRID, SMALL, decisions, net_benefit, wilson
from pipelines.comparison.differs import data_difference, differing, standardised
from pipelines.comparison.disagreement import disagreement
from pipelines.comparison.page import comparison_page, inert, table, text
from pipelines.comparison.standing import draws, sentence, standing
from pipelines.comparison.subgroups import by_group, harm, usual
from pipelines.evaluate import Entry, EvaluateParams, evaluate
from pipelines.paired import delong, paired
from pipelines.tasks import regression


def both(score: np.ndarray) -> np.ndarray:
    return np.column_stack([1 - score, score])


def entry(score: np.ndarray, truth: np.ndarray, group: np.ndarray | None = None, resamples: int = 120) -> Entry:
    probability = both(score)
    patient = np.arange(len(truth)) if group is None else group
    found = evaluate(
        target=truth.astype(np.int64),
        probability=probability,
        group=patient,
        threshold=0.5,
        classes=["no", "yes"],
        positive=1,
        params=EvaluateParams(resamples=resamples),
    )
    return Entry(evaluation=found, target=truth.astype(np.int64), predicted=probability, group=patient)


def scored(noises: dict[str, float], rows: int = 300, seed: int = 0) -> dict[str, Entry]:
    random = np.random.default_rng(seed)
    latent = random.normal(size=rows)
    truth = latent + random.normal(size=rows) > 0
    return {
        name: entry(1 / (1 + np.exp(-latent - noise * random.normal(size=rows))), truth)
        for name, noise in noises.items()
    }


def area(truth: np.ndarray, score: np.ndarray) -> float:
    """The area under the ROC curve by Wilcoxon's ranks, of scores without ties."""
    ranks, positives = np.argsort(np.argsort(score)) + 1, truth.sum()
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * (~truth).sum()))


def told(entries: dict[str, Entry], metric: str = "auroc"):
    return standing(entries, draws(entries, [metric]), metric)


def test_a_clear_lead_is_told_and_its_figures_are_those_of_the_paired_test() -> None:
    entries = scored({"weak": 3.0, "strong": 0.2})
    found = told(entries)
    (both,) = paired(entries["weak"], entries["strong"], ["auroc"])
    lead = found.places[1]
    assert (found.best, lead.model, lead.told_apart, lead.test) == ("strong", "weak", True, "DeLong")
    assert (lead.lead, lead.p, lead.adjusted) == (both.gain, both.p, both.p)
    assert sentence(found).startswith("strong is better on AUROC by 0.")
    assert "after correction" not in sentence(found), "one pair needs none"


def test_what_may_be_chance_cannot_be_told() -> None:
    found = told(scored({"a": 1.0, "b": 1.0}, rows=80))
    assert sentence(found, "no worse in any of 2 subgroups").startswith("Cannot tell: ")
    assert sentence(found).endswith("which may be chance.")


def test_an_interval_and_a_p_that_disagree_are_explained() -> None:
    best, other = told(scored({"a": 1.0, "b": 1.0}, rows=80)).places
    torn = other.model_copy(update={"lead": Interval(value=0.021, low=0.001, high=0.043), "adjusted": 0.0503})
    found = told(scored({"a": 1.0, "b": 1.0}, rows=80)).model_copy(update={"places": (best, torn)})
    assert sentence(found).endswith("which may be chance: the interval leaves 0 out, but p is not below 0.05.")


def test_few_rows_are_a_caution() -> None:
    assert "do not rely on this" in sentence(told(scored({"a": 0.1, "b": 5.0}, rows=40)))


def test_of_many_the_best_and_those_level_with_it() -> None:
    found = told(scored({"weak": 4.0, "one": 0.3, "two": 0.32, "poor": 6.0}, rows=450))
    assert set(found.level) | {found.best} == {"one", "two"}
    assert "cannot be told apart from it" in sentence(found) and "after correction" in sentence(found)
    known = {place.model: place for place in found.places}
    assert all(place.adjusted >= place.p for place in found.places[1:]), "corrected for all six pairs"
    assert known["weak"].adjusted < 0.001


def test_an_undefined_metric_is_told() -> None:
    truth = np.zeros(30, dtype=bool)
    entries = {name: entry(np.linspace(0.1, 0.9, 30), truth) for name in "ab"}
    assert sentence(told(entries)).startswith("Cannot tell: AUROC is undefined")


def test_numbers_are_ranked_by_their_error() -> None:
    random = np.random.default_rng(0)
    truth, group = random.normal(size=200), np.arange(200)
    entries = {}
    for name, noise in {"far": 1.0, "near": 0.3}.items():
        value = truth + noise * random.normal(size=200)
        predicted = np.column_stack([value, value - 1, value + 1])
        of = regression.evaluate(
            target=truth, predicted=predicted, group=group, params=EvaluateParams(resamples=200), unit="", aim=0.9
        )
        entries[name] = Entry(evaluation=of, target=truth, predicted=predicted, group=group)
    found = told(entries, "mae")
    assert found.best == "near" and found.places[1].test == "bootstrap" and found.places[1].lead.value > 0.4


def sets(number: int, patients: int, better: float, seed: int):
    """Test sets of two rows a patient: two models that see the truth through noises of their own."""
    random = np.random.default_rng(seed)
    for _ in range(number):
        group = np.repeat(np.arange(patients), 2)
        latent, fate = (np.repeat(random.normal(size=patients), 2) for _ in range(2))
        truth = latent + fate + 0.3 * random.normal(size=2 * patients) > 0
        noise = np.repeat(random.normal(size=(2, patients)), 2, axis=1) + 0.3 * random.normal(size=(2, 2 * patients))
        yield truth, latent + noise[0] * (1 + better), latent + noise[1], group


def test_false_alarms_come_at_the_rate_that_is_stated() -> None:
    """Two equal models, 300 sets: within an exact binomial bound of 5 %; tests/benchmarks has 1,000 sets."""
    from scipy.stats import binom

    alarms = sum(delong(*one) < 0.05 for one in sets(300, 100, 0.0, 1))
    assert binom.ppf(0.001, 300, 0.05) <= alarms <= binom.ppf(0.999, 300, 0.05)


def test_a_true_difference_is_found_as_often_as_its_size_says() -> None:
    """Power is that of a normal difference: of the gaps' mean and deviation over sets, which the test does not see."""
    from scipy.stats import binom, norm

    made = list(sets(100, 240, 1.0, 2))
    gaps = [area(truth, second) - area(truth, first) for truth, first, second, _ in made]
    stated = norm.sf(norm.isf(0.025) - np.mean(gaps) / np.std(gaps, ddof=1))
    found = sum(delong(*one) < 0.05 for one in made)
    assert 0.4 < stated < 0.9 and binom.ppf(0.001, 100, stated) <= found <= binom.ppf(0.999, 100, stated)


def test_all_pairs_are_corrected_so_that_the_best_of_equals_is_seldom_called_better() -> None:
    """Four equal models: the best beside the worst alone, uncorrected, would be an alarm in far more than 5 %."""
    random = np.random.default_rng(3)
    alarms = raw = 0
    known = entry(random.random(150), random.random(150) < 0.5, resamples=100)
    for _ in range(50):
        latent = random.normal(size=150)
        truth = latent + random.normal(size=150) > 0
        scores = [1 / (1 + np.exp(-latent - random.normal(size=150))) for _ in range(4)]
        raw += min(delong(truth, *pair, np.arange(150)) for pair in combinations(scores, 2)) < 0.05
        entries = {str(k): replace(known, target=truth.astype(int), predicted=both(s)) for k, s in enumerate(scores)}
        alarms += len(told(entries).level) < 3
    assert alarms <= 7 < raw


def test_net_benefit_by_hand() -> None:
    """100 rows, at 20 %: 15 true and 20 false alarms are worth 0.15 - 0.20 x 0.25 = 0.10 (Vickers & Elkin 2006)."""
    assert net_benefit(np.array([15.0]), np.array([20.0]), 100, np.array([0.2]))[0] == pytest.approx(0.10)
    truth = np.array([True] * 20 + [False] * 80)
    score = np.concatenate([np.full(15, 0.3), np.full(5, 0.1), np.full(20, 0.3), np.full(60, 0.05)])
    found = decisions(truth, score, np.arange(100), resamples=100)
    at = {name: getattr(found, name).value[20] for name in ("sensitivity", "specificity", "ppv", "npv", "alerts")}
    assert at == {"sensitivity": 0.75, "specificity": 0.75, "ppv": 0.4286, "npv": 0.9231, "alerts": 0.35}
    assert found.net_benefit.value[20] == pytest.approx(0.10)
    assert found.net_benefit.value[0] == pytest.approx(0.20), "at no threshold all are treated: the prevalence"
    assert found.net_benefit.value[100] is None
    assert (found.true_positives[20], found.false_negatives[20]) == (15, 5)
    assert found.net_benefit.value[50] == 0, "nobody is flagged: treat none"


def test_treat_all_is_the_line_that_the_page_draws() -> None:
    truth = np.array([True] * 30 + [False] * 70)
    found = decisions(truth, np.full(100, 1.0), np.arange(100), resamples=100)
    for at in (5, 25, 50):
        t = GRID[at]
        assert found.net_benefit.value[at] == pytest.approx(0.3 - 0.7 * t / (1 - t), abs=1e-4)


def test_wilson_by_hand() -> None:
    """8 of 10 at 95 %: 0.490 to 0.943 (Newcombe, Statistics in Medicine 17, 1998, method 3)."""
    low, high = wilson(np.array([8.0, 81.0]), np.array([10.0, 263.0]), 0.95)
    assert (low[0], high[0]) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert (low[1], high[1]) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.integers(20, 200))
def test_no_small_count_is_shown_nor_can_be_subtracted(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random(rows) < 0.3
    found = decisions(truth, random.random(rows), np.arange(rows), resamples=100)
    for one, other in (("true_positives", "false_negatives"), ("false_positives", "true_negatives")):
        for a, b in zip(getattr(found, one), getattr(found, other), strict=True):
            assert (a is None) == (b is None)
            assert a is None or not (0 < a < SMALL or 0 < b < SMALL)
    hidden = [a is None for a in found.true_positives]
    assert all(v is None for v, h in zip(found.sensitivity.value, hidden, strict=True) if h)


def test_rows_of_a_patient_widen_the_interval() -> None:
    random = np.random.default_rng(0)
    truth, score = np.repeat(random.random(60) < 0.5, 5), np.repeat(random.random(60), 5)
    alone = decisions(truth, score, np.arange(300), resamples=200).sensitivity
    patients = decisions(truth, score, np.repeat(np.arange(60), 5), resamples=200).sensitivity
    wide = [of.high[50] - of.low[50] for of in (alone, patients)]
    assert wide[1] > 1.5 * wide[0]


FEATURES = {
    "Sex": Column(type="categorical", levels=("f", "m")),
    "AgeInYears": Column(type="numeric", unit="years", range=(0, 120)),
    "EatMealsAtTheSeniorCenter": Column(type="categorical", levels=("0", "1")),
}


def people(rows: int) -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "Sex": np.where(np.arange(rows) < rows - 6, np.where(np.arange(rows) % 2, "f", "m"), None),
            "AgeInYears": random.integers(20, 90, rows).astype(float),
            "EatMealsAtTheSeniorCenter": "0",
        }
    ).astype({"Sex": "str", "EatMealsAtTheSeniorCenter": "str"})


def test_usual_columns_are_known_by_their_names() -> None:
    assert usual({"male": FEATURES["Sex"]}, people(100).rename(columns={"Sex": "male"})) == {"male": ()}
    assert usual(FEATURES, people(100)) == {"Sex": (), "AgeInYears": (40.0, 65.0)}


def test_groups_are_told_and_small_ones_left_out() -> None:
    entries = scored({"a": 0.3, "b": 3.0})
    found = by_group(
        entries, people(300), FEATURES, usual(FEATURES, people(300)), metric="auroc", reference="a", min_patients=20
    )
    assert [(of.column, of.name) for of in found.groups] == [
        ("Sex", "f"), ("Sex", "m"), ("AgeInYears", "under 40"), ("AgeInYears", "40 to under 65"),
        ("AgeInYears", "65 and more"),
    ]  # fmt: skip
    assert found.few == 1, "six of unknown sex"
    assert harm(found, "b", 0.05) == "no worse by more than 0.05 in any of 5 subgroups"
    assert all(of.gains["b"].value < 0 for of in found.groups)


def test_harm_in_a_group_is_said() -> None:
    entries = scored({"a": 0.3, "b": 0.35})
    rows = people(300)
    men = (rows["Sex"] == "m").to_numpy()
    score = entries["a"].predicted[:, 1].copy()
    score[men] = 1 - score[men]
    entries["a"] = entry(score, entries["a"].target.astype(bool))
    found = by_group(entries, rows, FEATURES, {"Sex": ()}, metric="auroc", reference="a", min_patients=20)
    assert harm(found, "b", 0.05) == "but worse for Sex m"


def test_settings_that_differ() -> None:
    found = differing({"a": {"x": 1, "y": 2, "z": 3}, "b": {"x": 1, "y": 4}})
    assert found == {"y": {"a": 2, "b": 4}, "z": {"a": 3}}


def test_rows_added_removed_and_changed() -> None:
    one = pd.DataFrame({"@id": ["a", "b", "c", "d"], "@target": [0, 1, 0, 1], "AgeInYears": [1.0, 2.0, np.nan, 4.0]})
    two = pd.DataFrame({"@id": ["b", "c", "d", "e"], "@target": [1, 0, 1, 1], "AgeInYears": [2.0, np.nan, 5.0, 9.0]})
    found = data_difference(one, two, (FEATURES, {"AgeInYears": FEATURES["AgeInYears"]}))
    assert (found.added, found.removed, found.changed) == (1, 1, 1)
    assert found.columns_removed == ("Sex", "EatMealsAtTheSeniorCenter")
    assert {of.column: of.changed for of in found.drift}["AgeInYears"] == 1
    assert data_difference(one, one, (FEATURES, FEATURES)).same


def test_standardised_differences_by_hand() -> None:
    """Means 2 and 4, variances 1: 2; shares 1/2 and 3/4: 0.25 over the root of (0.25 + 0.1875) / 2."""
    assert standardised(pd.Series([1.0, 2, 3]), pd.Series([3.0, 4, 5]), numeric=True) == 2
    levels = [pd.Series(list(text), dtype="str") for text in ("ab", "aaab")]
    assert abs(standardised(*levels, numeric=False)) == pytest.approx(0.25 / np.sqrt(0.21875), abs=1e-4)


def test_disagreement_is_told_in_counts_that_are_not_small() -> None:
    entries = scored({"a": 0.5, "b": 1.5})
    found = disagreement(entries["a"], entries["b"], people(300), FEATURES, {"Sex": ()}, min_patients=20)
    calls = [of.predicted[:, 1] >= 0.5 for of in entries.values()]
    assert found.differ == int((calls[0] != calls[1]).sum()) and found.neither == 0
    assert found.first_right + found.second_right == found.differ
    assert [name for name, _, _ in found.by_group] == ["Sex f", "Sex m"]
    same = disagreement(entries["a"], entries["a"], people(300), FEATURES, {}, min_patients=20)
    assert same.differ == 0


def test_hostile_names_are_inert() -> None:
    name = "</script><script>alert(1)</script>\u2028\u202e<img src=x onerror=alert(1)>\x00"
    page = comparison_page(
        name, name, name, [name], [(name, table([text(name)], [[text(name)]], name))], {"runs": [{"name": name}]}
    )
    body = page[page.index("<body>") :]
    assert "<script>alert" not in body and "<img" not in body and not any(c in body for c in "\x00\u2028\u202e")
    assert json.loads(inert({"name": name}))["name"] == name
    assert "<" not in inert({"name": name})


def test_the_page_is_the_same_every_time() -> None:
    pages = [comparison_page("a", "b", "c", [], [("d", "e")], {"runs": []}) for _ in range(2)]
    assert pages[0] == pages[1] and pages[0].count("<script") == 3


def test_an_interval_without_ends_has_a_reason() -> None:
    from pipelines.comparison.sections import interval

    assert interval(Interval(value=None, reason="<few>")) == "– <small>&lt;few&gt;</small>"
