"""samples, payloads, imputer, split → train, validation, test (parquet, payloads/PART), normalizer.json, inputs.json"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.tables import PARTS, of_part
from flows.stages import Context
from flows.store import allocating, read_model, read_payloads, read_table, write_json, write_payloads, write_table
from pipelines.encode_payloads import ready_payloads
from pipelines.forms import forms
from pipelines.impute import Imputer
from pipelines.normalize import Normalizer, apply_normalize, fit_normalize

if TYPE_CHECKING:
    import pandas as pd

    from contracts.payloads import Payloads


def run(context: Context) -> str:
    """Learns scales and encodings on training rows; writes each part apart, so that training cannot see the test."""
    folder, imputed = context.folder("normalize"), context.folder("impute")
    samples = read_table(imputed / "samples.parquet")
    imputer = read_model(imputed / "imputer.json", Imputer)
    parts = read_table(context.folder("split") / "split.parquet")
    payloads = context.payloads()
    normalizer = fit_normalize(
        of_part(samples, parts, "train"), imputer.after, context.settings.normalize, payloads, imputer.sequence
    )
    write_json(folder / "normalizer.json", normalizer)
    for part in PARTS:
        rows = of_part(samples, parts, part)
        write_table(folder / f"{part}.parquet", apply_normalize(normalizer, rows, payloads, training=part == "train"))
        _write_payloads(folder / "payloads" / part, normalizer, rows, payloads)
    write_json(folder / "inputs.json", _told(normalizer, imputer.indicators, folder / "payloads" / "train"))
    return f"{len(normalizer.names)} inputs for the models"


def _told(normalizer: Normalizer, indicators: dict[str, str], train: Path) -> dict[str, object]:
    """What models must know: of the features the study's columns and which sum up payloads, of payloads their forms."""
    sources = [indicators.get(source, source) for source in normalizer.sources]
    if normalizer.payloads is None:
        return {"figures": [], "sources": sources, "payloads": {}}
    told = {name: asdict(form) for name, form in forms(normalizer.payloads, read_payloads(train)).items()}
    return {"figures": list(normalizer.payloads.names), "sources": sources, "payloads": told}


def _write_payloads(
    folder: Path, normalizer: Normalizer, rows: "pd.DataFrame", payloads: "dict[str, Payloads]"
) -> None:
    if normalizer.payloads is None:
        write_payloads(folder, {})
        return
    held = list(normalizer.payloads.scales)
    ready = ready_payloads(normalizer.payloads, rows, payloads, lambda name: allocating(folder, held.index(name)))
    write_payloads(folder, ready)
