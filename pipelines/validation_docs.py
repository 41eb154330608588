"""The page of a validation: the verdict, what was found, every column. No patient's value is on it."""

import re
from collections.abc import Mapping, Sequence
from html import escape

from contracts.study import Column, Study
from pipelines.findings import GRAVITY, Finding, Verdict

STYLE = """
body{margin:0;background:#f4f6f8;color:#1f2933;font:16px/1.5 system-ui,"Segoe UI",Roboto,Arial,sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 24px 48px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:0 0 8px}
.lead{font-size:20px;line-height:1.45;margin:10px 0 6px}.note{color:#52606d;margin:0;font-size:14px}
section{background:#fff;border:1px solid #e1e6eb;border-radius:8px;padding:16px 18px;margin-top:18px;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:6px 14px 6px 0;border-bottom:1px solid #e9edf1;vertical-align:top}
th{font-size:14px;color:#52606d;font-weight:600}tr:last-child td{border-bottom:0}
td.name{overflow-wrap:anywhere;min-width:170px}small{color:#52606d;font-size:14px}
.tag{display:inline-block;border-radius:4px;padding:0 8px;font-size:14px;font-weight:600;white-space:nowrap}
.pass{background:#dff3e8;color:#0b5c37}.warn{background:#fdf0d5;color:#7a4b00}
.quarantine{background:#e3e8fb;color:#2b3f97}.fail{background:#fbe0dd;color:#96231a}
code{font-size:14px;background:#f0f3f6;border-radius:3px;padding:1px 4px}
.share{white-space:nowrap}
.bar{display:inline-block;width:90px;height:10px;background:#e9edf1;border-radius:3px;margin-right:8px;overflow:hidden}
.bar i{display:block;height:100%;background:#7b8794}
"""

WORDS: dict[Verdict, str] = {
    "pass": "Passed",
    "warn": "Passed with warnings",
    "quarantine": "Passed with rows set aside",
    "fail": "Failed",
}


def page(
    study: Study,
    findings: Sequence[Finding],
    missing: Mapping[str, float],
    columns: Mapping[str, Column],
    *,
    verdict: Verdict,
    rows: int,
    of: int,
    aside: int,
) -> str:
    """One self-contained HTML page, the same byte for byte for the same data.

    Args:
        missing: by column the share of rows without a value.
        columns: how each of them is declared.
        rows: those in the cohort, which were checked; `of` all; `aside` set aside.
    """
    title = f"{study.title}: the data against their declaration"
    note = f"{rows:,} of {of:,} rows are in the cohort and were checked, in {len(missing):,} columns."
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n'
        f'<body><main><h1>{escape(title)}</h1><p class="lead">{_tag(verdict, WORDS[verdict])} '
        f'{escape(_answer(findings, aside))}</p><p class="note">{escape(note)}</p>\n'
        f"{_findings(findings)}{_columns(findings, missing, columns)}</main></body></html>\n"
    )


def span(column: Column) -> str:
    """The declared range and unit, as a reader writes them."""
    low, high = column.range or (None, None)
    if low is None and high is None:
        return ""
    if high is None:
        return f"≥ {low:g}"
    return f"≤ {high:g}" if low is None else f"{low:g} to {high:g}"


def first_rows(finding: Finding) -> str:
    """The numbers of the first rows, and whether there are more."""
    return ", ".join(finding.first) + (" …" if 0 < len(finding.first) < finding.rows else "")


def _answer(findings: Sequence[Finding], aside: int) -> str:
    if not findings:
        return "Every check passed."
    by_verdict = {v: sum(f.verdict == v for f in findings) for v in reversed(GRAVITY)}
    words = {"fail": "that stop the run", "quarantine": "that set rows aside", "warn": "to look at"}
    told = [f"{count:,} {words[v]}" for v, count in by_verdict.items() if count]
    rest = f"; {aside:,} rows are set aside" if aside else ""
    return f"{len(findings):,} findings: {', '.join(told)}{rest}."


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    ordered = sorted(findings, key=lambda f: (-GRAVITY.index(f.verdict), f.kind, -f.rows))
    lines = "".join(
        f'<tr><td>{_tag(f.verdict, f.verdict)}</td><td class="name">{escape(f.text)}</td>'
        f"<td>{escape(first_rows(f))}</td>"
        f"<td>{_code(f.mend)}</td></tr>"
        for f in ordered
    )
    head = "<tr><th>verdict</th><th>what was found</th><th>first rows</th><th>what to do</th></tr>"
    return f"<section><h2>Findings</h2><table>{head}{lines}</table></section>\n"


def _columns(findings: Sequence[Finding], missing: Mapping[str, float], columns: Mapping[str, Column]) -> str:
    head = "<tr><th>column</th><th>type</th><th>declared</th><th>missing</th><th>findings</th></tr>"
    lines = "".join(
        f'<tr><td class="name">{escape(name)}</td><td>{columns[name].type}</td>'
        f"<td>{escape(_declared(columns[name]))}</td>{_bar(share)}"
        f"<td>{' '.join(_tag(f.verdict, f.kind.replace('_', ' ')) for f in findings if f.column == name)}</td></tr>"
        for name, share in missing.items()
    )
    return f"<section><h2>Columns</h2><table>{head}{lines}</table></section>"


def _declared(column: Column) -> str:
    levels = f"{len(column.levels)} level{'s' * (len(column.levels) > 1)}" if column.levels else ""
    return " ".join(part for part in (span(column), column.unit or "", levels) if part)


def _bar(share: float) -> str:
    return f'<td class="share"><span class="bar"><i style="width:{share:.0%}"></i></span>{share:.1%}</td>'


def _code(text: str) -> str:
    return re.sub(r"`(.*?)`", r"<code>\1</code>", escape(text))


def _tag(verdict: Verdict, text: str) -> str:
    return f'<span class="tag {verdict}">{escape(text)}</span>'
