"""Names that reach a shell command or a path are checked before anything else sees them."""

import difflib
import re
from collections.abc import Iterable

from contracts.errors import MedloopError, masked

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def check_name(name: object, *, what: str, where: str = "") -> str:
    """`name` itself when it is safe in a path and a command.

    Raises MedloopError when it holds anything but a-z, 0-9 and hyphens: `../x` and `x; y` are refused.
    """
    if isinstance(name, str) and NAME.fullmatch(name):
        return name
    raise MedloopError(
        f"a {what} name is made of a-z, 0-9 and hyphens, at most 64; got {masked(name)!r}",
        where=where,
        mend=f"rename the {what}",
    )


def nearest(word: str, choices: Iterable[str]) -> str:
    """` (did you mean X?)` when a choice resembles `word`, else nothing."""
    found = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f" (did you mean {found[0]}?)" if found else ""
