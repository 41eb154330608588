"""The leaderboard: paired differences, ties told apart from wins, and advice that prefers the simpler model."""

import re
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from contracts.errors import MedloopError
from pipelines.charts import forest
from pipelines.compare import CompareParams, Leaderboard, compare, table
from pipelines.comparison.standing import draws, standing
from pipelines.evaluate import Entry, EvaluateParams, evaluate
from pipelines.figures import leaderboard_page

PARAMS = EvaluateParams(resamples=400)
ROWS = 600
RANDOM = np.random.default_rng(0)
LATENT = RANDOM.normal(size=ROWS)
TARGET = (LATENT + RANDOM.normal(size=ROWS) > 1).astype(np.int64)
GROUP = (np.arange(ROWS) // 2).astype(str)


def entry(noise: float, *, seed: int = 1, target: np.ndarray = TARGET, params: EvaluateParams = PARAMS) -> Entry:
    """A model that sees what drives the outcome through so much noise."""
    score = LATENT + noise * np.random.default_rng(seed).normal(size=ROWS)
    positive = 1 / (1 + np.exp(1 - score))
    probability = np.column_stack([1 - positive, positive])
    found = evaluate(
        target=target,
        probability=probability,
        group=GROUP,
        threshold=0.4,
        classes=["no", "yes"],
        positive=1,
        params=params,
    )
    return Entry(evaluation=found, target=target, predicted=probability, group=GROUP)


def perfect(rows: int, positives: int) -> Entry:
    target, group = (np.arange(rows) < positives).astype(np.int64), np.arange(rows).astype(str)
    probability = np.column_stack([1 - target, target]).astype(np.float64)
    found = evaluate(
        target=target,
        probability=probability,
        group=group,
        threshold=0.5,
        classes=["no", "yes"],
        positive=1,
        params=PARAMS,
    )
    return Entry(evaluation=found, target=target, predicted=probability, group=group)


def board(metric: str = "auroc", **noises: float) -> Leaderboard:
    return compare({name: entry(noise) for name, noise in noises.items()}, CompareParams(metric=metric), {"boosting"})


@pytest.mark.parametrize("metric", ["auroc", "accuracy", "brier"])
def test_a_pair_is_decided_as_medloop_compare_decides_it(metric: str) -> None:
    for noise in (0.5, 0.8, 0.9, 1.0, 1.2, 2.0):
        entries = {"mlp": entry(0.4), "boosting": entry(noise, seed=2), "other": entry(2.5, seed=3)}
        ours = compare(entries, CompareParams(metric=metric), {"boosting"})
        theirs = standing(entries, draws(entries, [metric]), metric)
        assert [row.model for row in ours.rows] == [place.model for place in theirs.places]
        assert [row.tied for row in ours.rows[1:]] == [not place.told_apart for place in theirs.places[1:]]
        assert [row.behind for row in ours.rows] == [place.lead for place in theirs.places]


def test_best_first_and_the_rest_behind() -> None:
    found = board(mlp=2.0, boosting=0.1, cnn=0.8)
    assert [row.model for row in found.rows] == ["boosting", "cnn", "mlp"]
    best, cnn, mlp = found.rows
    assert best.behind is None and not best.tied and best.baseline
    assert cnn.behind is not None and mlp.behind is not None and not mlp.tied
    auroc = [row.metrics["auroc"].value or 0 for row in found.rows]
    assert mlp.behind.value == pytest.approx(auroc[0] - auroc[2], abs=2e-6)
    assert Leaderboard.model_validate_json(found.model_dump_json()) == found


def test_a_difference_is_paired() -> None:
    found = board(mlp=0.32, boosting=0.3)
    behind, auroc = found.rows[1].behind, found.rows[1].metrics["auroc"]
    assert behind and behind.low is not None and behind.high and auroc.low is not None and auroc.high
    assert behind.high - behind.low < 0.2 * (auroc.high - auroc.low)


def test_low_is_best_where_low_is_better() -> None:
    found = board("brier", mlp=2.0, boosting=0.1)
    assert found.rows[0].model == "boosting"
    behind = found.rows[1].behind
    assert behind and behind.low is not None and behind.low > 0


@pytest.mark.parametrize(
    ("noises", "advice"),
    [
        (
            {"boosting": 0.1, "mlp": 2.0},
            r"^boosting is best: AUROC 0\.\d+ \(.* The larger model mlp is .*; use the simpler",
        ),
        ({"boosting": 0.3, "mlp": 0.31}, r"^boosting is best: .*may be chance; prefer the simpler model, boosting\.$"),
        (
            {"boosting": 0.3, "mlp": 0.3},
            r"^boosting and mlp are level, no difference seen: AUROC .*\. Prefer the simpler model, boosting\.$",
        ),
        ({"cnn": 0.3, "mlp": 0.3}, r"^cnn and mlp are level, no difference seen: AUROC [^a-z]* to [^a-z]*\.$"),
        ({"boosting": 0.31, "mlp": 0.3}, r"^mlp is best: .*The simpler boosting .*may be chance; prefer the simpler"),
        (
            {"boosting": 2.0, "mlp": 0.1},
            r"^mlp is best: .*best simple model, boosting, .*the larger model earns its place",
        ),
        ({"cnn": 2.0, "mlp": 0.1}, r"^mlp is best: .*cnn is .* behind\.$"),
        ({"mlp": 0.3}, r"^mlp stands alone: AUROC"),
    ],
)
def test_the_verdict(noises: dict[str, float], advice: str) -> None:
    assert re.search(advice, board(**noises).verdict)


@pytest.mark.parametrize(
    ("noises", "choice"),
    [
        ({"boosting": 0.31, "mlp": 0.3}, "boosting"),
        ({"boosting": 2.0, "mlp": 0.1}, "mlp"),
        ({"boosting": 0.1, "mlp": 2.0}, "boosting"),
        ({"boosting": 0.3, "cnn": 0.3, "mlp": 0.3}, "boosting"),
        ({"cnn": 0.31, "mlp": 0.3}, "mlp"),
    ],
)
def test_the_choice_is_what_the_verdict_advises(noises: dict[str, float], choice: str) -> None:
    found = board(**noises)
    assert found.choice == choice
    assert choice in found.verdict.rsplit(". ", 1)[-1] or found.verdict.startswith(f"{choice} is best")


def test_what_may_be_guessing_is_said() -> None:
    assert board(mlp=200.0).verdict.startswith("No model is shown to be better than chance: mlp stands alone")
    assert "chance:" not in board(mlp=0.3).verdict
    assert "chance:" not in board("accuracy", mlp=200.0).verdict


@pytest.mark.parametrize(
    ("rows", "positives", "warning"),
    [
        (9, 4, "The test part is small (9 rows): do not rely on this."),
        (60, 4, "The test part is small (60 rows, 4 of class yes): do not rely on this."),
        (60, 10, None),
    ],
)
def test_a_small_test_part_is_not_relied_on(rows: int, positives: int, warning: str | None) -> None:
    found = compare({"mlp": perfect(rows, positives)}, CompareParams(), set())
    assert found.verdict.endswith(warning) if warning else "small" not in found.verdict


def test_the_axis_of_perfect_models_ends_at_one() -> None:
    found = compare({name: perfect(60, 20) for name in ("boosting", "mlp")}, CompareParams(), {"boosting"})
    assert found.rows[0].metrics["auroc"].low is None and not found.verdict.startswith("No model is shown")
    assert '"range":[0.95,1]' in forest(found)
    assert "no difference seen" in table(found)[2][3] and "chance" not in found.verdict + table(found)[2][3]


def test_other_rows_cannot_be_compared() -> None:
    one = entry(0.3)
    for other in (replace(one, target=1 - TARGET), replace(one, group=GROUP[::-1])):
        with pytest.raises(MedloopError, match="same test rows"):
            compare({"a": one, "b": other}, CompareParams(), set())


def test_other_resamples_cannot_be_compared() -> None:
    with pytest.raises(MedloopError, match="settings"):
        compare({"a": entry(0.3), "b": entry(0.3, params=EvaluateParams(seed=1))}, CompareParams(), set())


def test_one_class_cannot_rank() -> None:
    with pytest.raises(MedloopError, match=r"AUROC cannot rank .* none of class yes"):
        compare({"a": entry(0.3, target=np.zeros_like(TARGET))}, CompareParams(), set())
    with pytest.raises(MedloopError, match="no model"):
        compare({}, CompareParams(), set())


def test_a_model_without_the_metric_comes_last() -> None:
    silent = entry(0.3)
    never = np.tile([0.9, 0.1], (ROWS, 1))
    found = evaluate(
        target=TARGET, probability=never, group=GROUP, threshold=0.5, classes=["no", "yes"], positive=1, params=PARAMS
    )
    mute = replace(silent, evaluation=found, predicted=never)
    ranked = compare({"a": mute, "b": silent}, CompareParams(metric="precision"), set())
    assert [row.model for row in ranked.rows] == ["b", "a"]
    assert ranked.rows[1].behind and ranked.rows[1].behind.value is None and not ranked.rows[1].tied
    assert "stands alone" in ranked.verdict


def test_a_misspelt_metric_is_named() -> None:
    with pytest.raises(ValidationError, match="did you mean auroc"):
        CompareParams(metric="aurocc")


def test_the_table_and_the_page() -> None:
    entries = {name: entry(noise) for name, noise in {"mlp": 2.0, "boosting": 0.1}.items()}
    found = compare(entries, CompareParams(), {"boosting"})
    lines = table(found)
    assert [line[1] for line in lines] == ["model", "boosting", "mlp"]
    assert {len(line) for line in lines} == {len(lines[0])} and lines[1][3] == "best"
    evaluations = {name: one.evaluation for name, one in entries.items()}
    page = leaderboard_page(found, evaluations, "diabetes")
    assert found.verdict in page and re.findall(r'<div id="([a-z-]+)"', page) == ["forest", "roc"]
    assert leaderboard_page(found, evaluations, "diabetes") == page
    assert "made on this test part, so the best value is a little flattered" in page
