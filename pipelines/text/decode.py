"""Text files to strings. What is no text is a fault, by its place."""

from collections import Counter
from collections.abc import Callable, Sequence

from contracts.errors import MedloopError
from pipelines.decoded import Decoded
from pipelines.sources.encodings import MARKS
from pipelines.sources.raw import UnreachableError

LARGEST = 4_000_000  # bytes, about 700,000 words: no clinical text is longer


def decode_texts(
    names: Sequence[str], opened: Callable[[str], bytes], *, tell: Callable[[int], None] = lambda n: None
) -> Decoded[list[str]]:
    """The texts of N files: UTF-8, or UTF-16 with a byte-order mark; "" for a fault.

    `tell` is called with the number of files read so far. A file that is absent, over-long, binary or in another
    encoding is a fault; a source that cannot be reached raises UnreachableError.
    """
    texts, faults, encodings = [], dict[int, str](), Counter[str]()
    for position, name in enumerate(names):
        text = ""
        try:
            text, encoding = text_of(opened(name))
            encodings[encoding] += 1
        except UnreachableError:
            raise
        except MedloopError as error:
            faults[position] = error.problem
        texts.append(text)
        tell(position + 1)
    return Decoded(payloads=texts, faults=faults, facts={"encodings": dict(sorted(encodings.items()))})


def text_of(data: bytes) -> tuple[str, str]:
    """The text without its byte-order mark, and its encoding. Raises MedloopError for what is no text."""
    if len(data) > LARGEST:
        raise MedloopError(f"longer than {LARGEST:,} bytes, so no text of a sample")
    mark = next((mark for mark in MARKS if data.startswith(mark)), b"")
    encoding = MARKS.get(mark, "utf-8")
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise MedloopError(f"not {encoding.upper()} at byte {error.start + len(mark)}") from None
    if "\0" in text:
        raise MedloopError("binary, not text: it holds NUL bytes")
    return text, encoding
