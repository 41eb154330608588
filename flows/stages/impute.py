"""samples.parquet, schema.json, split.parquet → samples.parquet, imputer.json, missingness.json, missingness.html"""

from contracts.tables import Schema, of_part
from flows.stages import Context
from flows.store import read_model, read_table, write_json, write_table, write_text
from pipelines.gap_costs import gap_costs
from pipelines.impute import apply_impute, fit_impute
from pipelines.missingness import missingness
from pipelines.missingness_page import missingness_page


def run(context: Context) -> str:
    """Learns on training rows how missing cells are filled, fills them everywhere, and shows which were missing."""
    folder, cleaned = context.folder("impute"), context.folder("clean")
    samples = read_table(cleaned / "samples.parquet")
    schema = read_model(cleaned / "schema.json", Schema)
    parts = read_table(context.folder("split") / "split.parquet")
    train = of_part(samples, parts, "train")
    imputer = fit_impute(train, schema, context.settings.impute)
    write_json(folder / "imputer.json", imputer)
    write_table(folder / "samples.parquet", apply_impute(imputer, samples))
    costs = gap_costs(train, schema, context.settings.impute)
    found = missingness(train, schema).model_copy(update={"costs": costs})
    write_json(folder / "missingness.json", found)
    write_text(folder / "missingness.html", missingness_page(found, f"{context.settings.study.title}: missing values"))
    missing = samples[list(schema.features)].isna().to_numpy().mean()
    beyond = sum(fence.beyond for fence in imputer.outliers.fences.values()) if imputer.outliers else 0
    told = f"; {beyond:,} training cells beyond their fences" if beyond else ""
    return f"{missing:.0%} of the cells were missing; {len(imputer.after.features)} features after{told}"
