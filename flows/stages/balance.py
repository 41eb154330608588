"""train.parquet, schema.json → train.parquet, report.json"""

from contracts.tables import Schema
from flows.stages import Context
from flows.store import read_model, read_table, write_json, write_table
from pipelines.balance import balance
from pipelines.encoding import INDEX


def run(context: Context) -> str:
    """Weighs, adds or masks training rows by class; no other rows."""
    folder = context.folder("balance")
    train = read_table(context.folder("normalize") / "train.parquet")
    schema = read_model(context.folder("clean") / "schema.json", Schema)
    numbered = [name + suffix for name in schema.of_type("categorical") for suffix in ("", INDEX)]
    balanced = balance(train, context.settings.balance, n_classes=len(schema.classes), numbered=numbered)
    write_table(folder / "train.parquet", balanced.table)
    write_json(folder / "report.json", balanced.report)
    report = balanced.report
    made, masked = sum(report.made.values()), sum(report.masked.values())
    return f"{report.method}: {len(train):,} rows, {made:,} made, {masked:,} masked"
