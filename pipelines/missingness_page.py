"""The page of the pattern of missingness. No patient's value is on it."""

import math
from html import escape
from typing import Any

from contracts.errors import listed
from pipelines.gap_costs import Compared
from pipelines.missingness import WORST, Missingness
from pipelines.page import BLUE, RED, figure, page, section, table

DIVERGING = [[0, RED], [0.5, "#ffffff"], [1, BLUE]]
GAP = [[0, "#eef2f5"], [1, BLUE]]
LEVEL = 0.05


def missingness_page(found: Missingness, title: str) -> str:
    """The answer in a sentence, then shares, patterns, which columns go missing together, and Little's test."""
    holed = sum(share > 0 for share in found.shares.values())
    answer = (
        f"{found.cells:.1%} of the cells are missing, in {holed:,} of {len(found.shares):,} columns; "
        f"{found.complete:,} of {found.rows:,} rows have no gap."
    )
    note = f"The training rows, after cleaning. {_verdict(found)}"
    return page(title, answer if holed else "No cell is missing.", note, _sections(found) if holed else [])


def _sections(found: Missingness) -> list[str]:
    shown = min(len(found.blocks), WORST)
    more = f"; the {shown} with the most gaps of {len(found.blocks)}" if len(found.blocks) > shown else ""
    sections = [section("Missing by column", f"Columns with gaps in the same rows are one bar{more}", _shares(found))]
    if found.patterns:
        told = f"Blue: missing. Only patterns that 5 rows or more share, of {found.distinct:,} in all{_off_map(found)}"
        sections.append(section("Patterns", told, _patterns(found)))
    if len(found.worst) > 1:
        told = "Correlation of gaps. Blue: missing in the same rows; red: one has a value where the other has none"
        sections.append(section("Missing together", told, _together(found) + _pairs(found)))
    sections.append(section("Completely at random?", _verdict(found), _little(found)))
    if found.costs:
        told = (
            "Estimates from the rows that have a value, and pooled over completed data sets (multiple imputation), "
            "with 95 % intervals; and the share of the information on each that the gaps took. The odds ratio is that "
            "of the label by standard deviation"
        )
        sections.append(section("What the gaps cost", told, _costs(found)))
    return sections


def _verdict(found: Missingness) -> str:
    test = found.little
    if test.p is None:
        return f"Little’s test says nothing: {test.reason}."
    p = f"p = {test.p:.3f}" if test.p >= 0.001 else "p < 0.001"
    if test.p < LEVEL:
        return f"Gaps are not completely at random (Little’s test, {p}): whether a cell is missing depends on others."
    return f"Nothing speaks against gaps completely at random (Little’s test, {p})."


def _little(found: Missingness) -> str:
    test = found.little
    if test.p is None:
        return ""
    lines = [
        ("chi-squared", f"{test.statistic:,.1f} on {test.freedom:,} degrees of freedom"),
        ("rows tested", "one a patient, since a patient’s rows are alike; at most 5,000"),
        ("columns tested", listed(test.columns, most=12)),
        ("if they are not", "a mean or median shifts what follows; regression, mice or forest use the other columns"),
        ("what it cannot see", "gaps that depend on the missing value itself"),
    ]
    return table(("Little’s test", "normal scores of numeric columns"), lines)


def _costs(found: Missingness) -> str:
    def cells(compared: Compared | None, *, odds: bool) -> list[str]:
        if compared is None:
            return ["–"] * 3
        ends = [[e.value, e.low, e.high] for e in (compared.known, compared.pooled)]
        shown = [[math.exp(v) for v in end] if odds else end for end in ends]
        return [*(f"{value:.4g} ({low:.4g} to {high:.4g})" for value, low, high in shown), f"{compared.lost:.0%}"]

    lines = [
        (c.column, f"{c.missing:.1%}", *cells(c.mean, odds=False), *cells(c.association, odds=True))
        for c in found.costs[:WORST]
    ]
    head = ("column", "missing", "mean, known", "pooled", "lost", "odds ratio, known", "pooled", "lost")
    return table(head, lines)


