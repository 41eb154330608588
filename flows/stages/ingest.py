"""source → table.parquet (every column text), quarantine.parquet (lines that are no rows), origin, declaration"""

from contracts.tables import feature_names
from flows.home import sources
from flows.pseudonyms import first_key
from flows.stages import Context
from flows.store import write_json, write_table
from pipelines.ingest import ingest
from pipelines.protect import key_mark, needs_key
from pipelines.sources import read


def run(context: Context) -> str:
    """Reads the source as it is and records where it came from."""
    settings, folder = context.settings, context.folder("ingest")
    raw = read(settings.source, root=context.root, cache=sources(context.root))
    key = first_key(context.root) if needs_key(settings.study) else b""
    ingested = ingest(raw, settings.ingest, settings.study, key)
    write_table(folder / "table.parquet", ingested.table)
    write_table(folder / "quarantine.parquet", ingested.quarantine)
    write_json(folder / "declaration.json", settings.study)
    write_json(folder / "provenance.json", {**ingested.provenance, "key": key_mark(key) if key else None})
    return f"{len(ingested.table):,} rows of {len(feature_names(ingested.table))} columns"
