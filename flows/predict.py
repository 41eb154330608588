"""Scores new rows with exactly the fitted steps and weights of a recorded run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from contracts.errors import MedloopError, listed
from contracts.examples import Examples
from contracts.payloads import Payloads
from contracts.study import Study
from contracts.tables import Schema
from flows import bundle, references, servers
from flows.arrays import examples
from flows.console import console, warn
from flows.home import find_root, scratch
from flows.new_rows import read_new
from flows.pseudonyms import same_key
from flows.store import read_json, read_model, replacing, write_table
from pipelines.beyond import cut_off
from pipelines.clean import clean_rows
from pipelines.decode import DecodedColumns, decode
from pipelines.encode_payloads import ready_payloads
from pipelines.image.features import image_feature_names
from pipelines.impute import Imputer, apply_impute
from pipelines.ingest import payload_columns, spelled
from pipelines.normalizer import Normalizer, apply_normalize
from pipelines.protect import needs_key, protect
from pipelines.rows import check_columns
from pipelines.signal.features import signal_feature_names
from pipelines.sources import Raw
from pipelines.tagged import a_line_each, located

if TYPE_CHECKING:
    import pandas as pd

    from models.store import Trained

FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Outcome(NamedTuple):
    """How many rows were scored and could not be, and how many files of DATA are no rows: others lie among them.

    `altered` are scored rows of which cells were not taken as they are written, `mostly` the most frequent reason.
    """

    scored: int
    failed: int
    others: int
    altered: int
    mostly: str


def predict_rows(model: str, data: str, out: Path) -> None:
    """`medloop predict`: scores, and the rows that could not be scored with the reason."""
    root = find_root()
    servers.prepare_environment(root)
    done = predict(root, model, data, out)
    if done.others:
        warn(f"{done.others:,} files of {data} were left out: their paths do not match the study's `files`")
    if done.altered:
        warn(f"of {done.altered:,} scored rows, cells were not taken as they are written, most often {done.mostly}")
    console.print(f"[green]✓[/] {done.scored:,} rows scored, {done.failed:,} could not be; all are in {out}")


def predict(root: Path, reference: str, data: str, out: Path) -> Outcome:
    """Scores the rows of `data` into `out` (.csv or .parquet); of tagging a line an entity.

    Raises MedloopError when the model or the data cannot be read, or `out` is of another kind or the data themselves.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise MedloopError("predictions are written as .csv or .parquet", where=str(out), mend="--out predictions.csv")
    if out.exists() and Path(data).exists() and out.samefile(data):
        raise MedloopError("predictions would be written over the rows they are of", where=data, mend="another --out")
    with scratch(root) as own:
        folder = references.fetch_model(root, reference, own)
        bundle.verify(folder, reference)
        new = read_new(folder, data, Path.cwd())
        scores = score(folder, new.raw, _key(root, folder))
        task = read_model(folder / "schema.json", Schema).task
    _write(a_line_each(scores) if task == "tagging" else scores, out)
    failed = scores["predicted"].isna()
    altered = scores.loc[~failed & (scores["reason"] != ""), "reason"]
    mostly = altered.value_counts().index[0] if len(altered) else ""
    return Outcome(int((~failed).sum()), int(failed.sum()), new.others, len(altered), mostly)


def _ready(normalizer: Normalizer, samples: "pd.DataFrame", payloads: Mapping[str, Payloads]) -> dict[str, Payloads]:
    """The payloads of these rows as models take them."""
    import numpy as np

    return ready_payloads(normalizer.payloads, samples, payloads, lambda name: np.zeros) if normalizer.payloads else {}


def _key(root: Path, folder: Path) -> bytes:
    """The key that the training rows were treated with, where the study treats any with one."""
    study, _, _ = bundle.declaration(folder)
    return same_key(root, read_json(folder / "pseudonyms.json")["key"]) if needs_key(study) else b""


