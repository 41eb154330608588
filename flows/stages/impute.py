"""samples.parquet, schema.json, split.parquet → samples.parquet, imputer.json"""

from contracts.tables import Schema, of_part
from flows.stages import Context
from flows.store import read_model, read_table, write_json, write_table
from pipelines.impute import apply_impute, fit_impute


def run(context: Context) -> str:
    """Learns on training rows how missing cells are filled, and fills them everywhere."""
    folder, cleaned = context.folder("impute"), context.folder("clean")
    samples = read_table(cleaned / "samples.parquet")
    schema = read_model(cleaned / "schema.json", Schema)
    parts = read_table(context.folder("split") / "split.parquet")
    imputer = fit_impute(of_part(samples, parts, "train"), schema, context.settings.impute)
    write_json(folder / "imputer.json", imputer)
    write_table(folder / "samples.parquet", apply_impute(imputer, samples))
    missing = samples[list(schema.features)].isna().to_numpy().mean()
    return f"{missing:.0%} of the cells were missing; {len(imputer.after.features)} features after"
