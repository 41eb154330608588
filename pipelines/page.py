"""A self-contained HTML page with plotly figures: it opens without a network, and is the same byte for byte."""

from collections.abc import Sequence
from html import escape
from typing import Any

INK, FAINT = "#1f2933", "#9aa5b1"
BLUE, RED = "#0072B2", "#D55E00"  # Okabe & Ito (2008): told apart with every kind of colour blindness
STYLE = """
body{margin:0;background:#f4f6f8;color:#1f2933;font:16px/1.5 system-ui,"Segoe UI",Roboto,Arial,sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 24px 48px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:0 0 2px}
.lead{font-size:20px;line-height:1.45;margin:10px 0 6px;max-width:62em}
.note{color:#52606d;margin:0 0 10px;font-size:14px}
section{background:#fff;border:1px solid #e1e6eb;border-radius:8px;padding:16px 18px;margin-top:18px;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:6px 12px 6px 0;border-bottom:1px solid #e9edf1;vertical-align:top;overflow-wrap:anywhere}
th{font-size:14px;color:#52606d;font-weight:600}tr:last-child td{border-bottom:0}.number{white-space:nowrap}
"""


def page(title: str, answer: str, note: str, sections: Sequence[str], *, style: str = "") -> str:
    """The whole page: the answer in a sentence, a note, then the sections; `style` is CSS beside the shared one."""
    from plotly.offline import get_plotlyjs

    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}{style}</style>'
        f"<script>{get_plotlyjs()}</script></head>\n<body><main><h1>{escape(title)}</h1>"
        f'<p class="lead">{escape(answer)}</p><p class="note">{escape(note)}</p>\n'
        + "\n".join(sections)
        + "\n</main></body></html>\n"
    )


def section(heading: str, note: str, body: str) -> str:
    """A part of the page; `body` is HTML, the rest plain text."""
    return f'<section><h2>{escape(heading)}</h2><p class="note">{escape(note)}</p>{body}</section>'


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """An HTML table of plain texts."""
    rows = ["".join(f"<td>{escape(cell)}</td>" for cell in line) for line in lines]
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    return f"<table><tr>{top}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def figure(name: str, traces: list[Any], layout: dict[str, Any]) -> str:
    """A plotly figure as HTML. The fixed name keeps the page the same from run to run."""
    import plotly.graph_objects as go

    drawn = go.Figure(traces)
    drawn.update_layout(
        template="none",
        margin={"l": 62, "r": 16, "t": 12, "b": 54},
        font={"family": "system-ui, Arial, sans-serif", "size": 14, "color": INK},
    )
    drawn.update_xaxes(gridcolor="#e9edf1", zeroline=False, automargin=True)
    drawn.update_yaxes(gridcolor="#e9edf1", zeroline=False, automargin=True)
    drawn.update_layout(layout)
    config = {"displayModeBar": False, "responsive": True}
    html: str = drawn.to_html(config=config, include_plotlyjs=False, full_html=False, div_id=name)
    return html
