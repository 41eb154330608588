"""The drafted model card: all of TRIPOD+AI, nothing claimed that is not recorded, hostile names inert."""

import pytest

from contracts.study import Column, Study
from contracts.target import Target
from flows.card import _question
from pipelines.card import Facts, checklist, known_share, markdown, page, parts


def facts(**known: object) -> Facts:
    empty: dict[str, object] = {
        name: () if "tuple" in str(field.annotation) else "" for name, field in Facts.model_fields.items()
    }
    return Facts.model_validate({**empty, **known})


def test_all_27_items_each_drafted_or_asked() -> None:
    items = checklist(facts(metrics=(("AUROC", "0.8"),), parts="Rows by part.", balance="Imbalance: none."))
    assert [int(item.number) for item in items] == [*range(1, 28)]
    assert all(item.drafted or item.missing for item in items)
    assert sum(known_share(facts()).values()) == 27 and known_share(facts())["drafted"] == 0


def test_nothing_is_drafted_where_nothing_is_recorded() -> None:
    silent = [item for item in checklist(facts()) if item.drafted.strip(" .:;")]
    assert {item.number for item in silent} <= {"9", "22"}, "counts of none, and where weights lie"
    assert all(part.missing for part in parts(facts()) if part.heading != "Proof and reproduction")


HOSTILE = "</section><script>alert(1)</script> [x](javascript:alert(1)) | `a` *b* \u202e"


@pytest.mark.parametrize("write", [page, markdown], ids=["html", "markdown"])
def test_hostile_names_are_inert(write) -> None:
    told = write(facts(title=HOSTILE, study=HOSTILE, model=HOSTILE, predictors=(HOSTILE,), flow=((HOSTILE, "3"),)))
    assert "<script>" not in told and "\u202e" not in told
    if write is markdown:
        assert "[x](" not in told.replace("\\[", ""), "no link"
        (line,) = [line for line in told.splitlines() if line.endswith("| 3 |")]
        assert line.replace("\\|", "").count("|") == 3, "a bar parts no cells"


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ({"column": "ill", "classes": ("no", "yes"), "positive": "yes"}, "ill: no, yes; positive is “yes”."),
        ({"column": "days", "event": "died", "classes": ("0", "1"), "positive": "1", "horizon": 90, "task": "survival"},
         "days, the time until died is “1”, and the risk of that by 90 days."),
        ({"columns": ("gout", "stroke"), "classes": ("0", "1"), "positive": "1", "task": "multilabel"},
         "which of these are “1”: gout, stroke."),
        ({"column": "labs", "channel": "hr", "horizon": 2, "task": "forecasting"}, "the next 2 values of hr in labs."),
    ],
    ids=["classes", "survival", "multilabel", "forecasting"],
)  # fmt: skip
def test_the_question_is_that_of_the_studys_task(target: dict, asked: str) -> None:
    columns = {"days": Column(type="numeric", unit="days"), "labs": Column(type="sequence")}
    study = Study(name="a", title="a", target=Target.model_validate(target), columns=columns)
    assert _question(study) == f"Predicts {asked}"
