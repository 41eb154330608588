"""The pattern of file paths: `{patient}/{scan}.jpg` makes columns of what stands in a path."""

import re
from functools import cache

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@cache
def placeholders(pattern: str) -> tuple[str, ...]:
    """The names in braces, in their order. Raises ValueError for a pattern that is none."""
    names = PLACEHOLDER.findall(pattern)
    for name in names:
        if not name.strip() or name != " ".join(name.split()) or name.startswith("@") or name == "file":
            raise ValueError(f"{{{name}}}: a placeholder has a name, no @ before it, and is not called file")
    if not names or re.search(r"[{}]", PLACEHOLDER.sub("", pattern)):
        raise ValueError("a pattern of files has names in braces, such as {patient}/{scan}.jpg")
    if pattern.startswith("/") or ".." in pattern.split("/"):
        raise ValueError("a pattern of files counts from its folder: no / at its beginning and no ..")
    return tuple(dict.fromkeys(names))


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression; a name that comes again must match alike."""
    groups = {name: f"g{number}" for number, name in enumerate(placeholders(pattern))}
    pieces, seen = PLACEHOLDER.split(pattern), set[str]()
    for position in range(1, len(pieces), 2):
        name = pieces[position]
        pieces[position] = f"(?P={groups[name]})" if name in seen else f"(?P<{groups[name]}>[^/]+)"
        seen.add(name)
    return re.compile("".join(re.escape(piece) if i % 2 == 0 else piece for i, piece in enumerate(pieces)))


def matched(pattern: str, path: str) -> tuple[str, ...] | None:
    """What stands at each placeholder of a path that matches whole; None when it does not."""
    found = _expression(pattern).fullmatch(path)
    return found.groups() if found else None
