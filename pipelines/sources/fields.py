"""Columns from files of XML, by XPath 1.0."""

from collections.abc import Mapping
from typing import Any


class NoXmlError(ValueError):
    """The bytes are no XML that may be read."""


def check_fields(fields: Mapping[str, str]) -> None:
    """Raises ValueError, naming the key, for an expression that is no XPath and for a column's name that is none."""
    for name, expression in fields.items():
        if not name or name != " ".join(name.split()) or name.startswith("@"):
            raise ValueError(f"fields.{name}: a column has a name that does not begin with @")
        try:
            _evaluated(expression, _parsed(b"<none/>"))
        except ValueError as error:
            raise ValueError(f"fields.{name}: {error}") from error


def extract(data: bytes, fields: Mapping[str, str]) -> list[str]:
    """The text of each field: a truth is `true` or `false`, of several nodes the texts joined by ` | `.

    Spaces are squeezed. Raises NoXmlError for what is no XML or declares entities.
    """
    tree = _parsed(data)
    return [_text(_evaluated(expression, tree)) for expression in fields.values()]


def _evaluated(expression: str, tree: Any) -> Any:
    """Raises ValueError for what is no XPath, calls an unknown function or names an unknown prefix."""
    from lxml import etree

    try:
        return etree.XPath(expression, smart_strings=False, regexp=False)(tree)
    except etree.XPathError as error:
        raise ValueError(f"no XPath 1.0 without namespaces: {error}") from error


def _parsed(data: bytes) -> Any:
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        tree = etree.fromstring(data, parser).getroottree()
    except (etree.XMLSyntaxError, ValueError) as error:
        raise NoXmlError("the file is no XML") from error
    # XPath's string() would expand them, however often each names the next.
    if tree.docinfo.internalDTD is not None and any(True for _ in tree.docinfo.internalDTD.iterentities()):
        raise NoXmlError("the file declares entities, which are not read")
    return tree


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " | ".join(text for node in value if (text := _text(node)))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if value != value else repr(int(value) if value.is_integer() else value)
    return " ".join((value if isinstance(value, str) else "".join(value.itertext())).split())
