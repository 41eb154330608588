"""The page of what a model leans on, and what of it stands on the comparison's page."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from contracts.errors import listed
from pipelines.charts import PALETTE
from pipelines.explain import Attributed, ClassMap, Explanation, Importance, Profile, Word
from pipelines.importance import Columns
from pipelines.page import BLUE, FAINT, RED, figure, page, section

SHOWN = 20  # columns of a chart
NAMED = 5  # columns in words
BESIDE = 12  # columns of the comparison
WARM = [[0, "#f5f9fc"], [0.5, "#E69F00"], [1, "#D55E00"]]


def told(explanation: Explanation) -> str:
    """What the model leans on, in a sentence."""
    if not explanation.importances and explanation.patients > 1:
        return _of_words(explanation)
    if not explanation.importances:
        return "One patient alone: there is nobody to exchange values with, so nothing is told of columns"
    shown = [one for one in explanation.importances if one.shown]
    if not shown:
        return f"No column is shown to matter to {explanation.model}: its loss rises with none by more than chance"
    names = [called(one.columns) for one in shown[:NAMED]]
    listing = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    rise = f"with {names[0]} of other patients its loss rises by {share(shown[0], explanation)}"
    if explanation.asked == 1:
        return f"{explanation.model} reads {names[0]} alone; {rise}"
    only = "" if len(shown) >= NAMED else "nothing else is shown to matter; "
    return f"{explanation.model} leans most on {listing}; {only}{rise}"


def _of_words(explanation: Explanation) -> str:
    """What a model leans on that reads nothing but one column of texts."""
    found = explanation.attributed
    words = [word.token for of in (found.words.values() if found else ()) for word in of if word.attribution > 0]
    if not words:
        return (
            f"{explanation.model} reads one column of texts alone; which words it leans on is told of networks, by "
            f"{explanation.params.min_patients} patients or more"
        )
    return f"{explanation.model} finds entities most by the words {', '.join(words[:NAMED])}"


def called(columns: Columns) -> str:
    """`systolic 1 with systolic 2`, or `a with 4 that tell alike`."""
    if len(columns) < 3:
        return " with ".join(columns)
    return f"{columns[0]} with {len(columns) - 1} that tell alike"


def share(one: Importance, explanation: Explanation) -> str:
    """A rise as a share of the loss: `17% (12 to 23%)`."""
    value, low, high = (100 * (end or 0.0) / explanation.loss for end in (one.rise.value, one.rise.low, one.rise.high))
    told = [f"{end:.1f}" if abs(end) < 10 else f"{end:,.0f}" for end in (value, low, high)]
    return f"{told[0]}% ({told[1]} to {told[2]}%)".replace("-", "−")


def explanation_page(explanation: Explanation, title: str) -> str:
    """A model's page: the columns that matter most in words, then each method's figure."""
    sections = [_importances(explanation)] if explanation.importances else []
    if explanation.attributed:
        sections += _gradients(explanation.attributed, explanation.params.min_patients)
    for column, maps in explanation.maps.items():
        sections.append(_maps(column, maps, explanation.params.min_patients))
    if explanation.rollout:
        sections.append(_rollout(explanation.rollout))
    note = (
        f"{explanation.rows:,} validation rows of {explanation.patients:,} patients. This tells of the model, not of "
        "causes; what one column tells another may tell too."
    )
    if explanation.patients < explanation.params.min_patients:
        note += f" Gradients and pictures are not told of fewer than {explanation.params.min_patients} patients."
    return page(f"{title}: {explanation.model}, explained", f"{told(explanation)}.", note, sections)


def beside(explanations: Mapping[str, Explanation]) -> list[str]:
    """A section of the comparison's page: what each of the models leans on, the best model first."""
    known = {model: of for model, of in list(explanations.items())[: len(PALETTE)] if of.importances}
    most = sorted(
        ((one.rise.value or 0.0) / of.loss, one.columns) for of in known.values() for one in of.importances if one.shown
    )
    columns = list(dict.fromkeys(columns for _, columns in reversed(most)))[:BESIDE]
    if not columns:
        return []
    traces = []
    for (model, of), color in zip(known.items(), PALETTE, strict=False):
        there = {one.columns: one for one in of.importances}
        traces.append(_dots([there[c] for c in columns if c in there], of, escape(model), color))
    note = (
        "By how much the loss rises when a column tells of other patients, in % of the model’s own, on validation "
        "rows. Hollow: may be chance."
    )
    layout = _sideways(len(columns), "rise of the loss") | {
        "scattermode": "group",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "height": 130 + len(columns) * (22 + 9 * len(known)),
    }
    layout["yaxis"] |= {"categoryorder": "array", "categoryarray": [_label(c) for c in columns]}
    return [section("What the models lean on", note, figure("importances", traces, layout))]


def _importances(explanation: Explanation) -> str:
    shown = explanation.importances[:SHOWN]
    rest = explanation.asked - len(shown)
    note = (
        "By how much the loss rises when a column tells of other patients, in % of the loss; "
        f"with the {explanation.params.confidence:.0%} interval over patients and {explanation.params.repeats} "
        f"exchanges. Hollow: may be chance.{f' {rest} more columns are not shown.' if rest > 0 else ''}"
    )
    trace = _dots(shown, explanation, "", BLUE)
    chart = figure("importances", [trace], {**_sideways(len(shown), "rise of the loss"), "showlegend": False})
    together = [one.columns for one in shown if len(one.columns) > 2]
    alike = "".join(f"<p class='note'>{escape(called(c))}: {escape(listed(c[1:], 30))}</p>" for c in together)
    return section("Which columns it is worse without", note, chart + alike)


