"""How far each column was from what the champion learnt from, at each look for drift: a table to be coloured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_COLUMNS, MOST_LOOKS = 20, 12


@dataclass(frozen=True, kw_only=True)
class Heat:
    """`looks`: when, the oldest first; `lines`: a column and at each look its verdict and PSI, empty where unknown."""

    looks: list[str]
    lines: list[tuple[str, list[tuple[str, str]]]]
    more: int


def heat(found: Sequence[Mapping[str, Any]]) -> Heat | None:
    """Of looks for drift, the latest first, the columns that were furthest; None where no column was looked at."""
    looks = [one for one in reversed(found[:MOST_LOOKS]) if isinstance(one.get("columns"), list)]
    by_look = [{str(of.get("column")): of for of in one["columns"] if isinstance(of, dict)} for one in looks]
    names = dict.fromkeys(name for of in by_look for name in of)
    order = sorted(names, key=lambda name: -max(_psi(of.get(name, {})) or 0.0 for of in by_look))
    if not order:
        return None
    return Heat(
        looks=[str(one.get("looked") or "")[:16].replace("T", " ") for one in looks],
        lines=[(name, [_cell(of.get(name, {})) for of in by_look]) for name in order[:MOST_COLUMNS]],
        more=max(0, len(order) - MOST_COLUMNS),
    )


def _cell(of: Mapping[str, Any]) -> tuple[str, str]:
    psi = _psi(of)
    return str(of.get("verdict", "")), "" if psi is None else f"{psi:.2f}"


def _psi(of: Mapping[str, Any]) -> float | None:
    psi = of.get("psi")
    return float(psi) if isinstance(psi, int | float) else None
