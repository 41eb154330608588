"""The comparison as one HTML file that opens without a network: light, dark, on a phone, by keyboard, on paper."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from pipelines.bootstrap import Interval


def comparison_page(
    title: str, answer: str, about: str, cautions: Sequence[str], sections: Sequence[tuple[str, str]], data: object
) -> str:
    """The whole page: the answer first; `sections` are headings and HTML, `data` what the figures are drawn from."""
    from plotly.offline import get_plotlyjs

    style, script = (files(__package__).joinpath(f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    warned = "".join(f'<p class="caution"><strong>Caution:</strong> {text(said)}</p>' for said in cautions)
    links = "".join(f'<a href="#part-{at}">{text(heading)}</a>' for at, (heading, _) in enumerate(sections))
    parts = "".join(
        f'<section id="part-{at}" aria-labelledby="heading-{at}"><h2 id="heading-{at}">{text(heading)}</h2>{body}'
        "</section>\n"
        for at, (heading, body) in enumerate(sections)
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{style}</style><script>{get_plotlyjs()}</script></head>\n<body><main>"
        f'<h1>{text(title)}</h1><p class="lead">{text(answer)}</p>'
        f'<p class="note">{text(about)}</p>{warned}<nav aria-label="Parts">{links}</nav>\n{parts}</main>\n'
        f'<script type="application/json" id="comparison">{inert(data)}</script>\n'
        f"<script>{script}</script></body></html>\n"
    )


def inert(data: object) -> str:
    """JSON that cannot end the script block that it stands in."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def clean(text: str) -> str:
    """Without control characters, nor those that turn the direction of writing."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def text(value: object) -> str:
    """Any text as HTML."""
    return escape(clean(str(value)))


def note(said: str) -> str:
    """A line under a heading."""
    return f'<p class="note">{text(said)}</p>'


def table(head: Sequence[str], lines: Sequence[Sequence[str]], label: str, *, classes: Sequence[str] = ()) -> str:
    """A table of HTML cells that can be scrolled sideways; the first of each line is its heading."""
    kinds = [*classes, *[""] * (len(head) - len(classes))]
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    rows = "".join(
        f'<tr><th scope="row">{line[0]}</th>'
        + "".join(
            f"<td{f' class={kind}' if kind else ''}>{cell}</td>"
            for cell, kind in zip(line[1:], kinds[1:], strict=False)
        )
        + "</tr>"
        for line in lines
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="table: {text(label)}"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def interval(of: Interval) -> str:
    """A value with its interval in small, or why there is none."""
    return f"{str(of).partition(' ')[0]} <small>{text(of.around)}</small>"


def figure(name: str, title: str, said: str) -> str:
    """Where a figure is drawn; what it shows is said in words, too."""
    described = text(f"{title}: {said}")
    return (
        f'<figure><figcaption>{text(title)}<small class="note">{text(said)}</small></figcaption>'
        f'<div class="plot" id="figure-{name}" role="img" aria-label="{described}"></div></figure>'
    )


def runs_key(names: Sequence[str], chosen: Mapping[str, Any] | None = None) -> list[str]:
    """Names of runs, each with the line that it is drawn with."""
    shown = chosen or {name: at for at, name in enumerate(names)}
    return [
        f'<span class="key" data-run="{shown[name]}"></span>{text(name)}' if name in shown else text(name)
        for name in names
    ]
