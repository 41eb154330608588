"""The page of drift: the answer, how far each column has moved, the furthest drawn. No patient's value is on it."""

from collections.abc import Sequence
from html import escape

from pipelines.drift import MODERATE, Shift
from pipelines.drift_report import Drift, Worth
from pipelines.page import BLUE, FAINT, RED, figure, page, section, table

BARS, DRAWN = 25, 6
VERDICTS = {
    "drifted": "beyond its limit",
    "open": "large, perhaps chance",
    "moved": "moved, within its limit",
    "same": "as before",
    "told": "not counted",
    "unknown": "cannot be told",
}
HEAD = ("", "PSI", "", "gaps", "new levels", "p, corrected", "test", "why")
HIDDEN = (
    "Shares of those who have a value, by cell; cells of fewer than 5 patients are left blank, and one more beside a "
    "lone one"
)
STYLE = (
    "td:nth-child(2),td:nth-child(4),td:nth-child(7){white-space:nowrap}"
    ".pair{display:grid;grid-template-columns:1fr 1fr;gap:8px 24px}.pair h3{font-size:15px;margin:10px 0 0}"
    "h3 small{font-weight:400;color:#52606d}"
)


def drift_page(found: Drift, title: str) -> str:
    """The answer in a sentence, then columns, scores and what the champion is worth."""
    note = f"Champion: {found.champion}. It learnt from {found.then}; compared: {found.now}. {' '.join(found.notes)}"
    if not found.columns:
        return page(title, found.sentence, note, [])
    every = (*found.columns, *([found.label] if found.label else []))
    moved = [one for one in every if one.psi is not None or one.verdict == "drifted"]
    moved.sort(key=lambda one: (one.verdict != "drifted", -(one.psi or 0)))
    sections = [section("How far each column has moved", _read(found), _bars(moved, found))]
    sections.append(section("The furthest, then and now", HIDDEN, _pairs(moved[:DRAWN], "column")))
    if found.scores:
        told = "The champion's scores of new rows beside those of its own run's test rows"
        sections.append(section("Scores", told, _pairs(found.scores[:4], "score")))
    if found.worth:
        sections.append(section("What the champion is worth", _worth_told(found.worth), _worth(found.worth)))
    sections.append(section("Every column", "", shift_table(found)))
    return page(title, found.sentence, note, sections, style=STYLE)


def _read(found: Drift) -> str:
    return (
        f"Population stability index: under {MODERATE:g} no shift, from {found.params.psi:g} on beyond the limit. Red: "
        "beyond it, and no chance. A large index of few rows may be chance; a test, corrected for all columns, says so"
    )


def shift_table(found: Drift) -> str:
    """Every column, label and score with its measures."""
    return table(HEAD, lines(found, len(found.columns)))


def lines(found: Drift, most: int) -> list[list[str]]:
    """So many columns, the label and the scores, the measures of each as texts; see HEAD."""
    label = [found.label] if found.label else []
    return [_line(one, one.column) for one in (*found.columns[:most], *label)] + [
        _line(one, f"score {one.column}") for one in found.scores
    ]


def _line(one: Shift, name: str) -> list[str]:
    unseen = "" if not one.unseen else f"{one.unseen:.1%}"
    psi = "–" if one.psi is None else f"{one.psi:.2f}"
    p = "–" if one.adjusted is None else "under 0.001" if one.adjusted < 0.001 else f"{one.adjusted:.3f}"
    gaps = "" if not any(one.missing) else f"{one.missing[0]:.1%} → {one.missing[1]:.1%}"
    return [name, psi, VERDICTS[one.verdict], gaps, unseen, p, one.test, one.why]


def _short(name: str, most: int = 38) -> str:
    return escape(name if len(name) <= most else f"{name[: most - 1]}…")


