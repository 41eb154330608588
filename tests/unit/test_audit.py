import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from contracts.study import Column
from contracts.tables import Schema, of_part, rows_seen
from pipelines.audit import AuditParams, Certificate, certify

SCHEMA = Schema(
    features={name: Column(type="numeric") for name in ("age", "glucose", "weight", "height", "pulse")},
    classes=("no", "yes"),
    positive="yes",
)


@pytest.fixture
def run() -> dict[str, Any]:
    """The inputs of an audit of an honest run, for tests to spoil."""
    rng = np.random.default_rng(0)
    ids = [f"s{i:03d}" for i in range(200)]
    samples = pd.DataFrame({"@id": ids, "@group": [f"p{i // 2}" for i in range(200)], "@target": rng.choice(2, 200)})
    for name in SCHEMA.features:
        samples[name] = rng.normal(size=200)
    split = pd.DataFrame({"@id": ids, "@part": ["train"] * 120 + ["validation"] * 40 + ["test"] * 40})
    seen = rows_seen(samples["@id"].iloc[:120])
    balanced = samples.iloc[:120].assign(**{"@origin": ids[:120]})
    made = balanced.iloc[:5].assign(**{"@id": [f"synthetic-{i}" for i in range(5)]})
    return {
        "samples": samples,
        "split": split,
        "by_time": False,
        "fits": {"imputation": seen, "normalization": seen},
        "stored": means(samples.iloc[:120]),
        "refit": lambda samples: means(of_part(samples, split, "train")),
        "balanced": pd.concat([balanced, made], ignore_index=True),
        "schema": SCHEMA,
        "params": AuditParams(),
    }


def means(rows: pd.DataFrame) -> dict[str, str]:
    return {"imputation": rows[list(SCHEMA.features)].mean().to_json()}


def verdicts(certificate: Certificate) -> dict[str, str]:
    return {check.name: check.verdict for check in certificate.checks if check.verdict != "clean"}


def test_an_honest_run_is_clean(run: dict[str, Any]) -> None:
    certificate = certify(**run)
    assert certificate.verdict == "clean"
    assert certificate.parts["test"] == rows_seen(run["samples"]["@id"].iloc[160:])


def test_a_patient_in_two_parts_is_a_leak(run: dict[str, Any]) -> None:
    run["samples"].loc[[0, 199], "@group"] = "same"
    certificate = certify(**run)
    assert verdicts(certificate) == {"patients": "leak"}
    assert certificate.sentence == "patients in more than one part or fold: 1"


@pytest.mark.parametrize("spoil", ["twice", "nowhere"])
def test_a_sample_placed_twice_or_nowhere_is_a_leak(run: dict[str, Any], spoil: str) -> None:
    again = pd.DataFrame({"@id": ["s199"], "@part": ["validation"]})
    run["split"] = pd.concat([run["split"], again], ignore_index=True) if spoil == "twice" else run["split"].iloc[:-1]
    assert verdicts(certify(**run)) == {"patients": "leak"}


@pytest.mark.parametrize("fit", ["imputation", "normalization", "calibration"])
def test_a_fit_that_saw_other_rows_is_a_leak(run: dict[str, Any], fit: str) -> None:
    run["fits"][fit] = rows_seen(run["samples"]["@id"].iloc[1:121])
    assert verdicts(certify(**run)) == {fit: "leak"}


@pytest.mark.parametrize("column", ["@id", "@origin"])
def test_training_on_a_test_row_or_its_offspring_is_a_leak(run: dict[str, Any], column: str) -> None:
    run["balanced"].loc[124, column] = "s199"
    certificate = certify(**run)
    assert verdicts(certificate) == {"balance": "leak"}


def test_a_copy_under_another_id_is_a_leak(run: dict[str, Any]) -> None:
    samples, features = run["samples"], list(SCHEMA.features)
    samples.loc[199, features] = samples.loc[0, features]
    certificate = certify(**run)
    assert verdicts(certificate) == {"duplicates": "leak"}
    assert "rows 1, 200" in certificate.sentence


def test_coarse_rows_that_coincide_are_counted_but_no_leak(run: dict[str, Any]) -> None:
    for name in SCHEMA.features:
        run["samples"][name] = (run["samples"][name] > 0).astype(float)
    run["stored"] = means(run["samples"].iloc[:120])
    duplicates = next(check for check in certify(**run).checks if check.name == "duplicates")
    assert duplicates.verdict == "clean"
    assert duplicates.evidence["rows"] > 100


