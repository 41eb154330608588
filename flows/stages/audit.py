"""samples, payloads, split, imputer, normalizer, balanced train → certificate.json, clearance.json"""

import json
from typing import TYPE_CHECKING

from contracts.errors import MedloopError
from contracts.tables import Schema, of_part
from flows.home import failures
from flows.stages import Context
from flows.store import read_json, read_model, read_payloads, read_table, write_json
from pipelines.audit import certify
from pipelines.horizon_check import horizon_check
from pipelines.impute import Imputer, apply_impute, fit_impute
from pipelines.normalize import fit_normalize
from pipelines.normalizer import Normalizer

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from pipelines.audit import Check
    from pipelines.canary import Refit


def run(context: Context) -> str:
    """Signs the leak certificate. Raises MedloopError on a leak, saying where the certificate lies."""
    cleaned, placed = context.folder("clean"), context.folder("split")
    schema = read_model(cleaned / "schema.json", Schema)
    split = read_table(placed / "split.parquet")
    imputer = read_model(context.folder("impute") / "imputer.json", Imputer)
    normalizer = read_model(context.folder("normalize") / "normalizer.json", Normalizer)
    certificate = certify(
        samples=read_table(cleaned / "samples.parquet"),
        split=split,
        by_time=read_json(placed / "split.json")["method"] == "time",
        fits={"imputation": imputer.seen, "normalization": normalizer.seen},
        stored=_artefacts(imputer, normalizer),
        refit=_refit(context, split, schema),
        balanced=read_table(context.folder("balance") / "train.parquet"),
        schema=schema,
        params=context.settings.audit,
        payloads=context.payloads(),
        more=_of_task(context, cleaned),
    )
    if certificate.verdict == "leak":
        path = failures(context.root) / context.settings.name / "certificate.json"
        write_json(path, certificate)
        raise MedloopError(certificate.sentence, where=str(path), mend="mend the study, or the split, and run again")
    write_json(context.folder("audit") / "certificate.json", certificate)
    # What training waits for: it says the same whatever suspicion was accepted, so that accepting one retrains nothing.
    write_json(context.folder("audit") / "clearance.json", {"leak": False})
    return certificate.sentence


def _of_task(context: Context, cleaned: "Path") -> "list[Check]":
    target = context.settings.study.target
    if target.task != "forecasting":
        return []
    whole = read_payloads(context.folder("ingest") / "payloads")
    return [horizon_check(read_table(cleaned / "samples.parquet"), target, whole, context.payloads())]


def _refit(context: Context, split: "pd.DataFrame", schema: Schema) -> "Refit":
    """What the stages impute and normalize fit, on whatever samples."""

    def refit(samples: "pd.DataFrame") -> dict[str, str]:
        fitted = fit_impute(of_part(samples, split, "train"), schema, context.settings.impute)
        imputer = Imputer.model_validate_json(_text(fitted))  # as normalize reads it: the file's order of columns
        train = of_part(apply_impute(imputer, samples), split, "train")
        normalizer = fit_normalize(
            train, imputer.after, context.settings.normalize, context.payloads(), imputer.sequence
        )
        return _artefacts(imputer, normalizer)

    return refit


def _artefacts(imputer: Imputer, normalizer: Normalizer) -> dict[str, str]:
    return {"imputation": _text(imputer), "normalization": _text(normalizer)}


def _text(fitted: Imputer | Normalizer) -> str:
    return json.dumps(fitted.model_dump(mode="json"), sort_keys=True)