def _bars(moved: Sequence[Shift], found: Drift) -> str:
    import plotly.graph_objects as go

    shown = moved[:BARS]
    names = [_short(one.column) for one in shown]
    colors = [RED if one.verdict == "drifted" else FAINT if one.verdict == "told" else BLUE for one in shown]
    bars = go.Bar(
        x=[one.psi or 0 for one in shown], y=list(range(len(shown))), orientation="h", marker={"color": colors},
        text=[escape(_said(one)) for one in shown],
        textposition="outside", cliponaxis=False, hoverinfo="skip",
    )  # fmt: skip
    far = max(max(one.psi or 0 for one in shown), found.params.psi)
    lines = [
        {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": color, "dash": "dot"}}
        for at, color in ((MODERATE, FAINT), (found.params.psi, RED))
    ]
    ticks = {"tickvals": list(range(len(names))), "ticktext": names, "tickfont": {"size": 12}}
    layout = {
        "height": 90 + 24 * len(shown),
        "shapes": lines,
        "xaxis": {"title": "population stability index", "range": [0, far * 1.6]},
        "yaxis": {**ticks, "autorange": "reversed", "showgrid": False},
    }
    more = f"<p class='note'>The first {BARS} of {len(moved)}.</p>" if len(moved) > BARS else ""
    return figure("psi", [bars], layout) + more


def _said(one: Shift) -> str:
    """The index, and what else is beyond its limit."""
    if one.psi is None:
        return one.why
    index = f"PSI {one.psi:.2f}"
    return one.why if one.why.startswith(index) else f"{index}, {one.why}" if one.why else index


def _pairs(shown: Sequence[Shift], kind: str) -> str:
    drawn = [
        f"<div><h3>{_short(one.column, 48)}{_gaps(one)}</h3>{_pair(one, f'{kind}-{place}')}</div>"
        for place, one in enumerate(shown)
        if one.cells
    ]
    return f'<div class="pair">{"".join(drawn)}</div>'


def _gaps(one: Shift) -> str:
    said = f"{one.missing[0]:.1%} gaps, now {one.missing[1]:.1%}" if any(one.missing) else ""
    return f" <small>{said}</small>" if said else ""


def _pair(one: Shift, name: str) -> str:
    """Shares by cell of those who have a value."""
    import plotly.graph_objects as go

    labels = [_short(cell.label, 22) for cell in one.cells]
    sides = [[cell.then for cell in one.cells], [cell.now for cell in one.cells]]
    places = list(range(len(labels)))
    traces = [
        go.Bar(x=places, y=side, name=said, marker={"color": color}, hovertemplate="%{y:.1%}<extra></extra>")
        for said, side, color in zip(("then", "now"), sides, (FAINT, BLUE), strict=True)
    ]
    layout = {
        "height": 290,
        "barmode": "group",
        "bargap": 0.25,
        "margin": {"l": 48, "r": 8, "t": 8, "b": 80},
        "xaxis": {"tickvals": places, "ticktext": labels, "tickangle": -35, "tickfont": {"size": 11}},
        "yaxis": {"tickformat": ".0%", "rangemode": "tozero"},
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
    }
    return figure(name, traces, layout)


def _worth_told(worth: Worth) -> str:
    side = "better" if (worth.gain.value or 0) >= 0 else "worse"
    if worth.gain.low is None:
        return f"{worth.label} cannot be compared: {worth.gain.reason}"
    return (
        f"{worth.label} on {worth.rows} that are new to the champion, beside the test rows of its own run: {side} by "
        f"{abs(worth.gain.value or 0):.3f} ({worth.gain.low:+.3f} to {worth.gain.high:+.3f}); limit {worth.limit:.3g}"
    ).replace("-", "−")


def _worth(worth: Worth) -> str:
    import plotly.graph_objects as go

    sides = [("its own test rows", worth.then, FAINT), ("new rows", worth.now, RED if worth.drifted else BLUE)]
    traces = []
    for name, of, color in sides:
        middle, low, high = (float("nan") if v is None else v for v in (of.value, of.low, of.high))
        spread = {"array": [high - middle], "arrayminus": [middle - low], "width": 6, "thickness": 2}
        label = f"{name}<br><span style='font-size:12px;color:#52606d'>{of}</span>"
        traces.append(
            go.Scatter(x=[middle], y=[label], mode="markers", marker={"size": 13, "color": color}, error_x=spread)
        )
    layout = {"height": 220, "showlegend": False, "xaxis": {"title": worth.label}, "yaxis": {"autorange": "reversed"}}
    return figure("worth", traces, layout)
