"""What decoding a column's files gives; one shape for images, sequences and texts."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from contracts.payloads import Payloads

Kind = TypeVar("Kind", Payloads, "list[str]")


@dataclass(frozen=True, kw_only=True)
class Decoded(Generic[Kind]):
    """The payloads of N files, in their order.

    faults: by position, why a file could not be read, without its name; its payload is zeros, no steps, or "".
    facts: what provenance records, plain JSON.
    """

    payloads: Kind
    faults: dict[int, str] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)