def _label(name: str, found: Missingness, most: int = 34) -> str:
    """A column's short name, and how many others have the same gaps."""
    block = next((b for b in found.blocks if name in b.columns), None)
    others = f" + {len(block.columns) - 1}" if block and len(block.columns) > 1 else ""
    return escape((name if len(name) <= most else f"{name[: most - 1]}…") + others)


def _axis(names: list[str], found: Missingness, **more: Any) -> dict[str, Any]:
    ticks = [_label(name, found) for name in names]
    return {"tickvals": list(range(len(names))), "ticktext": ticks, "showgrid": False, "tickfont": {"size": 12}, **more}


def _shares(found: Missingness) -> str:
    import plotly.graph_objects as go

    blocks = found.blocks[:WORST]
    names, shares = [block.columns[0] for block in blocks], [block.share for block in blocks]
    told = [f"{escape(listed(block.columns))}: {block.share:.1%}" for block in blocks]
    bars = go.Bar(
        x=shares, y=list(range(len(names))), orientation="h", marker={"color": BLUE}, hovertext=told, hoverinfo="text",
        text=[f"{share:.1%}" for share in shares], textposition="outside", cliponaxis=False,
    )  # fmt: skip
    layout = {
        "height": 90 + 22 * len(names),
        "xaxis": {"tickformat": ".0%", "range": [0, 1.08], "dtick": 0.2, "title": "share of the rows"},
        "yaxis": _axis(names, found, autorange="reversed"),
    }
    return figure("shares", [bars], layout)


def _drawn(found: Missingness) -> list[str]:
    """The first columns of the blocks that the patterns' map shows: those with gaps in some pattern, at most 40."""
    missing = {name for pattern in found.patterns for name in pattern.columns}
    return [block.columns[0] for block in found.blocks if block.columns[0] in missing][:WORST]


def _off_map(found: Missingness) -> str:
    missing = {name for pattern in found.patterns for name in pattern.columns}
    count = sum(block.columns[0] in missing for block in found.blocks)
    return f"; the {WORST} columns with the most gaps of {count}" if count > WORST else ""


def _patterns(found: Missingness) -> str:
    import plotly.graph_objects as go

    names = _drawn(found)
    if not names:
        return f"<p>{found.patterns[0].rows:,} rows have no gap; no other pattern is shared by 5 rows.</p>"
    cells = [[int(name in pattern.columns) for name in names] for pattern in found.patterns]
    heat = go.Heatmap(z=cells, colorscale=GAP, zmin=0, zmax=1, showscale=False, xgap=1, ygap=1, hoverinfo="skip")
    rows = [f"{pattern.rows:,} rows ({pattern.rows / found.rows:.1%})" for pattern in found.patterns]
    layout = {
        "height": 260 + 22 * len(rows),
        "xaxis": _axis(names, found, tickangle=-60),
        "yaxis": {"tickvals": list(range(len(rows))), "ticktext": rows, "showgrid": False, "autorange": "reversed"},
    }
    return figure("patterns", [heat], layout)


def _together(found: Missingness) -> str:
    import plotly.graph_objects as go

    names = list(found.worst)
    heat = go.Heatmap(
        z=[list(row) for row in found.correlation], colorscale=DIVERGING, zmin=-1, zmax=1, xgap=1, ygap=1,
        hovertemplate="%{z:.2f}<extra></extra>", colorbar={"thickness": 12, "title": ""},
    )  # fmt: skip
    layout = {
        "height": 300 + 17 * len(names),
        "xaxis": _axis(names, found, tickangle=-60),
        "yaxis": _axis(names, found, autorange="reversed"),
    }
    return figure("together", [heat], layout)


def _pairs(found: Missingness) -> str:
    lines = [(pair.first, pair.second, f"{pair.correlation:+.2f}") for pair in found.pairs]
    return table(("column", "column", "correlation of gaps"), lines) if lines else ""
