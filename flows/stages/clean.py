"""table, payloads, both quarantines → samples.parquet, payloads/ (those changed), schema, ledger, quarantine"""

from functools import partial

import pandas as pd

from contracts.study import PAYLOADS, Study
from flows.blocks import open_table, places, workers, write_block
from flows.stages import Context
from flows.store import read_model, read_payloads, read_table, write_json, write_payloads, write_table
from pipelines.clean import clean
from pipelines.table import as_table, hold


def run(context: Context) -> str:
    """Turns text into typed samples; every change is counted in the ledger."""
    settings, folder = context.settings, context.folder("clean")
    study = read_model(context.folder("ingest") / "declaration.json", Study)
    payload = any(column.type in PAYLOADS for column in study.features().values())
    raw = open_table(context.folder("ingest") / "table.parquet", coded=not payload)
    if payload:
        raw = as_table(raw.read())  # near copies are looked for among all rows
    asides = [read_table(context.folder(stage) / "quarantine.parquet") for stage in ("ingest", "validate")]
    set_aside = pd.concat([aside.astype({"@row": "str"}) for aside in asides], ignore_index=True)
    payloads = read_payloads(context.folder("ingest") / "payloads")
    paths = places(folder / "samples.parquet", raw)
    keep = partial(write_block, paths) if len(paths) > 1 else hold
    with workers() as each:
        cleaned = clean(raw, study, settings.clean, set_aside=set_aside, payloads=payloads, each=each, keep=keep)
    if len(paths) == 1:
        write_table(paths[0], cleaned.samples)
    write_payloads(folder / "payloads", cleaned.payloads)
    write_json(folder / "schema.json", cleaned.schema)
    write_json(folder / "ledger.json", [change.model_dump(mode="json") for change in cleaned.ledger])
    write_table(folder / "quarantine.parquet", cleaned.quarantine)
    left_out = len(raw) - len(cleaned.table)
    return f"{len(cleaned.table):,} samples of {len(cleaned.schema.features)} features, {left_out:,} rows left out"
