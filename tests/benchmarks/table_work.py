"""The same table work by medloop, by polars and by pandas with scikit-learn, each in a process of its own.

Usage: table_work.py medloop|polars|polars-kept|pandas CSV FOLDER. Reads text, takes the declared types and missing
codes, sets implausible values missing, drops copies of rows, splits by patient, fills with the training median and an
indicator, scales by the training mean and deviation, encodes the categories, and writes parquet. Prints seconds by
part and the peak of resident memory as JSON.

medloop keeps what lies between (the raw text, the typed samples, the parts, the filled samples), so that a later run
goes on from there, and so does "polars-kept"; the others write the end alone. Only medloop looks for columns that
identify people. What is not medloop is what a careful person would write, in as few passes as it allows.
"""

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

LABEL, PATIENT = "status", "id"
RANGES = {
    "age": (18, 110),
    "weight": (25, 300),
    "height": (120, 220),
    "bmi": (10, 90),
    "days": (-20000, 20000),
    "value": (0, 2000),
}
LEVELS = ("test", "male")
CODES = ["", "NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "?"]
CLIP = 10.0
PARTS = ("test", "validation", "train")
EDGES = (0.2, 0.35)

_parts: dict[str, float] = {}
_last = time.perf_counter()
_imported: list[float] = []


def part(name: str) -> None:
    """Ends the part of this name."""
    global _last
    now = time.perf_counter()
    _parts[name] = round(now - _last, 3)
    _last = now
    if name == "imports":
        _imported.append(time.process_time())


def _cpu() -> float:
    """Seconds of the processors' time since the imports."""
    return time.process_time() - _imported[0]


def peak() -> int:
    """The greatest resident memory of this process so far, in MiB; unlike `ru_maxrss`, nothing of its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def declared() -> dict[str, object]:
    """The table as a study declares it."""
    numeric = {name: {"type": "numeric", "range": list(ends)} for name, ends in RANGES.items()}
    return {
        "name": "scale",
        "title": "Liver",
        "group": PATIENT,
        "protect": {"age": {"keep": "the others cap no age either"}},
        "target": {"column": LABEL, "classes": ["0", "1"], "positive": "1"},
        "columns": {**numeric, **{name: {"type": "categorical"} for name in LEVELS}},
    }


def by_medloop(source: Path, folder: Path) -> None:
    """What the stages do with a table, in their order and in blocks as they read it, without their reports."""
    import fsspec  # noqa: F401 (which reading imports when a file is opened)

    import pipelines.clean
    import pipelines.impute
    import pipelines.ingest
    import pipelines.normalize
    import pipelines.split
    from contracts.study import Study
    from contracts.tables import PARTS as NAMES
    from flows.blocks import ahead, open_table, placed, places, workers, write_block
    from flows.stages.impute import _fill
    from flows.stages.normalize import _write_parts
    from flows.stages.split import known
    from flows.store import write_blocks, write_table
    from pipelines.sources import FileSource, read_pieces

    part("imports")
    study, params = Study.model_validate(declared()), pipelines.ingest.IngestParams()
    pieces = ahead(read_pieces(FileSource(path=str(source)), root=folder, cache=folder, block=params.block << 20))
    write_blocks(folder / "table.parquet", pipelines.ingest.Ingestion(params, study).tables(pieces))
    part("read and ingest")
    with workers() as each:
        raw = open_table(folder / "table.parquet", coded=True)
        keep = partial(write_block, places(folder / "samples.parquet", raw))
        schema = pipelines.clean.clean(raw, study, pipelines.clean.CleanParams(), each=each, keep=keep).schema
        del raw
        part("clean")
        samples = known(folder / "samples.parquet", ["@id", "@target"])
        parts = pipelines.split.split(samples, schema, pipelines.split.SplitParams(method="patient"))
        write_table(folder / "split.parquet", parts)
        del samples, parts
        part("split")
        samples = open_table(folder / "samples.parquet", coded=True)
        train = samples.where(placed(samples, folder / "split.parquet") == NAMES.index("train"))
        imputer = pipelines.impute.fit_impute(train, schema, pipelines.impute.ImputeParams(), each)
        _fill(imputer, samples, list(schema.features), folder / "filled.parquet", each)
        del samples, train
        part("impute")
        filled = open_table(folder / "filled.parquet", coded=True)
        part_of, scales = placed(filled, folder / "split.parquet"), pipelines.normalize.NormalizeParams()
        train = filled.where(part_of == NAMES.index("train"))
        normalizer = pipelines.normalize.fit_normalize(train, imputer.after, scales, each=each)
        _write_parts(folder, normalizer, filled, part_of, {}, each)
        part("normalize")


def by_polars(source: Path, folder: Path, *, between: bool = False) -> None:
    """Polars alone, its threads as it likes; `between` says that the tables between the steps are written too."""
    import polars as pl

    def kept(table: pl.DataFrame, name: str) -> None:
        if between:
            table.write_parquet(folder / f"{name}.parquet", compression="lz4")

    part("imports")
    text = [PATIENT, LABEL, *LEVELS]
    types = {name: pl.String if name in text else pl.Float64 for name in [*text, *RANGES]}
    header = pl.read_csv(source, n_rows=0).columns
    table = pl.read_csv(source, schema={name: types[name] for name in header}, null_values=CODES)
    kept(table, "table")
    part("read")
    plausible = [
        pl.when(pl.col(name).is_between(*ends)).then(pl.col(name)).alias(name) for name, ends in RANGES.items()
    ]
    share = pl.col(PATIENT).hash(0) % 1000 / 1000
    placed = pl.when(share < EDGES[0]).then(pl.lit("test")).when(share < EDGES[1]).then(pl.lit("validation"))
    table = (
        table.unique(maintain_order=True)
        .filter(pl.col(LABEL).is_not_null())
        .with_columns(*plausible, *[pl.col(name).fill_null("missing") for name in LEVELS])
        .with_columns(placed.otherwise(pl.lit("train")).alias("part"))
    )
    kept(table.drop("part"), "samples")
    kept(table.select(PATIENT, "part"), "split")
    part("clean")
    train = table.filter(pl.col("part") == "train")
    medians = {name: train[name].median() for name in RANGES}
    gappy = [name for name in RANGES if train[name].null_count()]
    table = table.with_columns(
        *[pl.col(name).is_null().cast(pl.Float32).alias(f"{name} is missing") for name in gappy],
        *[pl.col(name).fill_null(medians[name]) for name in RANGES],
    )
    kept(table, "filled")
    part("impute")
    table = _encoded(table)
    for (placed_in,), rows in table.partition_by("part", as_dict=True, include_key=False).items():
        rows.write_parquet(folder / f"{placed_in}.parquet", compression="zstd")
    part("normalize")


def _encoded(table: Any) -> Any:
    """The polars table scaled and encoded by its training rows."""
    import polars as pl

    train = table.filter(pl.col("part") == "train")
    often = {}
    for name in LEVELS:
        counts = train.group_by(name).agg(pl.col(PATIENT).n_unique())
        often[name] = counts.filter(pl.col(PATIENT) >= 10)[name].sort().to_list()
    return table.with_columns(
        *[
            ((pl.col(name) - train[name].mean()) / train[name].std(ddof=0)).clip(-CLIP, CLIP).cast(pl.Float32)
            for name in RANGES
        ],
        *[
            (pl.col(name) == level).cast(pl.Float32).alias(f"{name}={level}")
            for name, levels in often.items()
            for level in levels
        ],
        *[(~pl.col(name).is_in(levels)).cast(pl.Float32).alias(f"{name}=other") for name, levels in often.items()],
    ).drop(LEVELS)


def by_pandas(source: Path, folder: Path) -> None:
    """pandas with scikit-learn's transformers."""
    import numpy as np
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    part("imports")
    types = dict.fromkeys(RANGES, "float64") | dict.fromkeys((PATIENT, LABEL, *LEVELS), "str")
    table = pd.read_csv(source, dtype=types, na_values=CODES, keep_default_na=False)
    part("read")
    table = table.drop_duplicates().dropna(subset=[LABEL])
    for name, ends in RANGES.items():
        table[name] = table[name].where(table[name].between(*ends))
    share = pd.util.hash_pandas_object(table[PATIENT], index=False).to_numpy() % 1000 / 1000
    placed = np.select([share < EDGES[0], share < EDGES[1]], PARTS[:2], PARTS[2])
    part("clean")
    names, levels = list(RANGES), list(LEVELS)
    work = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), names),
        (
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value="missing"),
                OneHotEncoder(min_frequency=10, handle_unknown="infrequent_if_exist", sparse_output=False, dtype="f4"),
            ),
            levels,
        ),
    )
    table[levels] = table[levels].astype("object")
    work.fit(table[placed == "train"])
    part("impute and scale: fit")
    for name in PARTS:
        rows = table[placed == name]
        features = work.transform(rows).astype("float32").clip(-CLIP, CLIP)
        frame = pd.DataFrame(features, columns=work.get_feature_names_out(), index=rows.index)
        pd.concat([rows[[PATIENT, LABEL]], frame], axis=1).to_parquet(
            folder / f"{name}.parquet", index=False, compression="zstd"
        )
    part("normalize")


if __name__ == "__main__":
    how, csv, out = sys.argv[1:]
    ways = {"medloop": by_medloop, "polars": by_polars, "pandas": by_pandas}
    ways["polars-kept"] = partial(by_polars, between=True)
    ways[how](Path(csv), Path(out))
    work = sum(seconds for name, seconds in _parts.items() if name != "imports")
    print(json.dumps({"work": round(work, 2), "cpu": round(_cpu(), 2), "peak": peak(), "parts": _parts}))
