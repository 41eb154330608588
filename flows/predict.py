"""Scores new rows with exactly the fitted steps and weights of a recorded run."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import MedloopError
from flows import bundle, tracking
from flows.arrays import examples
from flows.home import sources
from flows.pseudonyms import same_key
from flows.store import read_json, read_model, replacing, write_table
from pipelines.clean import clean_rows
from pipelines.impute import Imputer, apply_impute
from pipelines.ingest import spelled
from pipelines.normalize import Normalizer, apply_normalize
from pipelines.protect import needs_key, protect
from pipelines.sources import FileSource, Layout, read

if TYPE_CHECKING:
    import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def predict(root: Path, reference: str, data: str, out: Path) -> tuple[int, int]:
    """Scores the rows of `data` into `out` (.csv or .parquet): how many were scored, how many could not be.

    Raises MedloopError when the model or the data cannot be read, or `out` is of another kind.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise MedloopError("predictions are written as .csv or .parquet", where=str(out), mend="--out predictions.csv")
    with tempfile.TemporaryDirectory(prefix="medloop-") as scratch:
        folder = tracking.fetch_model(root, reference, Path(scratch))
        bundle.verify(folder)
        layout = read_model(folder / "layout.json", Layout).model_dump(exclude={"ragged"})
        source = FileSource(path=data, ragged="quarantine", **layout)
        raw = read(source, root=Path.cwd(), cache=sources(root))
        scores = score(folder, raw.table, raw.quarantine, _key(root, folder))
    _write(scores, out)
    failed = int(scores["predicted"].isna().sum())
    return len(scores) - failed, failed


def _key(root: Path, folder: Path) -> bytes:
    """The key that the training rows were treated with, where the study treats any with one."""
    study, _, _ = bundle.declaration(folder)
    return same_key(root, read_json(folder / "pseudonyms.json")["key"]) if needs_key(study) else b""


def score(folder: Path, rows: "pd.DataFrame", unread: "pd.DataFrame", key: bytes = b"") -> "pd.DataFrame":
    """One line a row of the source, in its order: row, id, predicted, a probability a class, reason.

    The reason says why a row was not scored, or which columns of a scored one were not taken as they are written; no
    value. A line that could not be read has a row and a reason only.
    What identifies people is treated as it was in training, with the same `key`.
    `unread` holds the lines that could not even be read as rows (`@row`, `reason`).
    """
    import pandas as pd

    from models.store import load
    from models.threshold import decide

    study, params, schema = bundle.declaration(folder)
    treated, _ = protect(spelled(rows, study), study, key)
    scorable = clean_rows(treated, study, schema, params)
    parts = [scorable.unscorable, unread.astype({"@row": "str"})]
    if len(scorable.samples):
        imputer = read_model(folder / "imputer.json", Imputer)
        normalizer = read_model(folder / "normalizer.json", Normalizer)
        features = apply_normalize(normalizer, apply_impute(imputer, scorable.samples))
        trained = load(folder / "weights")
        probability = trained.predict_proba(examples(features))
        called = decide(probability, trained.threshold, trained.inputs.positive)
        labels = [trained.inputs.classes[index] for index in called]
        named = {f"probability={c}": probability[:, i] for i, c in enumerate(trained.inputs.classes)}
        parts.append(scorable.samples[["@row", "@id"]].assign(predicted=labels, **named, reason=scorable.remarks))
    scores = pd.concat(parts, ignore_index=True).rename(columns={"@row": "row", "@id": "id"})
    columns = ["row", "id", "predicted", *(f"probability={c}" for c in schema.classes), "reason"]
    scores = scores.sort_values("row", key=lambda row: row.map(_place), ignore_index=True).reindex(columns=columns)
    return scores.fillna({"id": ""}).astype({"row": "str", "id": "str", "predicted": "str", "reason": "str"})


def _place(row: str) -> tuple[str, int]:
    """Where a row, `line` or `file:line`, stands in its source."""
    file, _, line = row.rpartition(":")
    return file, int(line)


def _write(scores: "pd.DataFrame", out: Path) -> None:
    if out.suffix == ".parquet":
        write_table(out, scores)
        return
    # A spreadsheet would run a cell that begins like a formula.
    texts: list[str] = list(scores.select_dtypes(include="str").columns)
    escaped = scores.assign(
        **{n: scores[n].where(~scores[n].str.startswith(FORMULA, na=False), "'" + scores[n]) for n in texts}
    )
    with replacing(out) as temporary:
        escaped.to_csv(temporary, index=False)
