"""samples.parquet, schema.json, split.parquet → samples.parquet, imputer.json, missingness.json, missingness.html"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from contracts.tables import PARTS, Schema
from flows.blocks import open_table, placed, places, workers
from flows.stages import Context
from flows.store import read_model, write_json, write_table, write_text
from pipelines.gap_costs import gap_costs
from pipelines.impute import Imputer, apply_impute, at_once, fit_impute
from pipelines.missingness import missingness
from pipelines.missingness_page import missingness_page
from pipelines.table import Block, Each, Table, as_table


def run(context: Context) -> str:
    """Learns on training rows how missing cells are filled, fills them everywhere, and shows which were missing."""
    with workers() as each:
        return _run(context, each)


def _run(context: Context, each: Each) -> str:
    folder, cleaned, params = context.folder("impute"), context.folder("clean"), context.settings.impute
    schema = read_model(cleaned / "schema.json", Schema)
    whole = bool(at_once(schema, params))
    samples = open_table(cleaned / "samples.parquet", coded=not whole and schema.tabular == schema.features)
    if whole:
        samples = as_table(samples.read())
    train = samples.where(placed(samples, context.folder("split") / "split.parquet") == PARTS.index("train"))
    imputer = fit_impute(train, schema, params, each)
    write_json(folder / "imputer.json", imputer)
    costs = gap_costs(train.read(), schema, params) if params.datasets > 1 else ()
    found = missingness(train, schema, each).model_copy(update={"costs": costs})
    write_json(folder / "missingness.json", found)
    write_text(folder / "missingness.html", missingness_page(found, f"{context.settings.study.title}: missing values"))
    missing = _fill(imputer, samples, list(schema.features), folder / "samples.parquet", each)
    beyond = sum(fence.beyond for fence in imputer.outliers.fences.values()) if imputer.outliers else 0
    told = f"; {beyond:,} training cells beyond their fences" if beyond else ""
    return f"{missing:.0%} of the cells were missing; {len(imputer.after.features)} features after{told}"


def _fill(imputer: Imputer, samples: Table, features: Sequence[str], path: Path, each: Each) -> float:
    """Writes the samples without gaps; the share of the cells that were missing."""
    counts = each(partial(_fill_block, imputer, features), samples.blocks, places(path, samples))
    return float(sum(counts) / (len(samples) * len(features)))


def _fill_block(imputer: Imputer, features: Sequence[str], block: Block, path: Path) -> int:
    samples = block.read()
    write_table(path, apply_impute(imputer, samples))
    return int(samples[list(features)].isna().to_numpy().sum())
