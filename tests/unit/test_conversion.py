from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import MedloopError
from contracts.study import Column, Condition, Study, Target
from pipelines.clean import CleanParams, clean, clean_rows
from pipelines.validate import ValidateParams, validate

LOW = {"from": "mmol/L", "factor": 18.016, "where": {"max": 30}}
SAID = {"from": "mmol/L", "factor": 18.016, "by": "unit", "among": ["mmol/L", "mM"]}


def study(*rules: dict[str, Any], **more: Any) -> Study:
    glucose = Column.model_validate(
        {"type": "numeric", "unit": "mg/dL", "range": [40, 600], "missing": [-9], "convert": list(rules)}
    )
    return Study(
        name="s",
        title="S",
        target=Target(column="sick", classes=("no", "yes"), positive="yes"),
        columns={"glucose": glucose},
        drop={"unit": "says the unit of glucose"},
        **more,
    )


def raw(glucose: list[str], unit: list[str] | None = None) -> pd.DataFrame:
    sick = ["no", "yes"] * len(glucose)
    unit = unit or [""] * len(glucose)
    rows = range(2, len(glucose) + 2)
    table = {"@row": rows, "glucose": glucose, "unit": unit, "sick": sick[: len(glucose)]}
    return pd.DataFrame(table).astype(dict.fromkeys(("glucose", "unit", "sick"), "str"))


def converted(cleaned: Any) -> list[tuple[str, str | None, int]]:
    return [(c.rule, c.column, c.cells) for c in cleaned.ledger if c.rule.startswith("converted")]


@pytest.mark.parametrize(("rule", "unit"), [(LOW, None), (SAID, ["mmol/L", " mM ", "mg/dL", ""])])
def test_cells_in_the_other_unit_are_converted_before_the_range_is_asked(
    rule: dict[str, Any], unit: list[str] | None
) -> None:
    table = raw(["5.5", "10", "99", "-9"], unit)
    cleaned = clean(table, study(rule), CleanParams())
    assert cleaned.samples["glucose"].tolist()[:3] == pytest.approx([99.088, 180.16, 99])
    assert cleaned.samples["glucose"].isna().tolist() == [False, False, False, True]
    assert converted(cleaned) == [("converted from mmol/L", "glucose", 2)]
    assert not [c for c in cleaned.ledger if "range" in c.rule]


@pytest.mark.parametrize(("censored", "taken"), [("limit", [40, 36.032]), ("half", [20, 18.016])])
def test_a_limit_is_in_the_unit_in_which_it_is_written(censored: str, taken: list[float]) -> None:
    declared = study(LOW)
    glucose = declared.columns["glucose"].model_copy(update={"censored": censored, "range": None})
    declared = declared.model_copy(update={"columns": {"glucose": glucose}})
    cleaned = clean(raw(["<40", "<2.0"]), declared, CleanParams())
    assert cleaned.samples["glucose"].tolist() == pytest.approx(taken)
    assert converted(cleaned) == [("converted from mmol/L", "glucose", 1)]


def test_an_offset_is_added_after_the_factor() -> None:
    rule = {"from": "°C", "factor": 1.8, "offset": 32, "where": {"min": 30, "max": 45}}
    assert clean(raw(["37", "100"]), study(rule), CleanParams()).samples["glucose"].tolist() == pytest.approx(
        [98.6, 100]
    )


def test_new_rows_are_converted_alike() -> None:
    table = raw(["5.5", "120"], ["mmol/L", "mg/dL"])
    trained = clean(table, study(SAID), CleanParams())
    scored = clean_rows(table.drop(columns="sick"), study(SAID), trained.schema, CleanParams())
    assert scored.samples["glucose"].tolist() == trained.samples["glucose"].tolist()
    with pytest.raises(MedloopError, match=r"lack 1 column that.*unit"):
        clean_rows(table.drop(columns="unit"), study(SAID), trained.schema, CleanParams())


def test_the_cohort_is_asked_in_the_columns_own_unit() -> None:
    of = study(LOW, cohort={"glucose": Condition(min=90)})
    assert len(clean(raw(["5.5", "60", "120"]), of, CleanParams()).samples) == 2


def test_rules_that_want_the_same_cells_are_an_error_where_it_can_be_seen() -> None:
    for second in ({**LOW, "where": {"min": 20}}, {**LOW, "from": "g/L", "where": {}}):
        with pytest.raises(ValueError, match=r"from mmol/L and from .* want the same cells"):
            study(LOW, second)
    study(LOW, {**LOW, "from": "g/L", "where": {"min": 31}})
    study(SAID, {**SAID, "from": "g/L", "among": ["g/L"]})


def test_rules_that_meet_on_a_cell_name_its_rows() -> None:
    with pytest.raises(MedloopError, match=r"want the same 1 cells\nwhere: rows 3"):
        clean(raw(["99", "5.5", "6"], ["mM", "mM", ""]), study(LOW, SAID), CleanParams())


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({**SAID, "by": "units"}, r"named but not declared under columns: \['units'\]"),
        ({**LOW, "by": "unit"}, "belong together"),
        ({**LOW, "factor": 0}, "greater than 0"),
        ({**LOW, "where": {"min": 3, "max": 1}}, "above max"),
        ({**LOW, "wher": {}}, "Extra inputs"),
    ],
)
def test_a_rule_that_makes_no_sense_is_an_error(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study(rule)
    with pytest.raises(ValueError, match="convert is said of a numeric column"):
        Column.model_validate({"type": "text", "convert": [LOW]})


def test_the_declaration_survives_json() -> None:
    told = study(LOW, SAID)
    assert Study.model_validate_json(told.model_dump_json()) == told
    assert '"from":"mmol/L"' in told.model_dump_json()


def test_a_study_that_declares_the_rule_is_not_suspected_any_more() -> None:
    rng = np.random.default_rng(0)
    values = np.exp(rng.normal(np.log(105), 0.2, 400))
    values[:60] /= 18.016
    table = raw([f"{v:.3f}" for v in values])

    def kinds(of: Study) -> list[str]:
        return [f.kind for f in validate(table, of, ValidateParams(), missing=("NA",)).findings]

    assert "two_units" in kinds(study())
    assert kinds(study(LOW)) == []


@given(st.lists(st.sampled_from(["5", "29.9", "30", "31", "200", "-9", "NA", ""]), min_size=2, max_size=20))
def test_no_row_is_lost_and_each_cell_counts_once(glucose: list[str]) -> None:
    glucose = [*glucose, "100", "101"]
    before, after = (clean(raw(glucose), of, CleanParams(out_of_range="keep")) for of in (study(), study(LOW)))
    assert after.samples["@id"].equals(before.samples["@id"])
    was, now = before.samples["glucose"], after.samples["glucose"]
    changed = was.notna() & (was != now)
    assert sum(count for _, _, count in converted(after)) == changed.sum() == (was <= 30).sum()
    assert was.isna().equals(now.isna())
