"""The one place where stages read and write: parquet tables and JSON, always whole or not at all."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from contracts.errors import MedloopError
from contracts.frames import with_columns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from contracts.payloads import Allocate, Payloads

Model = TypeVar("Model", bound=BaseModel)
LOOKED_AT = 1 << 12  # rows that tell whether the cells of a column repeat


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that takes `path`'s place once it is whole and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes text as UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: BaseModel | dict[str, Any] | list[Any]) -> None:
    """Writes JSON the same way each time: sorted keys, no NaN."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    write_text(path, json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON. Raises MedloopError when the file is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MedloopError(f"{path.name} is not there", where=str(path), mend="run the stage that writes it") from None
    except ValueError:
        raise MedloopError("damaged JSON", where=str(path), mend="delete it and run the stage again") from None


def read_model(path: Path, model: type[Model]) -> Model:
    """Reads JSON as a typed model."""
    try:
        return model.model_validate(read_json(path))
    except ValidationError:
        raise MedloopError(
            f"not a {model.__name__} of this version of medloop",
            where=str(path),
            mend="run the stage that writes it again",
        ) from None


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Writes a parquet file; categoricals lie in it as the texts that they stand for.

    Fractions, and columns of which more than half of the first cells differ, such as ids, have no dictionary; whole
    numbers of that kind lie as differences.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    table = _in_use(table)
    rows = pa.Table.from_pandas(table, preserve_index=False)
    differing = _differing(rows)
    plain = {field.name for field in rows.schema if pa.types.is_floating(field.type)} | differing
    whole = [name for name in differing if pa.types.is_integer(rows.schema.field(name).type)]
    with (
        replacing(path) as temporary,
        ParquetWriter(
            temporary,
            rows.schema,
            compression="lz4",
            write_statistics=False,
            use_dictionary=[name for name in rows.column_names if name not in plain],
            column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
            store_schema=False,  # it would have texts read as categoricals
        ) as writer,
    ):
        writer.write_table(rows)
        writer.add_key_value_metadata(_told(rows.schema, table))


