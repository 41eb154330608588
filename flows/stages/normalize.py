"""samples.parquet, imputer.json, split.parquet → train.parquet, validation.parquet, test.parquet, normalizer.json"""

from contracts.tables import PARTS, of_part
from flows.stages import Context
from flows.store import read_model, read_table, write_json, write_table
from pipelines.impute import Imputer
from pipelines.normalize import apply_normalize, fit_normalize


def run(context: Context) -> str:
    """Learns scales and encodings on training rows; writes each part apart, so that training cannot see the test."""
    folder, imputed = context.folder("normalize"), context.folder("impute")
    samples = read_table(imputed / "samples.parquet")
    imputer = read_model(imputed / "imputer.json", Imputer)
    parts = read_table(context.folder("split") / "split.parquet")
    normalizer = fit_normalize(of_part(samples, parts, "train"), imputer.after, context.settings.normalize)
    write_json(folder / "normalizer.json", normalizer)
    for part in PARTS:
        features = apply_normalize(normalizer, of_part(samples, parts, part), training=part == "train")
        write_table(folder / f"{part}.parquet", features)
    return f"{len(normalizer.names)} inputs for the models"
