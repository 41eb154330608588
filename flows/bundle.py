"""What is needed to score new rows as a run did: declaration, fitted steps, weights; sealed by a manifest of hashes."""

import hashlib
import shutil
from pathlib import Path

from contracts.errors import MedloopError
from contracts.study import Study
from contracts.tables import Schema
from flows.stages import Context
from flows.store import read_json, read_model, write_json
from pipelines.clean import CleanParams
from pipelines.sources import Layout, Source

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
    write_json(folder / "layout.json", _layout(context.settings.source))
    write_json(folder / "pseudonyms.json", {"key": read_json(context.folder("ingest") / "provenance.json")["key"]})
    for stage, name in FITTED.items():
        shutil.copyfile(context.folder(stage) / name, folder / name)
    shutil.copytree(context.model_folder("train") / "model", folder / "weights")
    write_json(folder / MANIFEST, {"sha256": _hashes(folder)})
    return folder


def _layout(source: Source) -> dict[str, object]:
    """How the values lay in the source's files; a database has no layout. New rows are never lost for being ragged."""
    kept = set(Layout.model_fields) - {"ragged"}
    return source.model_dump(include=kept) if isinstance(source, Layout) else {}


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in (MANIFEST, DESCRIPTION))
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def verify(folder: Path) -> None:
    """Raises MedloopError when a file of the bundle is missing, changed or was added."""
    expected, found = read_json(folder / MANIFEST)["sha256"], _hashes(folder)
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise MedloopError(
            f"the model's files are not those that were recorded: {', '.join(wrong)}",
            where=str(folder),
            mend="do not use it; fetch it again or train it again",
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
    return {**roles, **features}, {"predicted": "string", **{f"probability={c}": "double" for c in schema.classes}}
