"""The raw table held against what the study declares, by Great Expectations: pass, warn, quarantine or fail."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

import pandas as pd
from pydantic import Field

from contracts.errors import MedloopError, masked
from contracts.study import Column, Frozen, Study
from pipelines.cells import Decimal
from pipelines.checks import Check, Seen, held_against, repeats_of
from pipelines.clean import CleanParams
from pipelines.column_figures import figures_of
from pipelines.expectations import Rule
from pipelines.findings import GRAVITY, ROWS_STAY, WHOLE, ColumnVerdict, Finding, Kind, RowVerdict, Verdict
from pipelines.labels import label_columns
from pipelines.profile import TYPED, Profile, Reading, columns_of
from pipelines.rows import check_columns, cohort, named
from pipelines.spelling import Spelling
from pipelines.table import Table, as_table
from pipelines.validation_docs import first_rows, page, span


class ValidateParams(Frozen):
    """What each kind of finding means for the run: a warning, its rows set aside (quarantine), or the end (fail).

    unreadable: a cell that is no number or date where one is declared; null: as cleaning's setting of that name treats
        it, where what becomes missing there is a warning here.
    infinite: ±inf, or beyond ±1e300; null likewise.
    levels: a category that is none of the declared levels, or a label that is none of the classes.
    range: a number or year outside the declared range; cleaning sets it missing.
    missing_label: a row without a label; cleaning leaves it out.
    conflicting_ids: one id on rows that differ.
    duplicate_rows: exact copies of a row; cleaning keeps one.
    contradicting_labels: rows of one patient that are alike in all that the study uses, with different classes.
    empty_columns, constant_columns: columns without a value, or with one and no gap; cleaning drops them.
    missing_share: columns of which more than `max_missing` is missing.
    suspected_codes: undeclared values that usually mean "no value", such as 999 far from all others, or `unknown`.
    two_units: a numeric column in two groups, one a known unit factor above the other, such as mmol/L beside mg/dL.
    """

    unreadable: RowVerdict | None = None
    infinite: RowVerdict | None = None
    levels: RowVerdict = "fail"
    range: RowVerdict = "warn"
    missing_label: RowVerdict = "warn"
    conflicting_ids: RowVerdict = "fail"
    duplicate_rows: ColumnVerdict = "warn"
    contradicting_labels: RowVerdict = "warn"
    empty_columns: ColumnVerdict = "warn"
    constant_columns: ColumnVerdict = "warn"
    missing_share: ColumnVerdict = "warn"
    max_missing: float = Field(default=0.95, ge=0, le=1)
    suspected_codes: ColumnVerdict = "warn"
    two_units: ColumnVerdict = "warn"

    def following(self, cleaning: CleanParams) -> Self:
        """The settings with cleaning's treatment of a cell where nothing is said here."""
        treated: dict[str, RowVerdict] = {"fail": "fail", "quarantine": "quarantine", "missing": "warn"}
        return self.model_copy(
            update={
                "unreadable": self.unreadable or treated[cleaning.unreadable],
                "infinite": self.infinite or treated[cleaning.infinite],
            }
        )


@dataclass(frozen=True, kw_only=True)
class Validated:
    """The verdict (the gravest finding's), the findings, the rows to set aside (`@row`, `reason`), and a page."""

    verdict: Verdict
    findings: list[Finding]
    quarantine: pd.DataFrame
    docs: str


def build_suite(study: Study, params: ValidateParams) -> list[Check]:
    """What the study's declaration asks of its data, whatever they are.

    `@id` holds rows whose id stands on another row that differs, `@content` rows equal to another, `@label` rows that
    are but for the label.
    """
    labels = label_columns(study)
    checks = [
        _of_rows("conflicting_ids", params, Rule(column="@id", filled=False)),
        _of_rows("duplicate_rows", params, Rule(column="@content", filled=False)),
        _of_rows("contradicting_labels", params, Rule(column="@label", filled=False)),
        *(_of_rows("missing_label", params, Rule(column=label, filled=True)) for label in labels),
    ]
    for name, column in {**labels, **study.features()}.items():
        if column.levels:
            checks.append(_of_rows("levels", params, Rule(column=name, among=column.levels)))
        low, high = column.range or (None, None)
        if column.type in TYPED and (low is not None or high is not None):
            checks.append(_of_rows("range", params, Rule(column=name, low=low, high=high)))
    return [
        *checks,
        _of_columns("unreadable", params, Rule(column="unreadable", high=0)),
        _of_columns("infinite", params, Rule(column="infinite", high=0)),
        _of_columns("empty_columns", params, Rule(column="filled", low=1)),
        _of_columns("constant_columns", params, Rule(column="distinct", low=2)),
        _of_columns("missing_share", params, Rule(column="missing", high=params.max_missing)),
        _of_columns("suspected_codes", params, Rule(column="suspected", filled=False)),
        _of_columns("two_units", params, Rule(column="two_units", filled=False)),
    ]


