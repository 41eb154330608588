"""What in running text may tell who a person is, as far as its form shows it, and texts without it.

Source of the kinds: 45 CFR 164.514(b)(2)(i)(A) to (R). What no form betrays is not found: a name without a title, role
or degree beside it, a place without number or ZIP code, an employer, a rare disease.
"""

import re
from functools import cache

from pipelines.text.identifier_forms import FORMS
from pipelines.text.words import DIGIT

WITHOUT_DIGITS = ("e-mail", "web address", "name")
Find = tuple[str, int, int]


def find_identifiers(text: str) -> list[Find]:
    """The kind of each identifier and where it begins and ends, in order; none overlap."""
    found: list[Find] = []
    taken = bytearray(len(text))
    for kind, form in _forms(numbered=bool(DIGIT.search(text))):
        for match in form.finditer(text):
            start, end = match.span("it" if "it" in form.groupindex else 0)
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                found.append((kind, start, end))
    return sorted(found, key=lambda find: find[1:])


def redacted(text: str) -> str:
    """The text with `[kind]` for each identifier that can be found; done twice it is the same."""
    parts, last = [], 0
    for kind, start, end in find_identifiers(text):
        parts += [text[last:start], f"[{kind}]"]
        last = end
    return "".join([*parts, text[last:]])


@cache
def _forms(*, numbered: bool) -> list[tuple[str, re.Pattern[str]]]:
    """The forms that a text with or without digits may hold."""
    return [(kind, re.compile(form)) for kind, form in FORMS if numbered or kind in WITHOUT_DIGITS]
