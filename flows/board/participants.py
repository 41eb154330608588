"""How many rows came in, which left and why, and where the others went: what a participants' flow diagram shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STAYS = ("near-duplicates count as one patient", "equal rows kept")  # rules of the ledger that take no row away
NAMES = {"train": "Training", "validation": "Validation", "test": "Test"}


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the samples: `more` says what was made of it."""

    name: str
    rows: int
    more: str = ""


@dataclass(frozen=True, kw_only=True)
class Participants:
    """The flow of rows. `left`: why, and how many; a row can have several reasons. `patients`: 0: not known."""

    read: int
    left: tuple[tuple[str, int], ...]
    samples: int
    patients: int
    parts: tuple[Part, ...]

    @property
    def gone(self) -> int:
        """Rows that left."""
        return self.read - self.samples

    @property
    def overlap(self) -> bool:
        """Whether reasons count a row more than once, or not at all."""
        return sum(rows for _, rows in self.left) != self.gone


def participants(
    provenance: Mapping[str, Any],
    ledger: Sequence[Mapping[str, Any]],
    certificate: Mapping[str, Any],
    balance: Mapping[str, Any],
) -> Participants:
    """The flow, as a run's own files tell it: where the data came from, the ledger, the certificate, the balance."""
    parts = {name: int(part["count"]) for name, part in certificate.get("parts", {}).items()}
    left = tuple((_reason(one), int(one["rows"])) for one in ledger if one["rows"] and one["rule"] not in STAYS)
    samples = sum(parts.values())
    checks = {one["name"]: one.get("evidence", {}) for one in certificate.get("checks", [])}
    order = sorted(parts, key=lambda name: [*NAMES, name].index(name))
    return Participants(
        read=int(provenance.get("rows") or samples + sum(rows for _, rows in left)),
        left=left,
        samples=samples,
        patients=int(checks.get("patients", {}).get("patients", 0)),
        parts=tuple(
            Part(name=NAMES.get(name, name), rows=parts[name], more=_balanced(balance) if name == "train" else "")
            for name in order
        ),
    )


def _reason(change: Mapping[str, Any]) -> str:
    return ", ".join(str(change[key]) for key in ("rule", "column", "detail") if change.get(key))


def _balanced(balance: Mapping[str, Any]) -> str:
    """What balancing did to the training rows."""
    made, masked = (sum(balance.get(what, {}).values()) for what in ("made", "masked"))
    told = [f"{made:,} rows made" if made else "", f"{masked:,} rows masked" if masked else ""]
    method = balance.get("method", "none")
    what = ", ".join(filter(None, told))
    return "" if method == "none" else f"balanced by {method}{': ' * bool(what)}{what}"