def _in_use(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table with no category in it that no cell has, such as the patients of rows that it was chosen from."""
    coded = {name: _of_some(table[name]) for name in table.columns[table.dtypes == "category"]}
    return with_columns(table, coded) if coded else table


def _of_some(cells: "pd.Series[Any]") -> "pd.Series[Any]":
    import numpy as np
    import pandas as pd

    codes, used = cells.cat.codes.to_numpy(), np.zeros(len(cells.cat.categories) + 1, dtype=bool)
    for some in (codes[:LOOKED_AT], codes):  # of few categories the first cells have all
        used[some] = True  # the last place is that of the gaps' -1
        if used[:-1].all():
            return cells
    used[-1] = False
    places = np.where(used, np.cumsum(used) - 1, -1)
    kept = cells.cat.categories[used[:-1]]
    return pd.Series(pd.Categorical.from_codes(places[codes], kept), index=cells.index)


def _told(schema: "pa.Schema", table: "pd.DataFrame") -> dict[bytes, bytes]:
    """What Arrow and pandas write into a file of a table, of its categoricals as texts."""
    import base64

    import pandas as pd
    import pyarrow as pa

    coded = table.columns[table.dtypes == "category"]
    for name in coded:
        schema = schema.set(schema.get_field_index(name), pa.field(name, pa.large_string()))
    texts = with_columns(table.iloc[:0], {name: pd.Series(dtype="str") for name in coded})
    told = pa.Schema.from_pandas(texts, preserve_index=False).metadata
    return {**told, b"ARROW:schema": base64.b64encode(schema.with_metadata(told).serialize())}


def _differing(table: "pa.Table") -> set[str]:
    """The columns of which more than half of the first cells differ."""
    import pyarrow as pa
    from pyarrow import compute

    first = table.slice(0, LOOKED_AT)
    plain = [name for name in table.column_names if not pa.types.is_dictionary(table.schema.field(name).type)]
    return {name for name in plain if compute.count_distinct(first[name]).as_py() > len(first) / 2}


def write_blocks(path: Path, tables: "Iterable[pd.DataFrame]") -> None:
    """Writes one table as a parquet file; of several, a table in blocks, a folder of them in their order.

    What was there stays until all are written, whatever making them raises.
    """
    fresh = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        with ThreadPoolExecutor(1) as writer:  # a block is written while the next is made
            writing: Future[None] | None = None
            for number, table in enumerate(tables):
                if writing:
                    writing.result()
                writing = writer.submit(write_table, fresh / f"{number:05d}.parquet", table)
            if writing:
                writing.result()
        if path.is_dir():
            shutil.rmtree(path)
        written = sorted(fresh.iterdir())
        if len(written) > 1:
            path.unlink(missing_ok=True)
        (fresh if len(written) > 1 else written[0]).replace(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def blocks(path: Path) -> list[Path]:
    """The parquet files of a table, in its order: itself, or the blocks of one that is too large to hold."""
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def read_table(
    path: Path, columns: Sequence[str] | None = None, *, coded: bool = False, lean: bool = False
) -> "pd.DataFrame":
    """Reads a table whole, or those of its columns that `columns` names.

    `coded` gives texts that repeat as pandas' categoricals, as they lie in the file; `lean` a table that is not to be
    written to, in half the memory.
    Raises MedloopError when it is missing or damaged.
    """
    if path.is_dir():
        import pandas as pd

        return pd.concat([read_table(block, columns) for block in blocks(path)], ignore_index=True)
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        # A column in one piece each, unlike `pd.read_parquet`'s: rows are then chosen three times as fast.
        with ParquetFile(path, read_dictionary=_coded(path) if coded else None) as file:
            table: pd.DataFrame = file.read(columns).to_pandas(split_blocks=lean, self_destruct=lean)
            return table
    except FileNotFoundError:
        raise MedloopError(f"{path.name} is not there", where=str(path), mend="run the stage that writes it") from None
    except (ArrowInvalid, OSError):
        raise MedloopError("damaged parquet", where=str(path), mend="delete it and run the stage again") from None


def _coded(path: Path) -> list[str]:
    """The columns that have a dictionary."""
    from pyarrow.parquet import read_metadata

    groups = read_metadata(path)
    first = groups.row_group(0) if groups.num_row_groups else None
    chunks = [first.column(at) for at in range(groups.num_columns)] if first else []
    return [chunk.path_in_schema for chunk in chunks if chunk.has_dictionary_page]


INDEX, ARRAYS = "index.json", ("values", "offsets", "times")


def allocating(folder: Path, number: int) -> "Allocate":
    """Gives arrays that lie in a folder of payloads, as those of its column of this number, instead of in memory."""
    import numpy as np

    def allocate(shape: tuple[int, ...], dtype: Any) -> Any:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number}.values.npy"
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)

    return allocate


def write_payloads(folder: Path, payloads: "Mapping[str, Payloads]") -> None:
    """Writes payloads as NumPy arrays; the index comes last, so that a folder without one is none."""
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    for number, column in enumerate(payloads.values()):
        for kind in ARRAYS:
            array, path = getattr(column, kind), folder / f"{number}.{kind}.npy"
            if array is not None and not _lies_in(array, path):
                np.save(path, array, allow_pickle=False)
    told = [
        {"column": name, "channels": of.channels, "centre": of.centre, "spread": of.spread}
        for name, of in payloads.items()
    ]
    write_json(folder / INDEX, told)


def _lies_in(array: Any, path: Path) -> bool:
    """Whether it was allocated in this file; writing it there again would cut the file under it."""
    import numpy as np

    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and path.exists() and path.samefile(str(array.filename)):
            return True
        array = array.base
    return False


def read_payloads(folder: Path) -> "dict[str, Payloads]":
    """Payloads as they lie on the disk, read where they are used. Raises MedloopError for damage."""
    from contracts.payloads import Payloads

    found = {}
    for number, told in enumerate(read_json(folder / INDEX)):
        values, offsets, times = (_array(folder / f"{number}.{kind}.npy") for kind in ARRAYS)
        facts = {key: tuple(told[key]) for key in ("channels", "centre", "spread")}
        found[told["column"]] = Payloads(values=values, offsets=offsets, times=times, **facts)
    return found


def _array(path: Path) -> Any:
    import numpy as np

    if not path.is_file():
        return None
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError):
        raise MedloopError("damaged array", where=str(path), mend="delete it and run the stage again") from None
