"""source → table.parquet (every column text), payloads/, quarantine.parquet, provenance.json, declaration.json"""

import shutil
from pathlib import Path

from contracts.tables import feature_names
from flows.home import sources
from flows.pseudonyms import first_key
from flows.settings import Settings
from flows.stages import Context
from flows.store import allocating, write_json, write_payloads, write_table
from pipelines.ingest import ingest, payload_columns
from pipelines.protect import key_mark, needs_key
from pipelines.sources import read


def run(context: Context) -> str:
    """Reads the source as it is and records where it came from."""
    settings, folder = context.settings, context.folder("ingest")
    fresh = folder / ".payloads"  # those of before stay whole until these are
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        return _run(context, settings, folder, fresh)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _run(context: Context, settings: Settings, folder: Path, fresh: Path) -> str:
    raw = read(settings.source, root=context.root, cache=sources(context.root))
    key = first_key(context.root) if needs_key(settings.study) else b""
    held = [name for name, column in payload_columns(settings.study).items() if column.type != "text"]
    ingested = ingest(
        raw,
        settings.ingest,
        settings.study,
        key,
        allocate_for=lambda name: allocating(fresh, held.index(name)),
        tell=context.say,
    )
    write_payloads(fresh, ingested.payloads)
    write_table(folder / "table.parquet", ingested.table)
    shutil.rmtree(folder / "payloads", ignore_errors=True)
    fresh.rename(folder / "payloads")
    write_table(folder / "quarantine.parquet", ingested.quarantine)
    write_json(folder / "declaration.json", settings.study)
    write_json(folder / "provenance.json", {**ingested.provenance, "key": key_mark(key) if key else None})
    return f"{len(ingested.table):,} rows of {len(feature_names(ingested.table))} columns"
