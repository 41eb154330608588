"""source → table.parquet (text; large: in blocks), payloads/, quarantine.parquet, provenance.json, declaration.json"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.tables import feature_names
from flows.blocks import ahead
from flows.home import sources
from flows.pseudonyms import first_key
from flows.settings import Settings
from flows.stages import Context
from flows.store import allocating, write_blocks, write_json, write_payloads, write_table
from pipelines.ingest import Ingestion, is_read_whole, payload_columns
from pipelines.protect import key_mark, needs_key
from pipelines.sources import Raw, read, read_pieces

if TYPE_CHECKING:
    import pandas as pd


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
    study = settings.study
    key = first_key(context.root) if needs_key(study) else b""
    held = [name for name, column in payload_columns(study).items() if column.type != "text"]
    ingestion = Ingestion(
        settings.ingest,
        study,
        key,
        allocate_for=lambda name: allocating(fresh, held.index(name)),
        tell=context.say,
    )
    rows = 0
    columns: list[str] = []

    def tables() -> "Iterator[pd.DataFrame]":
        nonlocal rows, columns
        for table in ingestion.tables(_pieces(context)):
            rows, columns = rows + len(table), feature_names(table)
            yield table
        write_payloads(fresh, ingestion.payloads)

    write_blocks(folder / "table.parquet", tables())
    shutil.rmtree(folder / "payloads", ignore_errors=True)
    fresh.rename(folder / "payloads")
    write_table(folder / "quarantine.parquet", ingestion.quarantine())
    write_json(folder / "declaration.json", study)
    write_json(folder / "provenance.json", {**ingestion.provenance(), "key": key_mark(key) if key else None})
    others = int(str(ingestion.provenance().get("unmatched", 0)))
    left = f"; {others:,} other files are not as `files` says" if others else ""
    return f"{rows:,} rows of {len(columns)} columns{left}"


def _pieces(context: Context) -> "Iterator[Raw]":
    """The source in pieces of the settings' size, or whole where cells name files."""
    source, cache = context.settings.source, sources(context.root)
    if is_read_whole(context.settings.study):
        return iter([read(source, root=context.root, cache=cache)])
    block = context.settings.ingest.block << 20
    return ahead(read_pieces(source, root=context.root, cache=cache, block=block, tell=context.say))
