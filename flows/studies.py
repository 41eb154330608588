"""Where settings are written down, and reading them as plain values: params.yaml and studies/NAME.yaml.

Apart from `flows.settings`, which checks them: that takes importing every step.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from contracts.errors import MedloopError
from contracts.names import check_name, nearest

PARAMS = "params.yaml"
MAX_SETTINGS_BYTES = 4_000_000


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping from a YAML file of plain values.

    Raises MedloopError when it is missing, broken, has tags that would build objects, or aliases that multiply.
    """
    if not path.is_file():
        raise MedloopError(f"there is no {path.name}", where=str(path), mend="create it or check the name")
    if path.stat().st_size > MAX_SETTINGS_BYTES:
        raise MedloopError("settings are small files, this one is over 4 MB", where=str(path))
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_hostile(text)
        loaded = YAML(typ="safe").load(text)
    except UnicodeDecodeError:
        raise MedloopError("not UTF-8 text", where=str(path), mend="save it as UTF-8") from None
    except YAMLError as error:
        mend = "indent with spaces; YAML takes no tabs" if "\t" in text else "correct the line"
        raise MedloopError(f"not plain YAML: {_first_line(error)}", where=_position(path, error), mend=mend) from None
    if not isinstance(loaded, dict):
        raise MedloopError("a mapping of sections was expected", where=str(path))
    return loaded


def refuse_unknown(root: Path, names: Iterable[str]) -> None:
    """Raises MedloopError for a name that is no study's."""
    known = study_names(root)
    for name in names:
        if name not in known:
            raise MedloopError(f"there is no study {name!r}{nearest(name, known)}", mend=f"one of: {', '.join(known)}")


def _refuse_hostile(text: str) -> None:
    """Tags could build objects, aliases can multiply into gigabytes; settings need neither."""
    from ruamel.yaml.events import AliasEvent

    for event in YAML(typ="safe").parse(text):
        tag = getattr(event, "tag", None)
        if isinstance(event, AliasEvent) or tag:
            line = event.start_mark.line + 1
            what = f"the tag {tag}" if tag else "an alias (*name)"
            raise YAMLError(f"line {line}: {what} is refused; write plain values")


def _first_line(error: YAMLError) -> str:
    return str(getattr(error, "problem", None) or str(error).splitlines()[0])


def _position(path: Path, error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"{path}, line {mark.line + 1}" if mark else str(path)


def study_file(root: Path, name: str) -> Path:
    """Where a study of this name is declared."""
    return root / "studies" / f"{check_name(name, what='study')}.yaml"


def study_files(root: Path) -> list[Path]:
    """The files that declare studies, unchecked; an editor's hidden ones are none."""
    return sorted((root / "studies").glob("[!.]*.yaml"))


def study_names(root: Path) -> list[str]:
    """The studies that this workspace declares, their names and files unchecked."""
    return sorted(path.stem for path in study_files(root))


def default_study(root: Path) -> str:
    """The study that `medloop run` runs when none is named."""
    return check_name(
        read_yaml(root / PARAMS).get("default_study"), what="study", where=f"{root / PARAMS}, default_study"
    )
