"""samples.parquet, schema.json, perhaps a split file → split.parquet, split.json"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import MedloopError
from contracts.tables import ASIDE, PARTS, Schema
from flows.blocks import stored
from flows.stages import Context
from flows.store import read_model, read_table, write_json, write_table
from pipelines.folds import with_fold_tested, with_folds
from pipelines.labels import graded
from pipelines.sources.file import FileSource, read_file
from pipelines.split import refuse_unlearnable, split, test_hash

if TYPE_CHECKING:
    import pandas as pd


def run(context: Context) -> str:
    """Puts every patient in one part, draws folds where asked, and freezes the test set by its hash."""
    params, folder = context.settings.split, context.folder("split")
    path = context.folder("clean") / "samples.parquet"
    schema = read_model(context.folder("clean") / "schema.json", Schema)
    samples = known(path, ["@id", "@time", "@target", *filter(None, [params.site])])
    graduated = samples.assign(**{"@target": graded(samples["@target"], schema)[0]})
    parts = with_folds(split(samples, schema, params, _placed(context)), graduated, params)
    parts = with_fold_tested(parts, graduated, schema, params)
    refuse_unlearnable(samples["@target"], parts["@part"], schema)
    counts = parts["@part"].value_counts()
    sizes = {part: int(counts.get(part, 0)) for part in PARTS}
    write_table(folder / "split.parquet", parts)
    write_json(folder / "split.json", {"method": params.method, "sizes": sizes, "test_sha256": test_hash(parts)})
    told = [f"{part} {size:,}" for part, size in sizes.items()]
    if params.folds and params.fold is None:
        told.append(f"{params.folds} folds, drawn {params.repeats} times")
    elif params.folds:
        told.append(
            f"which is fold {params.fold} of {params.folds}; test set of {counts.get(ASIDE, 0):,} rows set aside"
        )
    return ", ".join(told)


def known(path: Path, columns: Sequence[str]) -> "pd.DataFrame":
    """These columns of the samples, and their patients, whose names repeat, as categoricals."""
    with ThreadPoolExecutor(1) as reader:
        patients = reader.submit(stored(path, coded=True).read, ["@group"])
        samples = read_table(path, columns)
        return samples.assign(**{"@group": patients.result()["@group"]})


def _placed(context: Context) -> "pd.DataFrame | None":
    """What the split file says: `@id` and `@part`.

    Raises MedloopError when its content is not the one that the study pins, or a column is not there.
    """
    params = context.settings.split
    if params.method != "file" or not params.file:
        return None
    read = read_file(FileSource(path=params.file), root=context.root)
    found = read.provenance.get("sha256")
    if found != params.file_sha256:
        raise MedloopError(
            f"the content of the split file is not pinned: its SHA-256 is {found}",
            where=f"split.file_sha256, {params.file}",
            mend="where it is the file you mean, state that hash: a run is repeated with the very same file",
        )
    table = read.table.rename(columns={"id": "@id", "part": "@part"})
    lacking = [name for name in ("id", "part") if f"@{name}" not in table]
    if lacking:
        raise MedloopError(f"the split file has no column {' and '.join(lacking)}", where=params.file, mend="name them")
    return table[["@id", "@part"]]
