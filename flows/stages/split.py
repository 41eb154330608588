"""samples.parquet, schema.json → split.parquet, split.json"""

from contracts.tables import PARTS, Schema
from flows.stages import Context
from flows.store import read_model, read_table, write_json, write_table
from pipelines.split import split, test_hash


def run(context: Context) -> str:
    """Puts every patient in one part and freezes the test set by its hash."""
    settings, folder = context.settings, context.folder("split")
    samples = read_table(context.folder("clean") / "samples.parquet")
    schema = read_model(context.folder("clean") / "schema.json", Schema)
    parts = split(samples, schema, settings.split)
    counts = parts["@part"].value_counts()
    sizes = {part: int(counts.get(part, 0)) for part in PARTS}
    write_table(folder / "split.parquet", parts)
    write_json(folder / "split.json", {"sizes": sizes, "test_sha256": test_hash(parts)})
    return ", ".join(f"{part} {size:,}" for part, size in sizes.items())
