"""What stops at a study's door in texts and DICOM headers, and what the error proposes."""

import pandas as pd
import pytest

from contracts.errors import MedloopError
from contracts.study import Study
from pipelines.guard import ONLY_PIXELS, guard, header_suspicions, suspicions

NOTES = [
    "The heart is normal and the lungs are clear.",
    "Discussed with Dr. Smith on 03/04/2020 and on 03/05/2020.",
    "A 92-year-old man, no change since last year.",
    "Seen on 04/05/2020 for follow-up of the chest.",
]
HEADERS = {"scan": {"PatientName": 12, "PatientBirthDate": 3}}


def study(protect: dict[str, object] | None = None) -> Study:
    columns = {"note": {"type": "text"}, "scan": {"type": "image"}, "mail": {"type": "text"}}
    target = {"column": "y", "classes": [0, 1], "positive": 1}
    return Study.model_validate(
        {"name": "t", "title": "t", "columns": columns, "target": target, "protect": protect or {}}
    )


def table(**cells: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(cells, dtype="str")
    return frame.assign(**{"@row": range(len(frame))})


def test_texts_are_suspected_by_what_stands_in_them() -> None:
    (found,) = suspicions(table(note=[*NOTES, NOTES[1]]), study())
    assert found.told() == (
        "note: identifiers inside texts: date (3), name (2), age over 89 (1), by content (4 of 5 filled cells)"
    )
    assert found.advice.redact
    assert suspicions(table(note=[NOTES[0]] * 5), study()) == []
    assert suspicions(table(note=NOTES), study({"note": "redact"})) == []


def test_a_text_column_of_nothing_but_identifiers_is_to_be_dropped() -> None:
    (found,) = suspicions(table(mail=[f"p{at}@mail.org" for at in range(30)]), study())
    assert found.kind == "an e-mail address"
    assert found.advice.drop


def test_the_error_proposes_a_treatment_and_shows_no_text() -> None:
    with pytest.raises(MedloopError, match="1 column may identify people") as error:
        guard(table(note=NOTES), study())
    assert "protect: {note: redact}" in str(error.value)
    assert "Smith" not in str(error.value)
    assert "03/04" not in str(error.value)


def test_headers_that_identify_stop_until_the_study_decides() -> None:
    empty = table(scan=["0", "1"])
    with pytest.raises(MedloopError, match="1 column") as error:
        guard(empty, study(), headers=HEADERS)
    assert "PatientName (12), PatientBirthDate (3), by header (12 files)" in error.value.where
    assert 'scan: {keep: "only pixels are read; the headers stay in the source"}' in error.value.mend
    guard(empty, study({"scan": {"keep": "a phantom"}}), headers=HEADERS)
    guard(empty, study(), headers={"scan": {}})
    guard(empty, study())


def test_text_burned_into_the_pixels_is_not_answered_by_leaving_the_headers() -> None:
    burned = {"scan": {**HEADERS["scan"], "BurnedInAnnotation": 2}}
    found = header_suspicions(burned, study())
    assert [(s.by, s.cells) for s in found] == [("header", 12), ("BurnedInAnnotation", 2)]
    with pytest.raises(MedloopError, match="1 column") as error:
        guard(table(scan=["0"]), study(), headers=burned)
    assert "protect: {scan: drop}" in error.value.mend
    (left,) = header_suspicions(burned, study({"scan": {"keep": ONLY_PIXELS.keep}}))
    assert left.by == "BurnedInAnnotation"
    assert header_suspicions(burned, study({"scan": {"keep": "texts were blacked out by hand"}})) == []
