"""What a check found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from contracts.errors import MedloopError

State = Literal["well", "note", "fault"]
Remedy = Callable[[], str]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at: what it is, what it should be and what mends it.

    fault: a person has to know. note: worth saying, no more. remedy: mends it without loss, and says what it did.
    """

    check: str
    state: State
    found: str
    expected: str = ""
    mend: str = ""
    remedy: Remedy | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How closely to look, and who is told what goes on.

    quick: nothing that takes longer than seconds: no object is hashed, nobody outside asked.
    everything: every object of the cache is hashed, however long that takes.
    """

    quick: bool = False
    everything: bool = False
    say: Callable[[str], None] = lambda text: None


def well(check: str, found: str) -> Finding:
    """As it should be."""
    return Finding(check=check, state="well", found=found)


def note(check: str, found: str, mend: str = "", remedy: Remedy | None = None) -> Finding:
    """No reason to act."""
    return Finding(check=check, state="note", found=found, mend=mend, remedy=remedy)


def fault(check: str, found: str, expected: str, mend: str, remedy: Remedy | None = None) -> Finding:
    """A person has to act, or to let it be mended."""
    return Finding(check=check, state="fault", found=found, expected=expected, mend=mend, remedy=remedy)


def of_error(check: str, expected: str, error: MedloopError) -> Finding:
    """What another part of medloop refused."""
    found = f"{error.problem} ({error.where})" if error.where else error.problem
    return fault(check, found, expected, error.mend)
