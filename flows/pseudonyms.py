"""The key of a workspace's pseudonyms and date shifts; it never leaves the machine."""

import os
import secrets
from pathlib import Path

from contracts.errors import MedloopError
from flows.home import home
from pipelines.protect import key_mark

VARIABLE = "MEDLOOP_PSEUDONYM_KEY"
SHORTEST = 32


def key_file(root: Path) -> Path:
    """Where the key lies, outside Git; only its owner may read it."""
    return home(root) / "pseudonym.key"


def first_key(root: Path) -> bytes:
    """The key of the environment, else of the file, which is made where there is neither.

    Raises MedloopError when it is shorter than 32 characters, so that it could be guessed.
    """
    if not _environment() and not key_file(root).is_file():
        _make(key_file(root))
    return _long_enough(_text(root), root)


def same_key(root: Path, mark: str) -> bytes:
    """The key that `mark` was made of (see `pipelines.protect.key_mark`).

    Raises MedloopError when there is none here, or another: it would give other pseudonyms and other dates.
    """
    text = _text(root)
    if text and key_mark(_long_enough(text, root)) == mark:
        return text.encode()
    raise MedloopError(
        "another key than the one that the study's people were hidden with" if text else "there is no key here",
        where=_where(root),
        mend=f"bring {key_file(root).name} from where the study ran, or set {VARIABLE}",
    )


def _environment() -> str:
    return os.environ.get(VARIABLE, "").strip()


def _text(root: Path) -> str:
    path = key_file(root)
    return _environment() or (path.read_text(encoding="utf-8").strip() if path.is_file() else "")


def _where(root: Path) -> str:
    return VARIABLE if _environment() else str(key_file(root))


def _long_enough(text: str, root: Path) -> bytes:
    if len(text) >= SHORTEST:
        return text.encode()
    raise MedloopError(
        f"a key of {SHORTEST} characters or more was expected; got {len(text)}",
        where=_where(root),
        mend="take the output of: openssl rand -hex 32",
    )


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secrets.token_hex(32) + "\n")
