"""`-S section.key=value`: sets a value in the study's own file, its comments kept, or leaves it as it was."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import RoundTripRepresenter

from contracts.errors import MedloopError
from contracts.names import nearest
from flows import workers
from flows.plan import unheard
from flows.settings import SECTIONS, load
from flows.store import replacing, write_text
from flows.studies import study_file


def apply(root: Path, studies: Sequence[str], assignments: Sequence[str]) -> None:
    """Sets values in every studies/STUDY.yaml, as `dvc exp run -S` would.

    Raises MedloopError, and leaves all the files as they were, when a study, a key or a value is wrong.
    """
    for study in studies:
        load(root, study)
    before = {path: path.read_bytes() for path in (study_file(root, study) for study in studies)}
    try:
        for path, content in before.items():
            write_text(path, _changed(content, assignments))
        for study in studies:
            _check(root, study, assignments)
    except BaseException:
        for path, content in before.items():
            with replacing(path) as temporary:
                temporary.write_bytes(content)
        raise


def write(path: Path, assignments: Sequence[str]) -> None:
    """Sets values in a study's file, unchecked but for their sections."""
    write_text(path, _changed(path.read_bytes(), assignments))


def _changed(content: bytes, assignments: Sequence[str]) -> str:
    document = _round_trip().load(content.decode("utf-8"))
    for assignment in assignments:
        _set(document, assignment)
    stream = io.StringIO()
    _round_trip().dump(document, stream)
    return stream.getvalue()


def _check(root: Path, study: str, assignments: Sequence[str]) -> None:
    """Models are checked only when touched: that takes the seconds that importing torch does."""
    settings = load(root, study)
    if any(assignment.startswith("models.") for assignment in assignments):
        from flows.preflight import check_models

        workers.call("the models' settings", check_models, root, settings, say=unheard)


class _NullsAsWritten(RoundTripRepresenter):
    """Writes None as `null`, as studies do; a class of its own, since DVC's files are written by the original."""


_NullsAsWritten.add_representer(type(None), lambda own, _: own.represent_scalar("tag:yaml.org,2002:null", "null"))


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.width = 4096
    yaml.preserve_quotes = True
    yaml.Representer = _NullsAsWritten
    return yaml


def _set(document: CommentedMap, assignment: str) -> None:
    dotted, equals, text = assignment.partition("=")
    keys = dotted.split(".")
    if not equals or len(keys) < 2 or not all(keys):
        raise MedloopError(f"-S takes section.key=value; got {assignment!r}", mend="for example -S train.epochs=3")
    if keys[0] not in SECTIONS:
        raise MedloopError(
            f"unknown section {keys[0]}{nearest(keys[0], SECTIONS)}",
            where=f"-S {assignment}",
            mend=f"one of: {', '.join(SECTIONS)}",
        )
    section: Any = document
    for key in keys[:-1]:
        if not isinstance(section.get(key), dict):
            section[key] = CommentedMap()
        section = section[key]
    section[keys[-1]] = _value(text, assignment)


def _value(text: str, assignment: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text) if text else ""
    except YAMLError:
        raise MedloopError("the value is not YAML", where=f"-S {assignment}", mend="quote it") from None
