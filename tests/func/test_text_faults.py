"""Faults planted in texts, through the real command: none of their content is shown."""

from pathlib import Path

import pandas as pd

from tests.planted import Medloop, Planted, ran, report, stopped
from tests.workspace import Workspace


def test_empty_and_equal_texts_are_missing_and_one_patients(workspace: Workspace, medloop: Medloop) -> None:
    planted = Planted(workspace, "text")
    planted.write({"empty.txt": b"", "same.txt": report(20), "also.txt": b"  " + report(20).upper() + b"\n"})
    planted.declare()
    ran(workspace, medloop, "ingest", "validate", "clean")
    samples = planted.read("clean", "samples.parquet")
    assert pd.isna(samples.loc[0, "note"])
    assert samples.loc[1, "@group"] == samples.loc[2, "@group"] != samples.loc[3, "@group"]


def test_a_text_where_a_file_is_expected_is_not_shown(workspace: Workspace, medloop: Medloop) -> None:
    planted = Planted(workspace, "text")
    planted.write({})
    planted.write_table(["Jane Doe came with pain in the left knee since Monday"] * 12)
    planted.declare()
    assert "Jane" not in stopped(workspace, medloop, "column note", "hold text", "{type: text}")


def test_23_identifiers_in_texts_are_blocked_until_redacted(workspace: Workspace, medloop: Medloop) -> None:
    planted = Planted(workspace, "text")
    planted.write({"a.txt": b"Clear lungs. Questions: call (555) 234-5678 or write to jane.doe@mail.org, thank you."})
    planted.declare()
    told = stopped(workspace, medloop, "e-mail (1)", "telephone number (1)", "protect: {note: redact}")
    assert "234-5678" not in told and "jane.doe" not in told
    planted.declare(lambda study: study["protect"].update(note="redact"))
    ran(workspace, medloop, "ingest")
    note = planted.read("ingest", "table.parquet")["note"][0]
    assert note == "Clear lungs. Questions: call [telephone number] or write to [e-mail], thank you."
    kept = b"".join(planted.outputs().values())
    assert b"234-5678" not in kept and b"jane.doe" not in kept


def test_20_a_formula_is_kept_on_reading_and_escaped_on_export(
    finished: Workspace, tmp_path: Path, workspace: Workspace, medloop: Medloop
) -> None:
    planted, formula = Planted(workspace, "text"), '=HYPERLINK("http://evil.example") in the right lung'
    planted.write({"a.txt": formula.encode()})
    planted.declare(lambda study: study["protect"].update(note={"keep": "made up"}))
    ran(workspace, medloop, "ingest", "validate", "clean")
    assert planted.read("clean", "samples.parquet")["note"][0] == formula
    rows = pd.read_csv(finished.root / "patients.csv", dtype="str", keep_default_na=False).head(2)
    rows.loc[0, "record"] = "=cmd|' /C calc'!A0"
    rows.to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "scores.csv"
    assert medloop(finished, "predict", finished.key, str(tmp_path / "new.csv"), "--out", str(out)).code == 0
    assert pd.read_csv(out, dtype="str")["id"].tolist() == ["'=cmd|' /C calc'!A0", rows.loc[1, "record"]]
