"""What is needed to score new rows as a run did: declaration, fitted steps, weights; sealed by a manifest of hashes."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePath

from contracts.errors import MedloopError
from contracts.payloads import Payloads
from contracts.study import Column, Study
from contracts.tables import Schema
from flows.stages import Context
from flows.store import read_json, read_model, write_json
from models.tasks import MODULES
from pipelines.clean import CleanParams
from pipelines.image.picture import CHANNELS
from pipelines.sources import FileSource, Layout, QuerySource, Source

Form = dict[str, object]

# What MLflow reads of a model, and nothing else does; the manifest seals all other files.
MANIFEST, DESCRIPTION = "manifest.json", "MLmodel"
FITTED = {
    "ingest": "declaration.json",
    "clean": "schema.json",
    "impute": "imputer.json",
    "normalize": "normalizer.json",
}


def pack(context: Context, folder: Path) -> Path:
    """Copies the fitted steps and weights of one model into `folder`."""
    folder.mkdir(parents=True)
    write_json(folder / "clean.json", context.settings.clean)
    source = context.settings.source
    if isinstance(source, QuerySource):
        write_json(folder / "query.json", _placeless(source))
    provenance = read_json(context.folder("ingest") / "provenance.json")
    write_json(folder / "layout.json", as_read(source, provenance))
    write_json(folder / "pseudonyms.json", {"key": provenance["key"]})
    write_json(folder / "forms.json", forms(context.payloads(), provenance["decoded"]))
    for stage, name in FITTED.items():
        shutil.copyfile(context.folder(stage) / name, folder / name)
    shutil.copytree(context.model_folder("train") / "model", folder / "weights")
    write_json(folder / MANIFEST, {"sha256": _hashes(folder)})
    return folder


def as_read(source: Source, provenance: Mapping[str, object]) -> dict[str, object]:
    """The layout, and which labels ingest took where the study leaves that to the rows: few others have other codes."""
    layout = _layout(source)
    open_ = "labels" in layout and layout["labels"] is None
    return {**layout, "labels": provenance.get("labelled")} if open_ else layout


def _layout(source: Source) -> dict[str, object]:
    """How the values lay in the source's files; a database has no layout. New rows are never lost for being ragged.

    No place of this machine or of a server is kept: there, paths in cells count from beside the new table.
    """
    if not isinstance(source, Layout):
        return {}
    kept = source.model_dump(include=set(Layout.model_fields) - {"ragged"})
    elsewhere = source.folder is not None and ("://" in source.folder or PurePath(source.folder).is_absolute())
    return {**kept, "folder": None} if elsewhere else kept


def _placeless(query: QuerySource) -> QuerySource:
    """The query over tables that are files known by the tables' names alone."""
    named = {name: FileSource.model_validate({"path": name, **_layout(of)}) for name, of in query.tables.items()}
    return query.model_copy(update={"tables": named})


def forms(payloads: Mapping[str, Payloads], decoded: Mapping[str, Mapping[str, object]]) -> dict[str, Form]:
    """By image and sequence column the form that the training files had, as a study declares it.

    What a study leaves open, new files would settle among themselves, and be read as something else.
    """
    found: dict[str, Form] = {}
    for name, of in payloads.items():
        if of.offsets is None:
            _, channels, height, width = of.values.shape
            colour = "rgb" if channels == len(CHANNELS["rgb"]) else "grey"
            found[name] = {"size": [height, width], "colour": colour, "depth": 8 * of.values.dtype.itemsize}
        else:
            found[name] = {"channels": list(of.channels), "rate": decoded.get(name, {}).get("rate")}
    return found


def kept_forms(folder: Path) -> dict[str, Form]:
    """What `forms` told of a bundle; nothing where it was packed before that was kept."""
    path = folder / "forms.json"
    known: dict[str, Form] = read_json(path) if path.is_file() else {}
    return known


def as_trained(columns: Mapping[str, Column], folder: Path) -> dict[str, Column]:
    """The columns with what their study left open as it was in training."""
    known = kept_forms(folder)
    told = {name: column.model_dump(exclude_defaults=True) for name, column in columns.items()}
    return {name: Column.model_validate({**known.get(name, {}), **column}) for name, column in told.items()}


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in (MANIFEST, DESCRIPTION))
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def seal(folder: Path) -> str:
    """A hash over the manifest, and so over all that it seals; the run that made the bundle keeps it."""
    return hashlib.sha256(json.dumps(read_json(folder / MANIFEST), sort_keys=True).encode()).hexdigest()


def verify(folder: Path, of: str = "") -> None:
    """Raises MedloopError when a file of the bundle is missing, changed or was added. `of`: what a person calls it."""
    try:
        expected, found = read_json(folder / MANIFEST)["sha256"], _hashes(folder)
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    except (MedloopError, KeyError, AttributeError):  # one that is damaged itself
        wrong = [MANIFEST]
    if wrong:
        raise MedloopError(
            f"the model's files are not those that were recorded: {', '.join(wrong)}",
            where=of or str(folder),
            mend="do not use it; medloop doctor --mend packs those of champions and challengers again",
        )


def declaration(folder: Path) -> tuple[Study, CleanParams, Schema]:
    """How the bundle's study reads its rows."""
    return (
        read_model(folder / "declaration.json", Study),
        read_model(folder / "clean.json", CleanParams),
        read_model(folder / "schema.json", Schema),
    )


def signature(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The columns that the model takes and those that it gives, each `double` or `string`."""
    study, _, schema = declaration(folder)
    roles = {role: "string" for role in (study.id, study.time) if role}
    features = {name: "double" if c.type == "numeric" else "string" for name, c in schema.features.items()}
    return {**roles, **features}, MODULES[schema.task].columns(study.target)