def validate(
    table: pd.DataFrame | Table,
    study: Study,
    params: ValidateParams,
    *,
    missing: Collection[str],
    decimal: Decimal = ".",
    spelling: Spelling = "exact",
) -> Validated:
    """Checks the rows of the study's cohort; what lies outside it is not used and so not judged.

    Of a table in blocks one is held at a time; of all rows what `figures_of` and `repeats_of` need.

    Args:
        table: raw, every column text, and `@row`.
        missing: texts that mean "no value" in every column.
        decimal: the decimal sign of numeric columns.
        spelling: how exactly categories must be written.

    Raises:
        MedloopError: a declared column is absent; no row is in the cohort; a condition of the cohort asks for
            numbers where there is text.
    """
    reading = Reading(columns=columns_of(study), missing=missing, decimal=decimal, spelling=spelling)
    raw = as_table(table)
    source = _source(raw, study)
    chosen = _in_cohort(raw, study, reading)
    blocks = [Profile(block=block, reading=reading, is_kept=len(raw.blocks) == 1) for block in chosen.blocks]
    rows = sum(len(block) for block in blocks)
    figures = figures_of(blocks)
    seen, aside = held_against(build_suite(study, params), blocks, figures, repeats_of(blocks, source, study))
    findings = [_finding(one, rows, reading.columns, figures.table) for one in seen]
    verdict: Verdict = max((finding.verdict for finding in findings), key=GRAVITY.index, default="pass")
    missing_shares = dict(zip(reading.columns, figures.table["missing"].fillna(1.0), strict=True))
    counts = {"rows": rows, "of": len(raw), "aside": len(aside)}
    docs = page(study, findings, missing_shares, reading.columns, verdict=verdict, **counts)
    return Validated(verdict=verdict, findings=findings, quarantine=aside, docs=docs)


def failure(validated: Validated, where: str) -> MedloopError:
    """The error that ends a run whose verdict is fail: what failed and in which rows, and what to do."""
    failed = [finding for finding in validated.findings if finding.verdict == "fail"]
    told = [f"{finding.text}{_in_rows(finding)}" for finding in failed[:12]]
    told += [f"and {len(failed) - 12} more"] * (len(failed) > 12)
    mends = list(dict.fromkeys(finding.mend for finding in failed))
    rows = list(dict.fromkeys(f"validate.{f.kind}: quarantine" for f in failed if f.kind not in ROWS_STAY))
    cells = [f"clean.{kind}: missing" for kind in ("unreadable", "infinite") if kind in {f.kind for f in failed}]
    return MedloopError(
        f"the data fail {len(failed)} check{'s' * (len(failed) > 1)}:\n  " + "\n  ".join(told),
        where=where,
        mend="; ".join(mends)
        + (f"; or leave the rows out: {', '.join(rows)}" if rows else "")
        + (f"; or only the cells: {', '.join(cells)}" if cells else ""),
    )


def _of_rows(kind: Kind, params: ValidateParams, rule: Rule) -> Check:
    return Check(kind=kind, verdict=getattr(params, kind), rule=rule)


def _of_columns(kind: Kind, params: ValidateParams, rule: Rule) -> Check:
    return Check(kind=kind, verdict=getattr(params, kind) or "fail", rule=rule, of_columns=True)


def _source(table: Table, study: Study) -> list[str]:
    """The columns of the source. Raises MedloopError when one that the study needs is absent."""
    roles = (*study.target.read_from, *study.cohort, study.id, study.group, study.time, *study.unit_columns())
    check_columns(table, [*study.features(), *roles])
    return [name for name in table.columns if not name.startswith("@")]


def _in_cohort(raw: Table, study: Study, reading: Reading) -> Table:
    rows = named(raw, {"@id": study.id})
    left = cohort(rows, study, missing=reading.missing, decimal=reading.decimal, spelling=reading.spelling, ledger=[])
    if not len(left):
        raise MedloopError("no row of the data is in the cohort", mend="check the conditions under the study's cohort")
    return left


def _finding(seen: Seen, rows: int, columns: Mapping[str, Column], figures: pd.DataFrame) -> Finding:
    kind = seen.check.kind
    return Finding(
        kind=kind,
        column=seen.column,
        verdict=seen.check.verdict,
        rows=seen.rows,
        share=seen.rows / rows,
        first=() if kind in WHOLE else seen.first,
        text=f"{seen.column}: {_told(seen, rows, columns, figures)}".removeprefix(": "),
    )


def _told(seen: Seen, of: int, columns: Mapping[str, Column], figures: pd.DataFrame) -> str:
    kind, column = seen.check.kind, seen.column
    cells, rows = _count(seen.rows, "cell"), _count(seen.rows, "row")
    if kind == "conflicting_ids":
        return f"{rows} share an id and differ"
    if kind == "duplicate_rows":
        return f"{rows} are copies of one another"
    if kind == "contradicting_labels":
        return f"{rows} differ from another one of the same patient in the label alone"
    declared = columns[column]
    like = f", like {masked(seen.like)!r}" if seen.rows else ""
    what = "number" if declared.type == "numeric" else "date as declared"
    texts: dict[Kind, str] = {
        "unreadable": f"no {what} in {cells}{like}",
        "infinite": f"infinite or beyond 1e300 in {cells}",
        "levels": f"none of the {len(declared.levels)} declared levels in {cells}{like}",
        "range": f"outside {span(declared)} in {cells}",
        "missing_label": f"no label in {rows}",
        "empty_columns": "no value in any row",
        "constant_columns": "the same value in every row",
        "missing_share": f"no value in {seen.rows / of:.1%} of the rows",
        "suspected_codes": f"what may stand for a missing value ({figures['suspected'][column]}) in {cells}",
        "two_units": f"perhaps in two units, {figures['two_units'][column]}; {cells} in the rarer one",
    }
    return texts[kind]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _in_rows(finding: Finding) -> str:
    return f" (row {first_rows(finding)})" if finding.first else ""
