import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from contracts.study import Column
from contracts.tables import Schema, rows_seen
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
    seen = rows_seen(ids[:120])
    balanced = samples.iloc[:120].assign(**{"@origin": ids[:120]})
    made = balanced.iloc[:5].assign(**{"@id": [f"synthetic-{i}" for i in range(5)]})
    return {
        "samples": samples,
        "split": split,
        "imputer_seen": seen,
        "normalizer_seen": seen,
        "balanced": pd.concat([balanced, made], ignore_index=True),
        "schema": SCHEMA,
        "params": AuditParams(),
    }


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
    assert certificate.sentence == "patients in more than one part: 1"


@pytest.mark.parametrize("spoil", ["twice", "nowhere"])
def test_a_sample_placed_twice_or_nowhere_is_a_leak(run: dict[str, Any], spoil: str) -> None:
    again = pd.DataFrame({"@id": ["s199"], "@part": ["validation"]})
    run["split"] = pd.concat([run["split"], again], ignore_index=True) if spoil == "twice" else run["split"].iloc[:-1]
    assert verdicts(certify(**run)) == {"patients": "leak"}


@pytest.mark.parametrize("fit", ["imputer_seen", "normalizer_seen"])
def test_a_fit_that_saw_other_rows_is_a_leak(run: dict[str, Any], fit: str) -> None:
    run[fit] = rows_seen(run["samples"]["@id"].iloc[1:121])
    assert certify(**run).verdict == "leak"


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
    duplicates = next(check for check in certify(**run).checks if check.name == "duplicates")
    assert duplicates.verdict == "clean"
    assert duplicates.evidence["rows"] > 100


def test_a_suspect_column_warns_until_a_person_accepts_it(run: dict[str, Any]) -> None:
    run["samples"]["glucose"] += 100 * run["samples"]["@target"]
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