def test_a_patient_in_two_folds_is_a_leak(run: dict[str, Any]) -> None:
    fold = pd.Series(np.arange(200) // 2 % 5, dtype="Int64").where(run["split"]["@part"] != "test")
    run["split"]["@fold"] = fold
    assert certify(**run).checks[0].sentence.endswith("in one part and one fold only")
    run["split"].loc[0, "@fold"] = 3
    assert verdicts(certify(**run)) == {"patients": "leak"}


@pytest.mark.parametrize("spoil", ["rounded", "two cells"])
def test_a_near_copy_under_another_id_is_suspect_until_a_person_accepts_it(run: dict[str, Any], spoil: str) -> None:
    samples, features = run["samples"], [f"f{i}" for i in range(8)]
    samples[features] = np.random.default_rng(1).normal(100, 20, (200, 8)).round(3)
    run["schema"] = SCHEMA.model_copy(update={"features": dict.fromkeys(features, Column(type="numeric"))})
    run["stored"], run["refit"] = {}, lambda samples: {}
    assert certify(**run).verdict == "clean"
    copied = samples.loc[0, features].astype(float)
    samples.loc[199, features] = copied.round(2) if spoil == "rounded" else [1.0, 2.0, *copied[2:]]
    certificate = certify(**run)
    assert verdicts(certificate) == {"near duplicates": "suspect"}
    assert "rows 1, 200" in certificate.sentence
    run["params"] = AuditParams(accept={"near duplicates": "twins"})
    assert certify(**run).verdict == "clean"


@pytest.mark.parametrize(("by_time", "verdict"), [(True, "leak"), (False, "clean")])
def test_training_rows_later_than_the_test(run: dict[str, Any], by_time: bool, verdict: str) -> None:
    assert "time order" not in {check.name for check in certify(**run).checks}
    run["samples"]["@time"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(200), unit="D")
    run["by_time"] = by_time
    assert certify(**run).verdict == "clean"
    run["samples"].loc[3, "@time"] = pd.Timestamp("2030-01-01")
    check = next(check for check in certify(**run).checks if check.name == "time order")
    assert check.verdict == verdict
    assert check.evidence["later_than_the_first_test_row"] == 1
    assert check.sentence.startswith("1 of 120" if by_time else "the split is not by time: 1 of 120")


def test_rows_of_a_test_patient_before_the_last_training_row_are_told_and_no_leak(run: dict[str, Any]) -> None:
    run["samples"]["@time"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(200), unit="D")
    run["samples"].loc[160, "@time"] = pd.Timestamp("2020-01-01")
    run["by_time"] = True
    check = next(check for check in certify(**run).checks if check.name == "time order")
    assert check.verdict == "clean"
    assert "119 of 120" in check.sentence


def test_a_fit_that_notices_changed_test_rows_is_a_leak(run: dict[str, Any]) -> None:
    run["stored"], run["refit"] = means(run["samples"]), means
    assert verdicts(certify(**run)) == {"canary": "leak"}


def test_a_fit_that_cannot_be_had_again_is_suspect(run: dict[str, Any]) -> None:
    run["stored"] = {"imputation": "of another machine"}
    assert verdicts(certify(**run)) == {"canary": "suspect"}
    run["params"] = AuditParams(accept={"canary": "fitted on the old server"})
    assert certify(**run).verdict == "clean"


def test_a_column_that_tells_by_its_gaps_is_suspect_under_its_own_name(run: dict[str, Any]) -> None:
    run["samples"]["glucose"] = run["samples"]["glucose"].where(run["samples"]["@target"] == 1)
    run["stored"] = means(run["samples"].iloc[:120])
    certificate = certify(**run)
    assert verdicts(certificate) == {"missingness": "suspect"}
    assert "glucose" in certificate.sentence
    run["params"] = AuditParams(accept={"glucose": "only asked of the ill, at admission"})
    assert certify(**run).verdict == "clean"


def test_a_suspect_column_warns_until_a_person_accepts_it(run: dict[str, Any]) -> None:
    run["samples"]["glucose"] += 100 * run["samples"]["@target"]
    run["stored"] = means(run["samples"].iloc[:120])
    assert certify(**run).verdict == "suspect"
    assert "glucose" in certify(**run).sentence
    assert certify(**{**run, "params": AuditParams(on_suspect="fail")}).verdict == "leak"
    accepted = certify(**{**run, "params": AuditParams(accept={"glucose": "measured at admission"})})
    assert accepted.verdict == "clean"
    assert "measured at admission" in accepted.model_dump_json()


def test_only_training_rows_are_searched_for_suspects(run: dict[str, Any]) -> None:
    away = run["samples"].index >= 120
    run["samples"].loc[away, "glucose"] += 100 * run["samples"].loc[away, "@target"]
    assert certify(**run).verdict == "clean"


def test_accepting_needs_a_reason() -> None:
    with pytest.raises(ValidationError):
        AuditParams(accept={"glucose": ""})


def test_the_seal_notices_a_change_and_survives_a_file(run: dict[str, Any]) -> None:
    run["samples"]["glucose"] += 100 * run["samples"]["@target"]
    run["stored"] = means(run["samples"].iloc[:120])
    certificate = certify(**run)
    text = json.dumps(certificate.model_dump(mode="json"))
    assert Certificate.model_validate_json(text).intact
    assert not Certificate.model_validate_json(text.replace('"suspect"', '"clean"')).intact
    assert certify(**run) == certificate


def test_no_id_and_no_value_is_in_it(run: dict[str, Any]) -> None:
    run["samples"].loc[[0, 199], "@group"] = "same-person"
    run["balanced"].loc[124, "@origin"] = "s199"
    text = certify(**run).model_dump_json()
    assert "same-person" not in text
    assert "s199" not in text
