"""Faults planted in data and settings, through the real command: an error that says where and how to mend it."""

import io
import json
import pickle
from collections.abc import Callable

import pandas as pd
import pytest

from flows.store import read_table
from tests.func.conftest import Outcome
from tests.workspace import Workspace, patients


def lines() -> list[str]:
    return patients().to_csv(index=False).splitlines()


def as_bytes(rows: list[str]) -> bytes:
    return ("\n".join(rows) + "\n").encode()


def edited(change: Callable[[pd.DataFrame], object]) -> bytes:
    table = patients()
    change(table)
    return table.to_csv(index=False).encode()


def with_line(number: int, text: str) -> bytes:
    rows = lines()
    rows[number - 1] = text
    return as_bytes(rows)


def put(column: str, row: int, value: str) -> bytes:
    def change(table: pd.DataFrame) -> None:
        table.loc[row, column] = value

    return edited(change)


# FAULTS: what is planted in the table, and words that the error must hold.
FAULTS: dict[str, tuple[bytes, list[str]]] = {
    "4 a short row": (with_line(7, "00006,patient-0002,50"), ["lines (and their cells) 7 (", "ragged"]),
    "4 a long row": (
        with_line(7, "00006,patient-0002,50,90,f,never,no,extra"),
        ["lines (and their cells) 7 (", "ragged"],
    ),
    "5 an unclosed quote": (with_line(9, '00008,"patient-0003,50,90,f,never,no'), ["9", "quote"]),
    "6 a NUL byte": (with_line(5, "00004,patient-\x000001,50,90,f,never,no"), ["NUL"]),
    "7 a header twice": (with_line(1, "record,patient,age,age,sex,smoker,ill"), ["age"]),
    "8 an empty file": (b"", ["empty"]),
    "8 a header alone": (as_bytes(lines()[:1]), ["rows below its header"]),
    "9 a decimal comma": (
        edited(lambda t: t.__setitem__("glucose", t["glucose"].str.replace(".", ","))),
        ["glucose", "decimal"],
    ),
    "11 an id on rows that differ": (put("record", 4, "00001"), ["2", "6"]),
    "15 an infinite value": (put("glucose", 3, "inf"), ["glucose", "5"]),
    "15 a number beyond reason": (put("glucose", 3, "1e308"), ["glucose", "5"]),
    "18 text in a numeric column": (put("glucose", 10, "Mueller"), ["glucose", "12"]),
    "25 one class": (edited(lambda t: t.__setitem__("ill", "no")), ["class"]),
    "46 a pickle": (pickle.dumps({"a": 1}), ["patients.csv", "pickle"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_data_is_told_and_changes_nothing(
    fault: str, workspace: Workspace, medloop: Callable[..., Outcome]
) -> None:
    data, words = FAULTS[fault]
    (workspace.root / "patients.csv").write_bytes(data)
    outcome = medloop(workspace, "run", "tiny")
    assert outcome.code == 1
    assert "mend" in outcome.text
    for word in words:
        assert word in outcome.text, outcome.text
    assert "Mueller" not in outcome.text
    assert not workspace.data("train").exists()


def test_12_10_14_16_17_24_are_handled_and_counted(workspace: Workspace, medloop: Callable[..., Outcome]) -> None:
    """Copies, codes, empty and constant columns, missing labels: counted in the ledger, ids untouched."""
    table = patients()
    table.loc[3, "glucose"], table.loc[4, "glucose"], table.loc[5, "ill"] = "-999", "?", ""
    table["blank"], table["same"] = "", "1"
    workspace.write_data(pd.concat([table, table.iloc[[0]]]))

    def declare(study: dict) -> None:
        study["columns"]["glucose"]["missing"] = [-999]
        study["columns"] |= {"blank": {"type": "numeric"}, "same": {"type": "categorical"}}
        study["columns"]["record"] = {"type": "text"}

    workspace.write_study(declare)
    for stage in ("ingest", "validate", "clean"):
        assert medloop(workspace, "stage", stage, "tiny").code == 0
    ledger = json.loads(workspace.data("clean", "ledger.json").read_text())
    told = json.dumps(ledger)
    assert {"exact copy of a row", "without a label"} <= {change["rule"] for change in ledger}
    assert "blank" in told
    assert "same" in told
    samples = pd.read_parquet(workspace.data("clean", "samples.parquet"))
    assert samples["@id"].tolist() == patients()["record"].drop(5).tolist()
    assert samples.loc[samples["@id"].isin(["00004", "00005"]), "glucose"].isna().all()
    assert not {"blank", "same"} & set(samples.columns)


def test_14_suspected_missing_codes_are_reported(workspace: Workspace, medloop: Callable[..., Outcome]) -> None:
    table = patients()
    table.loc[:20, "glucose"] = "-999"
    workspace.write_data(table)
    assert medloop(workspace, "stage", "ingest", "tiny").code == 0
    assert medloop(workspace, "stage", "validate", "tiny").code == 0
    told = workspace.data("validate", "verdict.json").read_text()
    assert "-999" in told
    assert "missing" in told


def test_13_a_column_in_two_units_is_reported_without_a_value(
    workspace: Workspace, medloop: Callable[..., Outcome]
) -> None:
    table = patients()
    numbers = pd.to_numeric(table["glucose"])
    theirs = numbers.notna() & (table.index < 40)
    table.loc[theirs, "glucose"] = (numbers[theirs] / 18.016).round(2).astype(str)
    workspace.write_data(table)
    workspace.write_study(lambda s: s["columns"]["glucose"].pop("range"))
    assert medloop(workspace, "stage", "ingest", "tiny").code == 0
    told = medloop(workspace, "stage", "validate", "tiny")
    assert told.code == 0
    assert "warn" in told.text
    (finding,) = json.loads(workspace.data("validate", "verdict.json").read_text())["findings"]
    assert (finding["kind"], finding["column"], finding["rows"]) == ("two_units", "glucose", theirs.sum())
    assert "mmol/L beside mg/dL (glucose, × 18.016)" in finding["text"]
    page = workspace.data("validate", "docs.html").read_text()
    assert "perhaps in two units" in page
    assert not [value for value in table.loc[theirs, "glucose"] if value in page + finding["text"]]
    drafted = medloop(workspace, "init", "patients.csv", "--target", "ill", "--name", "drafted")
    assert "two units" in drafted.text
    assert "mmol/L" in (workspace.root / "studies" / "drafted.yaml").read_text()


def test_23_identifying_columns_are_blocked_until_the_study_decides(
    workspace: Workspace, medloop: Callable[..., Outcome]
) -> None:
    """Two of them disguised; once decided, no later table and nothing that is told holds a raw value."""
    table = patients()
    person = table["patient"].str.replace(r"\D", "", regex=True)
    digit = person.str[-1].map(dict(zip("0123456789", "abcdefghij", strict=True)))
    table["col1"] = (
        "Xqz"
        + digit
        + person.str[-2].map(lambda d: "klmnopqrst"[int(d)])
        + " Mueller"
        + table["record"].map(lambda r: "".join("abcdefghij"[int(d)] for d in r if d.isdigit()))
    )
    table["phone"] = "(555) 234-" + person
    table["col17"] = "p" + person + "@mail.org"
    table["visit"] = "2020-03-" + (1 + table.index % 28).astype(str).str.zfill(2)
    workspace.write_data(table)
    new = {name: {"type": "categorical"} for name in ("col1", "phone", "col17")} | {"visit": {"type": "datetime"}}
    workspace.write_study(lambda s: s["columns"].update(new))
    blocked = medloop(workspace, "stage", "ingest", "tiny")
    assert blocked.code == 1
    told = " ".join(blocked.printed.replace("│", " ").split())
    for words in (
        "4 columns may identify people",
        "col1: a person's name, by content (360 of 360 filled cells)",
        "phone: a telephone number, by name and content",
        "col17: an e-mail address, by content",
        "visit: a date finer than a year",
        "protect: {col1: drop, phone: drop, col17: drop, visit: {shift_dates: 182}}",
    ):
        assert words in told, told
    raw = [value for name in ("col1", "phone", "col17", "patient") for value in table[name][:20]]
    assert not [value for value in raw if value in blocked.printed]
    assert not workspace.data("ingest", "table.parquet").exists()

    decided = {"col1": "drop", "phone": "drop", "col17": "hash", "patient": "hash", "visit": {"shift_dates": 30}}
    workspace.write_study(lambda s: (s["columns"].update(new), s["protect"].update(decided)))
    assert medloop(workspace, "stage", "ingest", "tiny").code == 0
    ingested = pd.read_parquet(workspace.data("ingest", "table.parquet"))
    assert not {"col1", "phone"} & set(ingested)
    assert not ingested["patient"].isin(table["patient"]).any()
    assert ingested["patient"].nunique() == table["patient"].nunique()
    moved = (pd.to_datetime(ingested["visit"]) - pd.to_datetime(table["visit"])).dt.days
    assert moved.abs().between(1, 30).all()
    assert (moved.groupby(table["patient"]).agg(lambda days: len(set(days))) == 1).all()
    told = workspace.data("ingest", "provenance.json").read_text()
    assert {n: (t["how"], t["cells"]) for n, t in json.loads(told)["protected"].items() if n != "age"} == {
        name: (next(iter(how)) if isinstance(how, dict) else how, 360) for name, how in decided.items()
    }
    assert not [value for value in raw if value in told + ingested.to_csv()]
    before = workspace.data("ingest", "table.parquet").read_bytes()
    assert medloop(workspace, "stage", "ingest", "tiny").code == 0
    assert workspace.data("ingest", "table.parquet").read_bytes() == before


def test_21_a_file_larger_than_a_block_is_read_and_checked_in_blocks(
    workspace: Workspace, medloop: Callable[..., Outcome]
) -> None:
    workspace.write_data(patients(32_000))
    kept = ("provenance.json", "quarantine.parquet", "declaration.json")
    found = {}
    for block in (64, 1):
        workspace.write_study(lambda s, block=block: s.update(ingest={"block": block}))
        for stage in ("ingest", "validate"):
            outcome = medloop(workspace, "stage", stage, "tiny")
            assert outcome.code == 0, outcome.text
        files = [workspace.data("ingest", name) for name in kept] + sorted(workspace.data("validate").iterdir())
        found[block] = {path.name: path.read_bytes() for path in files}
    assert found[1] == found[64]
    table = workspace.data("ingest", "table.parquet")
    blocks = {path.name: path.read_bytes() for path in table.iterdir()}
    assert len(blocks) > 1
    assert len(read_table(table)) == 32_000

    with (workspace.root / "patients.csv").open("a") as file:
        file.write("32001,one cell too few\n")
    outcome = medloop(workspace, "stage", "ingest", "tiny")
    assert (outcome.code, "32002 (2)" in outcome.text) == (1, True), outcome.text
    assert {path.name: path.read_bytes() for path in table.iterdir()} == blocks
    assert not list(workspace.data("ingest").glob(".*"))


def test_26_a_rare_class_is_resampled_with_fewer_neighbours(
    workspace: Workspace, medloop: Callable[..., Outcome]
) -> None:
    table = patients()
    ill = table.index[table["ill"] == "yes"]
    table.loc[ill[5:], "ill"] = "no"
    workspace.write_data(table)
    workspace.write_study(lambda s: s.update(balance={"method": "smote"}))
    for stage in ("ingest", "validate", "clean", "split", "impute", "normalize", "balance"):
        outcome = medloop(workspace, "stage", stage, "tiny")
        assert outcome.code == 0, outcome.text
    assert json.loads(workspace.data("balance", "report.json").read_text())["notes"]


def test_9_a_wrong_separator_is_told_with_the_right_one(workspace: Workspace, medloop: Callable[..., Outcome]) -> None:
    workspace.write_study(lambda s: s["source"].update(separator=";"))
    outcome = medloop(workspace, "run", "tiny")
    assert outcome.code == 1
    assert 'separator: ","' in outcome.text


SETTINGS: dict[str, tuple[Callable[[dict], object], list[str]]] = {
    "a misspelt section": (lambda s: s.update(normalise={}), ["normalise", "did you mean normalize", "tiny.yaml"]),
    "a section left out": (lambda s: s.pop("impute"), ["impute", "{}"]),
    "a misspelt key": (lambda s: s.update(normalize={"numerc": "robust"}), ["numerc", "did you mean numeric"]),
    "a misspelt training key": (lambda s: s.update(train={"epoch": 3}), ["epoch", "did you mean epochs"]),
    "a misspelt model key": (lambda s: s.update(models={"mlp": {"drop": 0.1}}), ["drop", "models.mlp"]),
    "an unknown model": (lambda s: s.update(models={"mpl": {}}), ["mpl", "did you mean mlp"]),
    "47 a command in a model's name": (lambda s: s.update(models={"mlp; touch HACKED": {}}), ["model name"]),
    "47 a path in a model's name": (lambda s: s.update(models={"../mlp": {}}), ["model name"]),
    "47 a path in a wheel's member": (
        lambda s: s.update(
            source={"kind": "wheel", "name": "x", "version": "1.0", "sha256": "0" * 64, "member": "../../etc/passwd"}
        ),
        ["member"],
    ),
    "a column that is not there": (lambda s: s["columns"].update(weight={"type": "numeric"}), ["weight"]),
    "a column that is not declared": (lambda s: s["columns"].pop("age"), ["age", "declare"]),
}


@pytest.mark.parametrize("fault", SETTINGS)
def test_a_fault_in_the_settings_is_told(fault: str, workspace: Workspace, medloop: Callable[..., Outcome]) -> None:
    change, words = SETTINGS[fault]
    workspace.write_study(change)
    outcome = medloop(workspace, "run", "tiny")
    assert outcome.code == 1
    for word in words:
        assert word in outcome.text, outcome.text
    assert not (workspace.root / "HACKED").exists()
    assert not workspace.data("train").exists()


@pytest.mark.parametrize("name", ["../tiny", "/etc/passwd", "tiny; touch HACKED", "$(touch HACKED)", "Tiny"])
def test_47_hostile_names_are_refused(name: str, workspace: Workspace, medloop: Callable[..., Outcome]) -> None:
    for arguments in (["run", name], ["stage", "ingest", name], ["stage", name, "tiny"], ["status", name]):
        assert medloop(workspace, *arguments).code == 1
    assert not (workspace.root / "HACKED").exists()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("train: !!python/object/apply:os.system ['touch HACKED']\n", "tag"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "alias"),
        ("train: [unclosed\n", "YAML"),
    ],
)
def test_46_hostile_yaml_is_refused(
    text: str, word: str, workspace: Workspace, medloop: Callable[..., Outcome]
) -> None:
    (workspace.root / "studies" / "tiny.yaml").write_text(text)
    outcome = medloop(workspace, "run", "tiny")
    assert outcome.code == 1
    assert word in outcome.text
    assert not (workspace.root / "HACKED").exists()


def test_46_a_pickled_column_in_parquet_is_refused(workspace: Workspace, medloop: Callable[..., Outcome]) -> None:
    table = patients().assign(smoker=[pickle.dumps(i) for i in range(360)])
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    (workspace.root / "patients.csv").write_bytes(buffer.getvalue())
    outcome = medloop(workspace, "run", "tiny")
    assert outcome.code == 1
    assert "smoker" in outcome.text


def test_a_wrong_value_given_with_set_leaves_the_study_as_it_was(
    workspace: Workspace, medloop: Callable[..., Outcome]
) -> None:
    before = (workspace.root / "studies" / "tiny.yaml").read_bytes()
    outcome = medloop(workspace, "run", "tiny", "-S", "split.test=2")
    assert outcome.code == 1
    assert "split" in outcome.text
    assert (workspace.root / "studies" / "tiny.yaml").read_bytes() == before
