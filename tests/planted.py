"""A small made-up study of pictures, recordings or reports, for faults to be planted in its files."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from tests.func.conftest import Outcome
from tests.mixed import WORDS
from tests.workspace import Workspace

Medloop = Callable[..., Outcome]

ROWS = 12
COLUMN = {"image": "scan", "sequence": "gait", "text": "note"}


def picture(number: int, size: tuple[int, int] = (24, 20), kind: str = "PNG", mode: str = "L") -> bytes:
    """A picture of its own, `size` wide and high."""
    coarse = np.random.default_rng(number).integers(0, 255, (6, 6), dtype=np.uint8)
    made = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    if mode == "I;16":
        made = Image.fromarray(np.asarray(made).astype(np.uint16) * 257)
    return saved(made if mode == "I;16" else made.convert(mode), kind)


def saved(made: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    made.save(file, kind)
    return file.getvalue()


def recording(number: int, channels: tuple[str, ...] = ("ax", "ay"), steps: int = 80) -> bytes:
    rng = np.random.default_rng(number)
    return as_csv(pd.DataFrame({name: rng.normal(0, 1, steps).cumsum() for name in channels}))


def as_csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def report(number: int) -> bytes:
    return " ".join(np.random.default_rng(number).choice(WORDS, 24)).encode()


MAKES: dict[str, tuple[Callable[[int], bytes], str]] = {
    "image": (picture, "png"),
    "sequence": (recording, "csv"),
    "text": (report, "txt"),
}


@dataclass(frozen=True)
class Planted:
    """A study `planted` of one column of this kind, a row a file of `folder`."""

    workspace: Workspace
    kind: str

    @property
    def folder(self) -> Path:
        return self.workspace.root / "planted"

    @property
    def column(self) -> str:
        return COLUMN[self.kind]

    def data(self, *parts: str) -> Path:
        return self.workspace.root.joinpath("data", "planted", *parts)

    def read(self, *parts: str) -> pd.DataFrame:
        return pd.read_parquet(self.data(*parts))

    def name(self, number: int) -> str:
        return f"{number:02d}.{MAKES[self.kind][1]}"

    def write(self, files: Mapping[str, bytes | None], *, rows: int = ROWS, cells: Mapping[int, str] = {}) -> None:
        """Writes the study's files and table; `files` take the first rows' places, None: the file is absent."""
        make = MAKES[self.kind][0]
        self.folder.mkdir(exist_ok=True)
        names = [*files, *(self.name(number) for number in range(len(files), rows))]
        for number, name in enumerate(names):
            data = files[name] if name in files else make(number)
            if data is not None:
                (self.folder / name).write_bytes(data)
        named = [cells.get(number, name) for number, name in enumerate(names)]
        self.write_table(named)

    def write_table(self, cells: list[str]) -> None:
        rows = range(len(cells))
        table = pd.DataFrame({"record": [f"r{n:03d}" for n in rows], "patient": [f"p{n:03d}" for n in rows]})
        table["age"] = [str(40 + 7 * n % 31) for n in rows]
        table[self.column] = cells
        table["ill"] = ["yes" if n % 3 == 0 else "no" for n in rows]
        table.to_csv(self.folder / "table.csv", index=False)

    def declare(self, change: Callable[[dict], object] | None = None, **column: object) -> None:
        """Writes the study; `column` is said of the column of files."""

        def made(study: dict) -> None:
            files = {"files": True} if self.kind == "text" else {}
            study["source"] = {"kind": "file", "path": "planted/table.csv"}
            study["columns"] = {
                "age": {"type": "numeric", "range": [0, 120]},
                self.column: {"type": self.kind, **files, **column},
            }
            if change:
                change(study)

        self.workspace.write_study(made, "planted")

    def outputs(self) -> dict[str, bytes]:
        """Every file under data/, and what it holds."""
        files = (path for path in (self.workspace.root / "data").rglob("*") if path.is_file())
        return {str(path.relative_to(self.workspace.root)): path.read_bytes() for path in files}


def at_most(share: float) -> Callable[[dict], object]:
    """Says which share of unreadable files is set aside."""
    return lambda study: study.update(ingest={"max_unreadable": share})


def ran(workspace: Workspace, medloop: Medloop, *stages: str) -> None:
    """Runs stages that go well."""
    for stage in stages:
        outcome = medloop(workspace, "stage", stage, "planted")
        assert outcome.code == 0, outcome.text


def stopped(workspace: Workspace, medloop: Medloop, *words: str, stage: str = "ingest") -> str:
    """What a stage tells that stops, with these words, and leaves everything as it was."""
    data = Planted(workspace, "image")
    before = data.outputs()
    outcome = medloop(workspace, "stage", stage, "planted")
    assert outcome.code == 1
    assert "mend" in outcome.text
    for word in words:
        assert word in outcome.text, outcome.text
    assert data.outputs() == before
    return outcome.text


def reasons(planted: Planted, stage: str = "ingest") -> list[str]:
    return planted.read(stage, "quarantine.parquet")["reason"].tolist()
