"""What a team is told of, where to, and in which words: the section `notify` of params.yaml and of a study."""

import os
import re
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, ValidationError, field_validator

from contracts.errors import MedloopError
from contracts.names import nearest
from contracts.study import Frozen
from flows.studies import PARAMS, read_yaml, study_file

Kind = Literal["failed", "late", "promoted", "drifted", "asks"]
KINDS: tuple[Kind, ...] = get_args(Kind)
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Addresses of these kinds need hold no secret; all others are secrets themselves.
OPEN = ("json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos", "syslog", "dbus")
HARMLESS = ("from", "to", "cc", "bcc", "name", "format", "method", "mode", "verify", "cto", "rto", "smtp", "reply")
BLOCK = re.compile(r"block:([a-z0-9-]+/[A-Za-z0-9][A-Za-z0-9 _-]*)")
MEND = """name an environment variable that holds it, "${TEAM_CHAT}", or a Prefect block, "block:slack-webhook/team\""""


class NotifyParams(Frozen):
    """Whom medloop tells of what, by apprise (https://github.com/caronc/apprise/wiki). No stage reads these.

    to: addresses such as json://host:8080/path or mailto://host?from=a@b.org&to=c@d.org; what holds a password or a
        token, as those of chats do, is named instead: "${VARIABLE}" of the environment, or block:TYPE/NAME of Prefect.
    on: failed: a run did. late: a slot took longer than its deadline, or was missed. promoted: another champion.
        drifted: new rows are beyond a limit. asks: a person has to decide.
    """

    to: tuple[str, ...] = ()
    on: tuple[Kind, ...] = Field(default=KINDS)

    @field_validator("to")
    @classmethod
    def _no_secrets(cls, to: tuple[str, ...]) -> tuple[str, ...]:
        for number, place in enumerate(to, 1):
            if not (VARIABLE.search(place) or BLOCK.fullmatch(place)):
                refuse_secret(place, number)
        return to


def refuse_secret(place: str, number: int) -> None:
    """Raises ValueError for an address that holds a secret, or may; it is not shown."""
    try:
        url = urlsplit(place)
        secret = url.scheme not in OPEN or url.password is not None or url.username is not None
        secret = secret or any(key.lower() not in HARMLESS for key, _ in parse_qsl(url.query, keep_blank_values=True))
    except ValueError:
        secret = True
    if "://" not in place and not place.startswith("block:"):
        raise ValueError(f"address {number} of `to` is none: one such as json://host:8080 was expected; {MEND}")
    if secret:
        raise ValueError(f"address {number} of `to` holds a secret, or may, and this file lies in Git; {MEND}")


class Notice(Frozen):
    """Something that happened to a study. next: the one command that a person may want. key: the run's."""

    kind: Kind | Literal["trial"]
    study: str
    what: str
    next: str = ""
    key: str = ""

    @property
    def subject(self) -> str:
        """In a few words."""
        said = {
            "failed": "a run failed",
            "late": "a run is late",
            "promoted": "another champion",
            "drifted": "new data have drifted",
            "asks": "a person has to decide",
            "trial": "a trial message",
        }
        return f"medloop: {self.study}: {said[self.kind]}"

    def text(self, when: str) -> str:
        """Plain text: what happened, to what, when, and the command that may come next."""
        of = f"study {self.study}, {when}{f', run {self.key}' if self.key else ''}"
        return "\n".join([self.what, of, *([f"next: {self.next}"] if self.next else [])])


def declared(root: Path, study: str) -> NotifyParams:
    """Whom to tell of this study, its own file before params.yaml. Raises MedloopError naming the key."""
    shared, own = read_yaml(root / PARAMS), dict[str, Any]()
    if study_file(root, study).is_file():
        own = read_yaml(study_file(root, study))
    try:
        return NotifyParams.model_validate({**(shared.get("notify") or {}), **(own.get("notify") or {})})
    except (ValidationError, TypeError) as error:
        file = study_file(root, study) if own.get("notify") else root / PARAMS
        keys, problem = _said(error)
        problem, _, mend = problem.partition("; ")
        where = f"{file}, {'.'.join(['notify', *keys])}"
        raise MedloopError(problem, where=where, mend=mend or "docs/notifications.md says what fits") from None


def _said(error: ValidationError | TypeError) -> tuple[list[str], str]:
    """Which key is wrong, and what with it; what stands there may be a secret, and is not shown."""
    if not isinstance(error, ValidationError):
        return [], "a mapping was expected"
    first = error.errors(include_input=False)[0]
    keys = [str(part) for part in first["loc"][:1]]
    if first["type"] == "extra_forbidden":
        return keys, f"unknown key {keys[0]}{nearest(keys[0], NotifyParams.model_fields)}"
    if first["type"] == "tuple_type":
        return keys, "a list was expected, in brackets"
    return keys, str(first["msg"]).removeprefix("Value error, ")


def filled(place: str) -> str:
    """An address with its variables filled in. Raises MedloopError for one that is not set."""
    missing = [name for name in VARIABLE.findall(place) if not os.environ.get(name)]
    if missing:
        raise MedloopError(f"the environment variable {missing[0]} is not set", mend=f"export {missing[0]}=…")
    return VARIABLE.sub(lambda found: os.environ[found[1]], place)
