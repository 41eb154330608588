"""Hundreds of runs beside the first of them: what each is behind it, corrected for all pairs."""

from types import SimpleNamespace

import numpy as np
import pytest

from flows import console
from flows.comparing import show
from pipelines.bootstrap import Interval
from pipelines.comparison.differs import DataDifference, Drift
from pipelines.comparison.many import many
from pipelines.comparison.recipe_sections import Stored, data_part, settings_table, stored_section
from pipelines.comparison.standing import draws
from pipelines.paired import gain
from tests.unit.test_comparison import scored


def test_each_is_set_beside_the_first_as_the_paired_bootstrap_would() -> None:
    entries = scored({"a": 0.1, "b": 0.3, "c": 3.0}, rows=400)
    found = many(entries, "a", "auroc", 3)
    drawn = draws(entries, ["auroc"])
    for name, one in found.behind.items():
        percentile = gain("auroc", drawn[name]["auroc"], drawn["a"]["auroc"], 0.95)
        assert one.lead.value == percentile.value
        assert np.allclose([one.lead.low, one.lead.high], [percentile.low, percentile.high], atol=0.012)
    assert found.behind["c"].told_apart and not found.behind["b"].told_apart
    assert "1 other is shown to be behind, 1 cannot be told apart" in found.sentence


def test_more_models_ask_for_more() -> None:
    entries = scored({"a": 0.1, "b": 1.0}, rows=150)
    few, hundreds = (many(entries, "a", "auroc", count).behind["b"] for count in (2, 400))
    assert few.lead == hundreds.lead and few.told_apart and not hundreds.told_apart
    assert few.p * 400 * 399 / 2 >= hundreds.p > few.p


def test_lower_is_better_and_the_same_is_level() -> None:
    entries = scored({"a": 0.1, "b": 3.0})
    found = many({**entries, "again": entries["a"]}, "a", "brier", 5)
    assert found.behind["b"].lead.value > 0 and found.behind["again"].p == 1.0
    assert "2 others are of other test rows" in found.sentence
    alone = many({"a": entries["a"]}, "a", "auroc", 5)
    assert alone.sentence.startswith("Cannot tell: ") and "no other was tested" in alone.sentence


def test_all_are_told_with_every_metric_and_its_interval() -> None:
    entries = scored({"a": 0.1, "b": 3.0})
    found = many(entries, "a", "auroc", 3)
    value = Interval(value=0.8, low=0.7, high=0.9)
    runs = [
        Stored(name=name, study="s", when="now", values=[value, Interval(value=None)], behind=behind)
        for name, behind in {"a": "first", "<b>": found.behind["b"], "elsewhere": None}.items()
    ]
    page = stored_section(runs, ["auroc", "brier"], found)
    assert page.count("(0.700 to 0.900)") == 3 and "&lt;b&gt;" in page and "other rows" in page
    assert "corrected (Bonferroni) for all pairs" in page


def test_a_narrow_terminal_shows_p_beside_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = scored({"a": 0.1, "b": 3.0})
    name = "boosting of diabetes-20261122-1218-45gm"
    found = many({name: entries["a"], "b": entries["b"]}, name, "auroc", 2)
    told: list[str] = []
    monkeypatch.setattr(console.console, "_width", 80)
    monkeypatch.setattr(console.console, "print", lambda *of, **_: told.extend(_cells(*of)))
    runs = [SimpleNamespace(name=one, metrics={"test_auroc": 0.8}) for one in (name, "b")]
    of = SimpleNamespace(answer="", cautions=(), many=found, metric="auroc", runs=runs, groups=None)
    show._show(of)
    assert told[:4] == ["", "run", "AUROC", "p"]


def _cells(of: object = "", *_: object) -> list[str]:
    return [str(column.header) for column in getattr(of, "columns", ())]


def test_settings_of_many_runs_break_at_their_dots() -> None:
    names = [f"run {at}" for at in range(7)]
    assert "<code>mlp.<wbr>width</code>" in settings_table({"mlp.width": dict.fromkeys(names, 64)}, names, "setting")


def test_the_label_is_told_by_no_internal_name() -> None:
    moved = [Drift(column=name, changed=0, difference=0.14, missing=(0.0, 0.0)) for name in ("@target", "@target_2")]
    found = DataDifference(
        first=400, second=550, added=150, removed=0, changed=0, columns_added=(), columns_removed=(), drift=tuple(moved)
    )
    told = data_part("b", "a", found)
    assert "label_2" in told and "@" not in told
