"""Text files to strings: what is no text is told by its place, and the others are read."""

import codecs

import pytest

from contracts.errors import MedloopError
from pipelines.sources.raw import UnreachableError
from pipelines.text import decode
from pipelines.text.decode import decode_texts

FILES = {
    "plain.txt": "größer als 3 µm".encode(),
    "marked.txt": codecs.BOM_UTF8 + b"clear",
    "wide.txt": codecs.BOM_UTF16_LE + "肺部清晰".encode("utf-16-le"),
    "latin.txt": "größer".encode("latin-1"),
    "binary.txt": b"\x89PNG\0\0\0",
    "cut.txt": codecs.BOM_UTF16_BE + b"\0a\0",
    "nul.txt": b"a\0b",
    "empty.txt": b"",
}


def opened(name: str) -> bytes:
    if name == "gone":
        raise UnreachableError("the server does not answer")
    if name not in FILES:
        raise MedloopError("there is no such file")
    return FILES[name]


def test_texts_are_read_and_faults_told_by_position() -> None:
    seen: list[int] = []
    decoded = decode_texts([*FILES, "absent.txt"], opened, tell=seen.append)
    assert decoded.payloads == ["größer als 3 µm", "clear", "肺部清晰", "", "", "", "", "", ""]
    assert decoded.faults == {
        3: "not UTF-8 at byte 2",
        4: "not UTF-8 at byte 0",
        5: "not UTF-16-BE at byte 4",
        6: "binary, not text: it holds NUL bytes",
        8: "there is no such file",
    }
    assert decoded.facts == {"encodings": {"utf-16-le": 1, "utf-8": 3}}
    assert seen == list(range(1, 10))


def test_an_over_long_file_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "LARGEST", 10)
    decoded = decode_texts(["plain.txt", "marked.txt"], opened)
    assert decoded.faults == {0: "longer than 10 bytes, so no text of a sample"}


def test_a_source_that_cannot_be_reached_is_no_fault_of_the_file() -> None:
    with pytest.raises(UnreachableError):
        decode_texts(["gone"], opened)