def score(folder: Path, raw: Raw, key: bytes = b"") -> "pd.DataFrame":
    """One line a row of the source, in its order: row, id, predicted and what else the task tells, reason.

    Of a model that was pre-trained `unusual` too, before the reason: how unlike those that it learnt from a row is, as
    the share of validation rows that are less so, from 0 to 1.
    Of tagging `predicted` is a list [[start, end, label, probability], …] as JSON, by the characters of the text as it
    is written, from 0, the end not included.
    Of an ensemble `spread` too, the deviation over its members of the predicted class's probability, or number.
    The reason says why a row was not scored, or which columns of a scored one were not taken as they are written, or
    lie far beyond the training rows'; no value. A line that could not be read has a row and a reason only.
    What identifies people is treated as it was in training, with the same `key`.
    """
    import pandas as pd

    from models.store import load
    from models.tasks import MODULES

    study, params, schema = bundle.declaration(folder)
    told = MODULES[schema.task].columns(study.target)
    decoded = _decoded(raw, study, schema, folder)
    treated, _ = protect(decoded.table, study, key)
    scorable = clean_rows(treated.drop(index=list(decoded.faults)), study, schema, params, payloads=decoded.payloads)
    undecoded = _undecoded(treated, decoded.faults, study)
    parts = [part.astype({"@row": "str"}) for part in (scorable.unscorable, undecoded, raw.quarantine)]
    trained = load(folder / "weights")
    if len(scorable.samples):
        imputer = read_model(folder / "imputer.json", Imputer)
        normalizer = read_model(folder / "normalizer.json", Normalizer)
        payloads = {**decoded.payloads, **scorable.payloads}
        _check_figures(normalizer, schema, payloads)
        features = apply_normalize(normalizer, apply_impute(imputer, scorable.samples), payloads)
        said = _said(trained, examples(features, _ready(normalizer, scorable.samples, payloads)), list(told))
        if schema.task == "tagging":
            said["predicted"] = located(said["predicted"], scorable.samples["@row"], treated, study, params.texts)
        if schema.task == "forecasting":
            said |= {name: said[name] + scorable.samples["@last"].to_numpy() for name in told}
        remarks = zip(scorable.remarks, cut_off(normalizer, features), strict=True)
        reason = ["; ".join(filter(None, both)) for both in remarks]
        parts.append(scorable.samples[["@row", "@id"]].assign(**said, reason=reason))
    scores = pd.concat(parts, ignore_index=True).rename(columns={"@row": "row", "@id": "id"})
    more = [*(["unusual"] if trained.pretrained else []), *(["spread"] if trained.is_ensemble else [])]
    columns = ["row", "id", *told, *more, "reason"]
    scores = scores.sort_values("row", key=lambda row: row.map(_place), ignore_index=True).reindex(columns=columns)
    texts = [name for name, kind in told.items() if kind == "string"]
    return scores.fillna({"id": ""}).astype(dict.fromkeys(["row", "id", *texts, "reason"], "str"))


def _undecoded(treated: "pd.DataFrame", faults: Mapping[int, str], study: Study) -> "pd.DataFrame":
    """The rows whose files could not be read: `@row`, `@id` where the study names an id, and the reason."""
    named = {study.id: "@id"} if study.id else {}
    return treated.loc[list(faults), ["@row", *named]].rename(columns=named).assign(reason=list(faults.values()))


def _said(trained: "Trained", rows: Examples, names: Sequence[str]) -> dict[str, Any]:
    """What the model says of each row, by the columns of these names that it is told in."""
    from models.tasks import task_of

    predicted, spread = trained.told(rows)
    answers = task_of(trained.inputs).answers(predicted, trained.inputs, trained.threshold)
    named = dict(zip(names, answers, strict=True))
    if trained.pretrained:
        named["unusual"] = trained.unusual(rows)
    if spread is not None:
        named["spread"] = spread
    return named


def _decoded(raw: Raw, study: Study, schema: Schema, folder: Path) -> DecodedColumns:
    """New rows with their files decoded, to the form of the training ones; an unreadable one leaves out its row."""
    import numpy as np

    table = spelled(raw.table, study).reset_index(drop=True)
    held = {name: column for name, column in payload_columns(study).items() if name in schema.features}
    held = bundle.as_trained(held, folder)
    check_columns(table, held)
    return decode(
        replace(raw, table=table),
        held,
        max_unreadable=1.0,
        allocate_for=lambda name: np.zeros,
        tell=lambda said: None,
    )


def _check_figures(normalizer: Normalizer, schema: Schema, payloads: Mapping[str, Payloads]) -> None:
    """Raises MedloopError where pictures or sequences are of another form, so that figures would change places."""
    encoding = normalizer.payloads
    if encoding is None:
        return
    for name, of in encoding.figures.items():
        is_image = schema.features[name].type == "image"
        made = (
            image_feature_names(payloads[name], cells=encoding.cells)
            if is_image
            else signal_feature_names(payloads[name])
        )
        if tuple(made) != of.names:
            raise MedloopError(
                f"the new payloads of {name} are not as those that the model was trained on",
                where=f"column {name}, whose training rows give {listed(of.names, 6)}",
                mend="give the same channels, and moments (a column `time`) where there were some, and none else",
            )


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