def _dots(shown: Sequence[Importance], explanation: Explanation, name: str, color: str) -> Any:
    """A point and its interval for each."""
    import plotly.graph_objects as go

    value, low, high = (
        [(getattr(one.rise, end) or 0.0) / explanation.loss for one in shown] for end in ("value", "low", "high")
    )
    return go.Scatter(
        x=value,
        y=[_label(one.columns) for one in shown],
        name=name,
        orientation="h",
        mode="markers",
        marker={"color": [color if one.shown else "white" for one in shown], "size": 9,
                "line": {"color": color, "width": 2}},
        error_x={
            "array": [top - middle for top, middle in zip(high, value, strict=True)],
            "arrayminus": [middle - end for middle, end in zip(value, low, strict=True)],
            "color": color, "thickness": 1.5, "width": 3,
        },
    )  # fmt: skip


def _label(columns: Columns) -> str:
    return _short(called(columns))


def _short(text: str) -> str:
    return escape(text if len(text) <= 44 else f"{text[:43]}…")


def _sideways(lines: int, title: str, form: str = ".0%") -> dict[str, Any]:
    return {
        "height": 110 + 24 * lines,
        "xaxis": {"title": title, "tickformat": form, "rangemode": "tozero", "zeroline": True, "zerolinecolor": FAINT},
        "yaxis": {"autorange": "reversed", "ticklabelstandoff": 8},
    }


def _gradients(found: Attributed, min_patients: int) -> list[str]:
    note = (
        f"Integrated gradients over {found.rows:,} rows: by how much a column moves a row’s answer from the average "
        f"row’s, either way, on average, in {found.unit}. They miss {found.missed:.1%} of the change"
        f"{'; more explain.steps would miss less.' if found.missed > 0.1 else '.'}"
    )
    sizes = dict(list(found.columns.items())[:SHOWN])
    sections = [section("What moves its answers", note, _bars("attributions", sizes, "mean size", ".2f"))]
    few = f"Fewer than {min_patients} patients: not told."
    for place, (column, profile) in enumerate(found.moments.items()):
        name, what = f"When it matters: {column}", f"Mean size of attributions from beginning to end, in {found.unit}."
        told = bool(profile.values)
        sections.append(section(name, what if told else few, _moments(profile, f"moments-{place}") if told else ""))
    for place, (column, words) in enumerate(found.words.items()):
        what = (
            f"Mean attribution of a word in the texts that hold it, in {found.unit}; in brackets the patients. "
            "Right of 0 it speaks for what is looked for, left of it against."
        )
        chart = _words(words, f"words-{place}") if words else ""
        sections.append(section(f"Which words: {column}", what if words else few, chart))
    return sections


def _bars(name: str, values: Mapping[str, float], title: str, form: str) -> str:
    import plotly.graph_objects as go

    bars = go.Bar(x=list(values.values()), y=[_short(v) for v in values], orientation="h", marker={"color": BLUE})
    return figure(name, [bars], _sideways(len(values), title, form))


def _words(words: Sequence[Word], name: str) -> str:
    import plotly.graph_objects as go

    bars = go.Bar(
        x=[word.attribution for word in words],
        y=[f"{_short(word.token)} ({word.patients})" for word in words],
        orientation="h",
        marker={"color": [BLUE if word.attribution > 0 else RED for word in words]},
    )
    return figure(name, [bars], _sideways(len(words), "against, and for", ".2f"))


def _moments(profile: Profile, name: str) -> str:
    import plotly.graph_objects as go

    steps = len(profile.values[0])
    heat = go.Heatmap(
        z=profile.values, x=[(step + 0.5) / steps for step in range(steps)], y=[_short(c) for c in profile.channels],
        colorscale=WARM, zmin=0,
    )  # fmt: skip
    axes = {"xaxis": {"title": "share of the row’s own time", "tickformat": ".0%"}, "yaxis": {"autorange": "reversed"}}
    return figure(name, [heat], {"height": 130 + 34 * len(profile.channels), **axes})


def _maps(column: str, maps: Sequence[ClassMap], min_patients: int) -> str:
    """A map beside another, on one scale."""
    note = "Grad-CAM, the mean over each class’s images; 1 is where an image’s own class shows most."
    few = [f"{one.label} ({one.patients} patients)" for one in maps if not one.values]
    if few:
        note += f" Not told, for fewer than {min_patients} patients: {listed(few)}."
    drawn = "".join(
        f'<div style="display:inline-block;width:320px"><b>{escape(one.label)}</b> '
        f"<small>{one.patients} patients</small>{_map(one, f'map-{escape(column)}-{place}')}</div>"
        for place, one in enumerate(maps)
        if one.values
    )
    return section(f"Where it looks: {column}", note, drawn)


def _map(one: ClassMap, name: str) -> str:
    import plotly.graph_objects as go

    heat = go.Heatmap(z=one.values, colorscale=WARM, zmin=0, zmax=1, zsmooth="best", hoverinfo="z")
    bare = {"visible": False}
    axes = {"xaxis": bare, "yaxis": {**bare, "autorange": "reversed", "scaleanchor": "x"}}
    return figure(name, [heat], {"width": 310, "height": 270, "margin": {"l": 4, "r": 4, "t": 6, "b": 6}, **axes})


def _rollout(shares: Mapping[str, float]) -> str:
    note = "Attention rollout: the mean share of what the answer is read from that came from a column’s tokens."
    top = dict(sorted(shares.items(), key=lambda pair: -pair[1])[:SHOWN])
    return section("What it attends to", note, _bars("rollout", top, "share", ".0%"))
