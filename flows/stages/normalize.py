"""samples, payloads, imputer, split → train, validation, test (parquet, payloads/PART), normalizer.json, inputs.json"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contracts.tables import PARTS
from flows.blocks import open_table, placed, places, workers
from flows.stages import Context
from flows.store import allocating, read_model, read_payloads, write_json, write_payloads, write_table
from pipelines.encode_payloads import ready_payloads
from pipelines.forms import forms
from pipelines.impute import Imputer
from pipelines.normalize import at_once, fit_normalize
from pipelines.normalizer import Normalizer, apply_normalize
from pipelines.table import Block, Each, Table, as_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from contracts.payloads import Payloads


def run(context: Context) -> str:
    """Learns scales and encodings on training rows; writes each part apart, so that training cannot see the test."""
    with workers() as each:
        return _run(context, each)


def _run(context: Context, each: Each) -> str:
    folder, imputed, params = context.folder("normalize"), context.folder("impute"), context.settings.normalize
    imputer = read_model(imputed / "imputer.json", Imputer)
    whole = bool(at_once(imputer.after, params))
    tabular = imputer.after.tabular == imputer.after.features
    samples = open_table(imputed / "samples.parquet", coded=tabular and not whole)
    if whole:
        samples = as_table(samples.read())
    part_of, payloads = placed(samples, context.folder("split") / "split.parquet"), context.payloads()
    train = samples.where(part_of == PARTS.index("train"))
    normalizer = fit_normalize(train, imputer.after, params, payloads, imputer.sequence, each)
    write_json(folder / "normalizer.json", normalizer)
    _write_parts(folder, normalizer, samples, part_of, payloads, each)
    for place, part in enumerate(PARTS):
        _write_payloads(folder / "payloads" / part, normalizer, samples.where(part_of == place), payloads)
    write_json(folder / "inputs.json", _told(normalizer, imputer.indicators, folder / "payloads" / "train"))
    return f"{len(normalizer.names)} inputs for the models"


def _told(normalizer: Normalizer, indicators: dict[str, str], train: Path) -> dict[str, object]:
    """What models must know: of the features the study's columns and which sum up payloads, of payloads their forms."""
    sources = [indicators.get(source, source) for source in normalizer.sources]
    if normalizer.payloads is None:
        return {"figures": [], "sources": sources, "payloads": {}}
    told = {name: asdict(form) for name, form in forms(normalizer.payloads, read_payloads(train)).items()}
    return {"figures": list(normalizer.payloads.names), "sources": sources, "payloads": told}


def _write_parts(
    folder: Path,
    normalizer: Normalizer,
    samples: Table,
    part_of: "NDArray[np.intp]",
    payloads: "dict[str, Payloads]",
    each: Each,
) -> None:
    """Writes the features of each part; a block is read once for all of them."""
    paths = zip(*(places(folder / f"{part}.parquet", samples) for part in PARTS), strict=True)
    list(each(partial(_write_block, normalizer, payloads), samples.blocks, samples.parted(part_of), paths))


def _write_block(
    normalizer: Normalizer,
    payloads: "dict[str, Payloads]",
    block: Block,
    part_of: "NDArray[np.intp]",
    paths: Sequence[Path],
) -> None:
    samples = block.read()
    for place, (part, path) in enumerate(zip(PARTS, paths, strict=True)):
        rows = samples.take(np.flatnonzero(part_of == place)).reset_index(drop=True)
        write_table(path, apply_normalize(normalizer, rows, payloads, training=part == "train"))


def _write_payloads(folder: Path, normalizer: Normalizer, rows: Table, payloads: "dict[str, Payloads]") -> None:
    if normalizer.payloads is None:
        write_payloads(folder, {})
        return
    held = list(normalizer.payloads.scales)
    ready = ready_payloads(
        normalizer.payloads, rows.read(), payloads, lambda name: allocating(folder, held.index(name))
    )
    write_payloads(folder, ready)
