"""train.parquet, schema, samples, payloads, normalizer → train.parquet, payloads/ (of made rows), report.json"""

from typing import TYPE_CHECKING

import numpy as np

from contracts.tables import Schema
from flows.stages import Context
from flows.store import read_model, read_table, write_json, write_payloads, write_table
from pipelines.balance import balance
from pipelines.encode_payloads import payload_features, ready_payloads
from pipelines.encoding import INDEX
from pipelines.normalizer import Normalizer
from pipelines.vary import varied

if TYPE_CHECKING:
    import pandas as pd

    from contracts.payloads import Payloads


def run(context: Context) -> str:
    """Weighs, adds or masks training rows by class; no other rows."""
    folder = context.folder("balance")
    train = read_table(context.folder("normalize") / "train.parquet")
    schema = read_model(context.folder("clean") / "schema.json", Schema)
    numbered = [name + suffix for name in schema.of_type("categorical") for suffix in ("", INDEX)]
    balanced = balance(train, context.settings.balance, n_classes=len(schema.classes), numbered=numbered)
    table, payloads = _with_payloads(context, balanced.table)
    write_table(folder / "train.parquet", table)
    write_payloads(folder / "payloads", payloads)
    write_json(folder / "report.json", balanced.report)
    report = balanced.report
    made, masked = sum(report.made.values()), sum(report.masked.values())
    return f"{report.method}: {len(train):,} rows, {made:,} made, {masked:,} masked"


def _with_payloads(context: Context, table: "pd.DataFrame") -> "tuple[pd.DataFrame, dict[str, Payloads]]":
    """The table with the made rows' figures those of their own payloads, and these payloads, ready for models."""
    normalizer = read_model(context.folder("normalize") / "normalizer.json", Normalizer)
    made = table["@id"] != table["@origin"]
    if normalizer.payloads is None or not made.any():
        return table, {}
    params = context.settings.balance
    samples = read_table(context.folder("impute") / "samples.parquet")
    train = samples[samples["@id"].isin(table["@id"])].reset_index(drop=True)
    origin = list(table.loc[made, "@origin"])
    rows, payloads = varied(train, origin, normalizer.before, context.payloads(), how=params.vary, seed=params.seed)
    names = list(normalizer.payloads.names)
    table.loc[made, names] = payload_features(normalizer.payloads, rows, normalizer.before, payloads)
    return table, ready_payloads(normalizer.payloads, rows, payloads, lambda name: np.zeros)
