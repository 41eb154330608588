"""What `medloop init` proposes: types, ranges, codes, identifiers and leaks, each marked for a person."""

import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from PIL import Image
from ruamel.yaml import YAML

from contracts.errors import MedloopError
from contracts.study import Column, Study, Target
from flows.draft import draft_file
from pipelines.draft import SECTIONS, Draft, draft, render
from pipelines.guard import suspicions
from pipelines.guess import CENSORED, Guess, guess_column, guess_number
from pipelines.guess_files import guess_files, guess_payloads, kind_of, pattern_of
from pipelines.sources.raw import Raw

ROWS = 200


def series(values: object) -> "pd.Series[str]":
    return pd.Series(values, dtype="str")


def numbers(low: int, high: int) -> list[str]:
    return [str(value) for value in np.random.default_rng(0).integers(low, high, ROWS)]


def guessed(values: list[str], name: str = "x") -> Column:
    column = guess_column(name, series(values)).column
    assert column is not None
    return column


def table(**columns: list[str]) -> pd.DataFrame:
    base = {
        "record": [f"{i:05d}" for i in range(ROWS)],
        "sick": ["Yes", "No", "No", "No"] * (ROWS // 4),
        "age": numbers(20, 80),
        "site": ["north", "south"] * (ROWS // 2),
    }
    texts = {name: series(values) for name, values in {**base, **columns}.items()}
    return pd.DataFrame({"@row": range(2, ROWS + 2), **texts})


def as_study(proposed: Draft) -> Study:
    read = YAML(typ="safe", pure=True).load(render(proposed, "toy", {"kind": "file", "path": "data/toy.csv"}))
    assert read["source"] == {"kind": "file", "path": "data/toy.csv"}
    assert all(read[section] == {} for section in SECTIONS)
    assert set(read["models"]) == {"mlp", "logistic", "boosting"}
    assert set(Study.model_fields) - {"name"} <= set(read)  # DVC wants every key to be there
    return Study.model_validate({"name": "toy", **{key: read[key] for key in Study.model_fields if key in read}})


def test_a_draft_is_a_study_again_when_it_is_read_back() -> None:
    awkward = {"01": "a", "yes": "b", "a: b": "c", "#": "d", "né, “x”": "e", "null": "f"}
    columns = {name: [level, 'it\'s "so": #', "1.50", "007", "-"] * (ROWS // 5) for name, level in awkward.items()}
    proposed = draft(table(**columns, day=["2020-01-02", "2021-03-04"] * (ROWS // 2)), target=["sick"], time="day")
    study = as_study(proposed)
    assert study.columns == proposed.columns
    assert study.drop == proposed.drop
    assert study.target == proposed.target
    assert (study.id, study.group, study.time) == ("record", None, "day")
    assert study.columns["yes"].levels == ("1.50", "007", "b", 'it\'s "so": #')
    assert study.columns["yes"].missing == ("-",)


def test_the_label_has_its_classes_and_its_codes_apart() -> None:
    label = ["1.0", "0.0", "0.0", "Refused"] * (ROWS // 4)
    study = as_study(draft(table(sick=label), target=["sick"]))
    assert study.target.classes == ("0", "1")
    assert study.target.positive == "1"
    assert study.columns["sick"].missing == ("Refused",)
    assert as_study(draft(table(), target=["sick"])).target.positive == "Yes"


def test_a_label_of_one_or_too_many_classes_is_refused() -> None:
    with pytest.raises(MedloopError, match="sick has 1"):
        draft(table(sick=["1"] * ROWS), target=["sick"])
    with pytest.raises(MedloopError, match="classes"):
        draft(table(sick=[f"illness {row}" for row in range(ROWS)]), target=["sick"])
    with pytest.raises(MedloopError, match="did you mean sick"):
        draft(table(), target=["sik"])


def test_a_label_of_many_numbers_is_a_regressions() -> None:
    drafted = draft(table(), target=["age"])
    assert (drafted.target.task, drafted.target.classes) == ("regression", ())
    assert drafted.columns["age"].type == "numeric"
    written = render(drafted, "ages", {"kind": "file"})
    assert "  task: regression\ncohort" in written
    assert "  ridge: {}" in written
    assert "logistic" not in written


def test_numbers_get_a_wide_range_and_no_unit() -> None:
    column = guessed([f"{value:.1f}" for value in np.random.default_rng(0).normal(120, 15, ROWS)])
    assert column.type == "numeric"
    assert column.unit is None
    assert column.range is not None
    assert column.range[0] is not None and 0 <= column.range[0] < 80
    assert column.range[1] is not None and 160 < column.range[1] < 300


def test_the_range_of_calendar_years_holds_the_next_ones() -> None:
    years = [str(1984 + k % 4) for k in range(40)]
    assert guess_column("year", pd.Series(years, dtype="str")).note == "seen 1984 to 1987"
    assert guessed(years, "SurveyYear").range == (1900, 2100)
    assert guessed(years, "kcal").range == (1983.2, 1987.8)
    assert guessed([str(60 + k % 12) for k in range(40)], "year").range != (1900, 2100)


def test_what_is_grossly_far_off_stays_outside_the_range() -> None:
    column = guessed([*numbers(50, 150), "123456"])
    assert column.range is not None and column.range[1] is not None
    assert column.range[1] < 1000


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([*numbers(0, 60), "999", "777"], ("777", "999")),
        ([*numbers(20, 90), "-999.0"], ("-999",)),
        ([*numbers(20, 90), "-9", "Don't know", "?"], ("Don't know", "-9")),
        (["1", "2", "9"] * 50, ("9",)),
        ([*numbers(0, 1000), "999"], ()),
        ([*numbers(60, 100), "99"], ()),
        (["-1", "0", "1", "-9.5"] * 50, ()),
        (["7"] * 50 + [""] * 50, ()),
    ],
)
def test_codes_are_suspected_only_far_from_all_other_values(values: list[str], codes: tuple[str, ...]) -> None:
    assert guessed(values).missing == codes


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1.0", "0.0"], "categorical"),
        (["0", "1", "2", "3"], "categorical"),
        (["1", "2", "3 or more"], "categorical"),
        (["0.5", "1.5", "2.5"], "numeric"),
        (["10", "20", "30", "40"], "numeric"),
        (["5.397605346934028e-79", *map(str, range(1, 20))], "numeric"),
        (["2020-01-31", "2020-02-01T10:30:00"], "datetime"),
        (["31.01.2020", "1.2.2020"], "datetime"),
        (["December 24, 2012", "May 2, 2013"], "datetime"),
        (["24 Dec 2012", "2 May 2013"], "datetime"),
        (["E11.9", "I10", "J45"], "categorical"),
    ],
)
def test_types(values: list[str], kind: str) -> None:
    assert guessed(values * 20).type == kind


def test_a_date_that_could_be_read_two_ways_is_told() -> None:
    clear, doubtful = (guess_column("visit", series(days * 9)) for days in (["03/14/2020"], ["03/04/2020"]))
    assert clear.column == Column(type="datetime", format="%m/%d/%Y")
    assert not clear.note
    assert "%m/%d/%Y" in doubtful.note


def test_cells_that_are_no_numbers_are_told_by_their_shape() -> None:
    guess = guess_column("crp", series([*numbers(1, 90), "5+"]))
    assert guess.column is not None and guess.column.type == "numeric"
    assert "1 cells are no numbers, like 9+" in guess.note


def test_results_beyond_a_limit_are_read_as_the_limit_and_told() -> None:
    guess = guess_column("crp", series([*numbers(5, 90), "<5", "<5", "> 200"]))
    assert guess.column is not None and guess.column.censored == "limit" and guess.column.range == (0, 250)
    assert "3 cells beyond a limit, like <9" in guess.note and CENSORED in guess.matters


def test_a_limit_that_looks_like_a_code_is_none() -> None:
    guess = guess_column("d_dimer", series([*numbers(0, 4000), ">9999"]))
    assert guess.column is not None and guess.column.missing == () and guess.column.range == (0, 12500)


def test_groups_written_as_limits_are_categories() -> None:
    for levels in (("<30", ">=30"), ("0", "1", "2", ">2")):
        guess = guess_column("group", series([*levels] * 20))
        assert guess.column is not None and guess.column.type == "categorical" and guess.column.levels == levels
    asked = guess_number("years", series([*"12345", ">5"] * 30))
    assert asked is not None and asked.column is not None and asked.column.censored == "limit"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([""] * 9, "no value"),
        (["b'23:00'", "b'06:30'"] * 9, "time of day"),
        ([f"Patient {i} came in with a cough and was sent home again" for i in range(ROWS)], "free text"),
        ([f"E{i % 120}" for i in range(600)], "120 levels"),
    ],
)
def test_texts_that_are_no_categories_stay_out(values: list[str], why: str) -> None:
    assert why in guess_column("x", series(values)).drop


def test_identifiers_and_leaks_wait_under_drop_for_a_decision() -> None:
    sick = ["Yes", "No", "No", "No"] * (ROWS // 4)
    proposed = draft(
        table(
            email=[f"p{i}@mail.org" for i in range(ROWS)],
            insulin=["5" if label == "Yes" else "" for label in sick],
        ),
        target=["sick"],
    )
    assert proposed.drop["email"].startswith("identifier? ")
    assert proposed.drop["insulin"].startswith("leak? ")
    assert set(proposed.columns) == {"age", "site"}
    assert any("email" in check for check in proposed.checks)
    assert any("insulin" in check for check in proposed.checks)


def test_a_strong_predictor_is_told_to_be_dropped_only_for_now_with_what_would_keep_it() -> None:
    sick = ["Yes", "No", "No", "No"] * (ROWS // 4)
    hba1c = [f"{(9 if label == 'Yes' else 5) + i % 20 / 10:.1f}" for i, label in enumerate(sick)]
    proposed = draft(table(hba1c=hba1c), target=["sick"])
    assert "hba1c" not in as_study(proposed).columns
    (check,) = [check for check in proposed.checks if "hba1c" in check]
    assert check.startswith("DROPPED for now")
    (line,) = [line for line in render(proposed, "toy", {}).splitlines() if line.strip().startswith("hba1c")]
    kept = line.split("# DROPPED for now: decide; to keep it, write under columns ")[1]
    column = Column.model_validate(YAML(typ="safe", pure=True).load(kept)["hba1c"])
    assert column == guess_column("hba1c", series(hba1c)).column


def test_no_cell_of_a_dropped_column_is_shown() -> None:
    proposed = draft(table(email=[f"p{i}@mail.org" for i in range(ROWS)]), target=["sick"])
    assert "mail.org" not in render(proposed, "toy", {"kind": "file", "path": "t.csv"})


def test_the_same_data_give_the_same_draft() -> None:
    once, again = (render(draft(table(), target=["sick"]), "toy", {"kind": "file", "path": "t.csv"}) for _ in range(2))
    assert once == again


def test_dates_and_high_ages_are_treated_under_protect_so_that_the_draft_runs() -> None:
    days = [f"2020-01-{1 + i % 28:02d}" for i in range(ROWS)]
    proposed = draft(table(visit=days, age=numbers(60, 99)), target=["sick"])
    study = as_study(proposed)
    assert {name: treated.how for name, treated in study.protect.items()} == {"visit": "shift_dates", "age": "cap"}
    assert suspicions(table(visit=days, age=numbers(60, 99)), study) == []
    assert any(check.startswith("treated under protect") and "visit" in check for check in proposed.checks)


def png(height: int, width: int, tint: int) -> bytes:
    grey = np.random.default_rng(0).integers(0, 200, (height, width, 1), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.concatenate([grey, grey, grey + tint], axis=2)).save(file, "PNG")
    return file.getvalue()


def test_the_label_is_the_folder_of_fewest_names_and_the_patient_that_of_most() -> None:
    paths = [f"set/{site}/{label}/p{n}/{n}.JPG" for n in range(30) for site in "abc" for label in ("no", "yes")]
    pattern, others = pattern_of([*paths, "set/about.txt"], "ill", "patient")
    assert pattern == "set/{folder2}/{ill}/{patient}/{picture}.JPG"
    assert list(others) == ["folder2"] and "3 folders" in others["folder2"].drop
    assert pattern_of(paths, "picture", None)[0] == "set/{folder2}/{picture}/{folder4}/{name}.JPG"
    with pytest.raises(MedloopError, match="no level of folders"):
        pattern_of([f"all/{n}.png" for n in range(9)], "ill", None)
    with pytest.raises(MedloopError, match="no picture"):
        pattern_of(["a/b.zip"], "ill", None)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["a/1.png", "2.DCM", "x"], "image"),
        (["100.hea", "100.dat", "101.hea"], "sequence"),
        (["1.txt", "2.xml"], "text"),
        (["12.5", "7.png", "Dr. Smith"], None),
        ([], None),
    ],
)
def test_files_are_known_by_their_ending(files: list[str], kind: str | None) -> None:
    assert kind_of(files) == kind


def test_pictures_are_proposed_in_the_form_that_most_have() -> None:
    stored = {"a": png(240, 200, 0), "b": png(240, 200, 0), "c": png(70, 50, 40), "d": b"nothing"}
    guess = guess_files([f"{name}.png" for name in stored], lambda file: stored[file[0]])
    assert guess.column == Column(type="image", size=(224, 224), colour="grey", depth=8)
    assert guess.note == "of 3 looked at, 2 have 240 by 200 pixels, 1 are coloured"
    assert not guess_files(["d.png"], lambda file: stored[file[0]]).column
    tinted = guess_files(["c.png"], lambda file: stored[file[0]]).column
    assert tinted == Column(type="image", size=(64, 64), colour="rgb", depth=8)


def test_recordings_are_proposed_with_the_channels_that_all_have() -> None:
    stored = {"1.csv": b"x,y\n1,2\n3,4\n", "2.csv": b"y,x,z\n1,2,3\n"}
    guess = guess_files(list(stored), lambda file: stored[file])
    assert guess.column == Column(type="sequence", channels=("x", "y"))
    assert "no file tells its rate" in guess.note


def test_a_column_of_names_of_files_is_told_by_the_files_that_are_there() -> None:
    def opened(file: str) -> bytes:
        if file != "1.png":
            raise MedloopError("absent")
        return png(40, 40, 0)

    cells = {
        name: series(texts) for name, texts in {"scan": ["1.png", ""], "old": ["9.jpg"] * 2, "n": ["12", "7"]}.items()
    }
    found = guess_payloads(Raw(table=pd.DataFrame({"@row": [1, 2], **cells}), opened=opened))
    assert list(found) == ["scan", "old"]
    assert found["scan"].column == Column(type="image", size=(32, 32), colour="grey", depth=8)
    assert "folder" in found["old"].drop
    assert "left out until `folder`" in found["old"].matters[0]


def test_a_draft_of_payload_columns_is_a_study_again() -> None:
    known = {
        "scan": Guess(column=Column(type="image", size=(64, 32), colour="rgb", depth=16, monochrome1="invert")),
        "ecg": Guess(column=Column(type="sequence", rate=500, channels=("I", "a VR"))),
        "file": Guess(column=Column(type="text", files=True)),
    }
    names = {name: [f"{name}/{n}" for n in range(ROWS)] for name in known}
    study = as_study(draft(table(**names), target=["sick"], known=known))
    assert {name: study.columns[name] for name in known} == {name: guess.column for name, guess in known.items()}
    assert study.id == "record"


def test_a_time_and_an_event_make_a_label_of_survival() -> None:
    died, months = ["1", "0", "0", "unknown"] * (ROWS // 4), [str(month) for month in range(1, ROWS + 1)]
    proposed = draft(table(died=died, months=months), target=["months"], event="died")
    target, columns = proposed.target, proposed.columns
    assert (target.task, target.column, target.event, target.positive) == ("survival", "months", "died", "1")
    assert target.horizon == 140  # 36 of the 50 with the event, who were followed 1, 5, … 197 months
    assert columns["months"].type == "numeric"
    assert columns["died"].missing == ("unknown",)
    text = render(proposed, "toy", {"kind": "file", "path": "t.csv"})
    read = YAML(typ="safe", pure=True).load(text)
    assert set(read["models"]) == {"mlp", "cox", "boosting"}
    assert Target.model_validate(read["target"]) == target
    with pytest.raises(MedloopError, match="one column of numbers; got site"):
        draft(table(died=died), target=["site"], event="died")


def test_several_columns_of_yes_and_no_are_asked_together() -> None:
    stroke = ["No", "No", "No", "Yes", "Refused"] * (ROWS // 5)
    proposed = draft(table(stroke=stroke), target=["sick", "stroke"])
    study = as_study(proposed)
    assert study.target == proposed.target
    assert (study.target.columns, study.target.classes, study.target.positive) == (
        ("sick", "stroke"),
        ("No", "Yes"),
        "Yes",
    )
    assert study.columns["stroke"].missing == ("Refused",)
    with pytest.raises(
        MedloopError, match="the same two classes, each some rows of both; sick, site spell them in 4 ways"
    ):
        draft(table(), target=["sick", "site"])


def test_what_makes_no_label_together_is_told_by_what_is_wrong_with_it() -> None:
    with pytest.raises(MedloopError, match="has no comma"):
        draft(table(**{"stroke, old": ["No", "Yes"] * (ROWS // 2)}), target=["sick", "stroke, old"])
    with pytest.raises(MedloopError, match="each once"):
        draft(table(), target=["sick", "sick"])
    with pytest.raises(MedloopError, match="each some rows of both; never has 1"):
        draft(table(never=["No"] * ROWS), target=["sick", "never"])
    with pytest.raises(MedloopError, match="sick, ill spell them in 4 ways"):
        draft(table(ill=["1", "0"] * (ROWS // 2)), target=["sick", "ill"])
    with pytest.raises(MedloopError, match="got sick for both"):
        draft(table(), target=["sick"], group="sick")
    with pytest.raises(MedloopError, match="got age for both"):
        draft(table(), target=["age"], event="age")


def test_a_time_to_an_event_is_a_number_however_few_there_are() -> None:
    proposed = draft(table(years=["1", "2", "3", "unknown"] * (ROWS // 4)), target=["years"], event="sick")
    assert proposed.columns["years"] == Column(type="numeric", missing=("unknown",))
    assert proposed.target.horizon == 1


def test_codes_are_no_times_of_events() -> None:
    months = ["-99", "10.5", "20.5", "30.5"] * (ROWS // 4)
    for row in range(0, ROWS, 8):
        months[row] = str(10 + row / 100)
    horizon = draft(table(months=months), target=["months"], event="sick").target.horizon
    assert horizon is not None
    assert horizon > 10


def test_a_date_is_told_to_be_no_time_to_an_event_and_not_shown() -> None:
    days = [f"2020-01-{day % 28 + 1:02d}" for day in range(ROWS)]
    with pytest.raises(MedloopError, match=r"one column of numbers; got seen, whose cells are like '9999-99-99'"):
        draft(table(seen=days), target=["seen"], event="sick")


def test_a_file_that_gives_no_name_is_told_how_to_name_the_study(tmp_path: Path) -> None:
    with pytest.raises(MedloopError, match="no name for the study can be made") as fault:
        draft_file(tmp_path, "生存.csv", {}, target=["x"], event=None, group=None, time=None, name=None)
    assert "--name" in fault.value.mend


def test_a_draft_keeps_which_labels_were_taken_and_of_a_folder_those_that_every_file_has(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    shutil.copyfile(Path(__file__).parents[2] / "params.yaml", tmp_path / "params.yaml")
    (tmp_path / "wards").mkdir()
    labels = {"pain": {0: "none", 10: "worst"}, "ill": {0: "no", 1: "yes"}}
    for file, pain in (("a", [0.0, 10.0]), ("b", [0.0, 7.0])):
        frame = pd.DataFrame({"pain": pain * 30, "age": range(60), "ill": [0.0, 0.0, 1.0, 1.0] * 15})
        pyreadstat.write_sav(frame, tmp_path / "wards" / f"{file}.sav", variable_value_labels=labels)
    roles = {"target": ["ill"], "event": None, "group": None, "time": None, "name": None}
    path, _ = draft_file(tmp_path, str(tmp_path / "wards"), {}, **roles)  # type: ignore[arg-type]
    declared = YAML(typ="safe").load(path)
    assert declared["source"]["labels"] == ["ill"]
    assert declared["target"]["classes"] == ["no", "yes"]
    assert declared["columns"]["pain"].get("levels", [0, 7, 10]) == [0, 7, 10]


def drafted(**columns: list[str]) -> Draft:
    ill = np.where(np.random.default_rng(5).random(ROWS) < 0.4, "1", "0")
    table = pd.DataFrame({"@row": range(2, ROWS + 2), "ill": ill, "age": numbers(20, 90), **columns})
    return draft(table.astype({name: "str" for name in table.columns if name != "@row"}), target=["ill"])


def test_numbers_with_their_unit_in_the_cell_are_no_categories() -> None:
    values = np.random.default_rng(3).normal(5.6, 1.2, ROWS)
    one = [f"{value:.1f} mmol/L" for value in values]
    two = [f"{value:.1f} mmol/L" if i % 3 else f"{value * 18:.0f}mg/dl" for i, value in enumerate(values)]
    dose = [["20 mg", "40 mg"][i % 2] for i in range(ROWS)]
    found = drafted(glucose=one, sugar=two, dose=dose)
    assert set(found.drop) == {"glucose", "sugar"}
    assert "numbers with their unit" in found.drop["glucose"]
    assert found.columns["dose"].levels == ("20 mg", "40 mg")


def test_dates_of_several_forms_are_no_free_text() -> None:
    days = pd.date_range("2019-01-03", periods=ROWS)
    found = drafted(seen=[day.strftime(("%Y-%m-%d", "%d/%m/%Y", "%m-%d-%y")[i % 3]) for i, day in enumerate(days)])
    assert "dates of several forms" in found.drop["seen"]


def test_levels_that_differ_in_case_alone_are_told() -> None:
    sexes = [("M", "m", "F", "f")[i % 4] for i in range(ROWS)]
    told = [
        check for check in drafted(sex=sexes, ward=[("a", "b")[i % 2] for i in range(ROWS)]).checks if "folded" in check
    ]
    assert told[0].endswith(": sex")
    assert len(told) == 1


def test_a_title_above_the_header_is_told_by_the_line_that_names_the_column() -> None:
    table = pd.DataFrame({"@row": [2, 3], "A trial": ["ill", "1"], "unnamed 2": ["age", "61"]})
    with pytest.raises(MedloopError, match="line 2 names it"):
        draft(table, target=["ill"])
