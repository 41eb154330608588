"""Rows that wait for their label: which they are, read as labelled ones."""

import pandas as pd
import pytest

from contracts.study import Study
from contracts.tables import Schema
from pipelines.clean import CleanParams, clean
from pipelines.table import Table, as_table
from pipelines.unlabelled import unlabelled, without_label
from tests.workspace import STUDY, patients

DECLARED = {key: STUDY[key] for key in Study.model_fields if key in STUDY}
STUDIED = Study.model_validate({"name": "tiny", **DECLARED, "cohort": {"sex": {"among": ["f"]}}})
PARAMS = CleanParams()


def raw(labels: int) -> pd.DataFrame:
    """The first `labels` rows have one; the others are blank or a code for none."""
    table = patients(60).assign(**{"@row": [str(n) for n in range(2, 62)]})
    table["ill"] = [*table["ill"][:labels], *["" if n % 2 else "NA" for n in range(60 - labels)]]
    return table


def of_all() -> tuple[pd.DataFrame, Schema]:
    cleaned = clean(patients(60).assign(**{"@row": [str(n) for n in range(2, 62)]}), STUDIED, PARAMS)
    return cleaned.samples, cleaned.schema


def test_they_are_read_as_the_labelled_ones_are() -> None:
    samples, schema = of_all()
    found = unlabelled(as_table(raw(40)), STUDIED, schema, PARAMS)
    assert found is not None
    like = samples[samples["@id"].isin(patients(60)["record"][40:])].reset_index(drop=True)
    assert len(like) > 5
    kept = ["@id", "@group", *schema.features]
    pd.testing.assert_frame_equal(found.samples[kept], like[kept])


def test_only_those_that_are_meant_and_each_once() -> None:
    _, schema = of_all()
    table = raw(40)
    known, aside = table["record"][40:50].tolist(), table["@row"][50:55].tolist()
    twice = pd.concat([table, table[55:]], ignore_index=True)
    found = unlabelled(Table((*as_table(twice[:45]).blocks, *as_table(twice[45:]).blocks)), STUDIED, schema, PARAMS,
                       but=known, aside=aside)  # fmt: skip
    assert found is not None
    expected = table[55:].query("sex == 'f'")["record"].tolist()
    assert found.samples["@id"].tolist() == expected
    assert unlabelled(as_table(raw(60)), STUDIED, schema, PARAMS) is None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"columns": ["ill", "smoker"], "classes": ["no", "yes"], "positive": "yes", "task": "multilabel"}, [2]),
        ({"column": "ill", "event": "smoker", "classes": ["no", "yes"], "positive": "yes", "task": "survival",
          "horizon": 5}, [1, 2]),
    ],
)  # fmt: skip
def test_of_several_columns_each_counts_as_the_task_says(target: dict[str, object], expected: list[int]) -> None:
    columns = {"age": {"type": "numeric", "unit": "years"}}
    if target["task"] == "survival":
        columns["ill"] = {"type": "numeric", "unit": "years"}
    study = Study.model_validate({**DECLARED, "name": "tiny", "target": target, "columns": columns, "protect": {}})
    first = ["1", "", ""] if target["task"] == "survival" else ["yes", "", ""]
    cells = pd.DataFrame({"record": ["a", "b", "c"], "ill": first, "smoker": ["no", "no", ""]}, dtype="str")
    assert without_label(as_table(cells), study, PARAMS).nonzero()[0].tolist() == expected


def test_rows_that_cannot_be_known_again_are_left_out() -> None:
    study = STUDIED.model_copy(update={"id": None})
    assert not without_label(as_table(raw(0)), study, PARAMS).any()
