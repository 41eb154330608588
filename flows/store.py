"""The one place where stages read and write: parquet tables and JSON, always whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from contracts.errors import MedloopError

if TYPE_CHECKING:
    import pandas as pd

Model = TypeVar("Model", bound=BaseModel)


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
    """Writes a parquet file."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")


def read_table(path: Path) -> "pd.DataFrame":
    """Reads a parquet file. Raises MedloopError when it is missing or damaged."""
    import pandas as pd
    from pyarrow import ArrowInvalid

    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise MedloopError(f"{path.name} is not there", where=str(path), mend="run the stage that writes it") from None
    except (ArrowInvalid, OSError):
        raise MedloopError("damaged parquet", where=str(path), mend="delete it and run the stage again") from None
