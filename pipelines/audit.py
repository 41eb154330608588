"""The leak certificate: proof that what was fitted saw training rows only, and what still looks too good to be true."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from contracts.errors import listed
from contracts.payloads import Payloads
from contracts.study import PAYLOADS, Frozen
from contracts.tables import PARTS, Part, RowsSeen, Schema, of_part, rows_seen
from pipelines.canary import Refit, canary
from pipelines.copies import too_rare_for_chance
from pipelines.label_arithmetic import RECKONED
from pipelines.leaks import LeakParams, Suspect
from pipelines.near_copies import near_copies
from pipelines.near_duplicates import near_pairs
from pipelines.suspects import suspects_of

Verdict = Literal["clean", "suspect", "leak"]
_ORDER: tuple[Verdict, ...] = ("clean", "suspect", "leak")


class AuditParams(LeakParams):
    """How leaks are judged; `LeakParams` holds the thresholds for single columns.

    accept: suspected columns that a person has looked at, each with the reason why it is known before the label is;
        or, by their names, the checks "near duplicates", "pictures and texts" and "canary".
    on_suspect: whether a suspicion that nobody accepted is a warning, or stops the run as a leak does.
    """

    accept: dict[str, Annotated[str, Field(min_length=1)]] = Field(default={})
    on_suspect: Literal["warn", "fail"] = "warn"


class Check(Frozen):
    """One question of the audit: its verdict, the answer in a sentence, and the figures behind it."""

    name: str
    verdict: Verdict
    sentence: str
    evidence: dict[str, Any]


class Certificate(Frozen):
    """What a run can show about leaks. It holds counts, hashes and column names, no value and no id.

    `parts` are the rows of each part (`test` is the frozen test set); `sha256` seals everything else.
    """

    verdict: Verdict
    sentence: str
    checks: tuple[Check, ...]
    parts: dict[Part, RowsSeen]
    sha256: str

    @property
    def intact(self) -> bool:
        """Whether the content is still what was sealed."""
        return self.sha256 == _seal(self.model_dump(mode="json", exclude={"sha256"}))


def certify(
    *,
    samples: pd.DataFrame,
    split: pd.DataFrame,
    by_time: bool,
    fits: Mapping[str, RowsSeen],
    stored: Mapping[str, str],
    refit: Refit,
    balanced: pd.DataFrame,
    schema: Schema,
    params: AuditParams,
    payloads: Mapping[str, Payloads] = MappingProxyType({}),
    more: Sequence[Check] = (),
) -> Certificate:
    """Audits one study. The ids of training are taken from `split` anew, not from what the stages say.

    Args:
        samples: the cleaned samples.
        split: `@id`, `@part` and the folds.
        by_time: whether the split promises that training lies before the test.
        fits: by name, the rows that each fit says it saw.
        stored, refit: the fitted artefacts as text, by name, and what fits them anew, for `pipelines.canary`.
        balanced: the training table as models get it, `@origin` naming what a synthetic row descends from.
        payloads: what the samples' pictures and sequences are.
        more: checks of the study's own task.
    """
    parts = {part: rows_seen(split.loc[split["@part"] == part, "@id"]) for part in PARTS}
    train = of_part(samples, split, "train")
    placed = samples.drop_duplicates("@id").merge(split.drop_duplicates("@id"), on="@id").reset_index(drop=True)
    suspects = suspects_of(train, schema, params)
    checks = [
        _patients(samples, split),
        _duplicates(placed, list(schema.features)),
        _near_duplicates(placed, schema, params),
        *([_alike(placed, schema, payloads, params)] if schema.of_type("image", "text") else []),
        *([_time_order(placed, by_time)] if "@time" in samples else []),
        *more,
        *(_fit(name, seen, parts["train"]) for name, seen in fits.items()),
        _canary(samples, set(train["@id"]), schema, stored, refit, params),
        _descent(balanced, set(train["@id"]), set(samples["@id"])),
        _missingness(suspects, params),
        _single_columns(suspects, schema, params),
        *([_arithmetic(suspects, params)] if schema.task in RECKONED else []),
    ]
    verdict = max((check.verdict for check in checks), key=_ORDER.index)
    content = Certificate(
        verdict=verdict, sentence=_sentence(checks, verdict), checks=tuple(checks), parts=parts, sha256=""
    ).model_dump(mode="json", exclude={"sha256"})
    return Certificate.model_validate({**content, "sha256": _seal(content)})


def _patients(samples: pd.DataFrame, split: pd.DataFrame) -> Check:
    placed = samples[["@id", "@group"]].merge(split, on="@id", how="left")
    drawn = ["@part", *split.columns[split.columns.str.startswith("@fold")]]
    per_patient = placed.groupby("@group")[drawn].nunique().max(axis=1)
    torn, unplaced = int((per_patient > 1).sum()), int(placed["@part"].isna().sum())
    twice = int(split["@id"].duplicated().sum())
    evidence = {"patients": len(per_patient), "in_several_parts": torn, "ids_twice": twice, "not_placed": unplaced}
    faults = {
        "patients in more than one part or fold": torn,
        "samples placed twice": twice,
        "samples in no part": unplaced,
    }
    if any(faults.values()):
        told = ", ".join(f"{what}: {count:,}" for what, count in faults.items() if count)
        return Check(name="patients", verdict="leak", sentence=told, evidence=evidence)
    told = f"each of the {len(per_patient):,} patients is in one part{' and one fold' if len(drawn) > 1 else ''} only"
    return Check(name="patients", verdict="clean", sentence=told, evidence=evidence)


def _duplicates(table: pd.DataFrame, features: Sequence[str]) -> Check:
    """Rows of equal features in different parts.

    A coincidence where features are few and coarse, else a copy and a leak.
    """
    rows = table[features]
    alike = pd.util.hash_pandas_object(rows, index=False)
    across = (table["@part"].groupby(alike).transform("nunique") > 1).to_numpy()
    rare = too_rare_for_chance(rows, across)
    evidence = {"rows": int(across.sum()), "too_rare_for_chance": int(rare.sum())}
    where = listed((np.flatnonzero(rare if rare.any() else across) + 1).tolist())
    if rare.any():
        told = f"{rare.sum()} rows stand in several parts under different ids (rows {where} of the samples)"
        return Check(name="duplicates", verdict="leak", sentence=told, evidence=evidence)
    if across.any():
        told = (
            f"{across.sum()} rows equal a row of another part, in so few or coarse features that chance may explain it"
        )
        return Check(name="duplicates", verdict="clean", sentence=told, evidence=evidence)
    return Check(name="duplicates", verdict="clean", sentence="no row stands in two parts", evidence=evidence)


def _near_duplicates(table: pd.DataFrame, schema: Schema, params: AuditParams) -> Check:
    name = "near duplicates"
    pairs = near_copies(table[list(schema.tabular)], table["@part"])
    held = np.array([pd.factorize(table[name], use_na_sentinel=False)[0] for name in schema.of_type(*PAYLOADS)])
    pairs = pairs[(held[:, pairs[:, 0]] == held[:, pairs[:, 1]]).all(axis=0)] if len(held) else pairs
    evidence = {"pairs": len(pairs), "rows": len(np.unique(pairs)), "accepted": params.accept.get(name)}
    if not len(pairs):
        return Check(name=name, verdict="clean", sentence="no row nearly equals one of another part", evidence=evidence)
    where = listed((np.unique(pairs) + 1).tolist())
    told = (
        f"{name}: {evidence['rows']:,} rows equal one of another part but for rounding or 1 or 2 cells (rows {where})"
    )
    return Check(name=name, verdict=_suspicion(name in params.accept, params), sentence=told, evidence=evidence)


def _alike(table: pd.DataFrame, schema: Schema, payloads: Mapping[str, Payloads], params: AuditParams) -> Check:
    """Pictures, or a row's texts, that are nearly the same in different parts: a leak, unless a person accepts it."""
    name, part = "pictures and texts", table["@part"].to_numpy()
    pairs = {
        of: found[part[found[:, 0]] != part[found[:, 1]]] for of, found in near_pairs(table, schema, payloads).items()
    }
    rows = {of: len(np.unique(across)) for of, across in pairs.items() if len(across)}
    evidence = {"rows": rows, "accepted": params.accept.get(name)}
    if not rows:
        told = "no picture or text is nearly the same as one of another part"
        return Check(name=name, verdict="clean", sentence=told, evidence=evidence)
    counts = ", ".join(f"{of} of {count:,} rows" for of, count in rows.items())
    told = f"{name}: {counts} nearly equal one of another part; clean.near_duplicates: group keeps them in one"
    return Check(name=name, verdict="clean" if name in params.accept else "leak", sentence=told, evidence=evidence)


def _time_order(table: pd.DataFrame, by_time: bool) -> Check:
    """By time, no training row is later than the last row of any test patient.

    Earlier rows of a test patient may lie among the training rows, since patients are whole; these are told.
    """
    times = {part: table.loc[table["@part"] == part, ["@group", "@time"]] for part in PARTS}
    train, test = times["train"]["@time"], times["test"]
    late = int((train > test.groupby("@group")["@time"].max().min()).sum())
    among = int((train > test["@time"].min()).sum())
    evidence = {"by_time": by_time, "later_than_a_test_patient_ends": late, "later_than_the_first_test_row": among}
    told = f"{among:,} of {len(train):,} training rows are later than the first test row"
    if not by_time:
        told = f"the split is not by time: {told}"
    elif late:
        told = f"{late:,} of {len(train):,} training rows are later than the last row of a test patient"
    else:
        told = f"no training row is later than any test patient's last; {told}, as patients stay whole"
    verdict: Verdict = "leak" if by_time and late else "clean"
    return Check(name="time order", verdict=verdict, sentence=told, evidence=evidence)


def _fit(name: str, seen: RowsSeen, train: RowsSeen) -> Check:
    evidence = {"seen": seen.model_dump(), "train": train.model_dump()}
    if seen == train:
        told = f"{name} was fitted on the {train.count:,} training rows and no others"
        return Check(name=name, verdict="clean", sentence=told, evidence=evidence)
    told = f"{name} was fitted on {seen.count:,} rows that are not the {train.count:,} training rows"
    return Check(name=name, verdict="leak", sentence=told, evidence=evidence)


def _descent(balanced: pd.DataFrame, train: set[str], samples: set[str]) -> Check:
    """A row is a training row, or made from one and no sample at all."""
    own = balanced["@id"]
    origin = balanced.get("@origin", own)
    made = ~own.isin(samples)
    strange = int((~origin.isin(train) | ~(own.isin(train) | made)).sum())
    evidence = {"rows": len(balanced), "synthetic": int(made.sum()), "not_from_training": strange}
    if strange:
        told = f"{strange:,} of {len(balanced):,} rows that models train on descend from no training row"
        return Check(name="balance", verdict="leak", sentence=told, evidence=evidence)
    told = f"all {len(balanced):,} rows that models train on are training rows or descend from one"
    return Check(name="balance", verdict="clean", sentence=told, evidence=evidence)


def _canary(
    samples: pd.DataFrame, train: set[str], schema: Schema, stored: Mapping[str, str], refit: Refit, params: AuditParams
) -> Check:
    found = canary(samples, train, schema, stored, refit)
    evidence = {**found.model_dump(mode="json"), "accepted": params.accept.get("canary")}
    if found.noticed:
        told = f"{listed(found.noticed)} comes out otherwise when rows outside training are changed"
        return Check(name="canary", verdict="leak", sentence=told, evidence=evidence)
    if found.otherwise:
        told = f"canary: {listed(found.otherwise)}, fitted again on the same training rows, differs from what is stored"
        verdict = _suspicion("canary" in params.accept, params)
        return Check(name="canary", verdict=verdict, sentence=told, evidence=evidence)
    told = f"changing all {found.changed:,} rows outside training changes no byte of {listed(found.fits)}"
    return Check(name="canary", verdict="clean", sentence=told, evidence=evidence)


def _missingness(suspects: Sequence[Suspect], params: AuditParams) -> Check:
    found = [s for s in suspects if s.how in ("only_in_class", "missing")]
    return _columns("missingness", "by being filled in or missing", found, params)


def _single_columns(suspects: Sequence[Suspect], schema: Schema, params: AuditParams) -> Check:
    """What pictures, sequences and texts show is not judged: one figure of them may tell the label for good reason."""
    found = [s for s in suspects if s.how in ("value", "level")]
    check = _columns("single columns", "on their own", found, params)
    unseen = schema.of_type(*PAYLOADS)
    note = f"; what {listed(unseen)} show was not looked at" if unseen else ""
    return check.model_copy(update={"sentence": check.sentence + note})


def _arithmetic(suspects: Sequence[Suspect], params: AuditParams) -> Check:
    return _columns("arithmetic", "by arithmetic", [s for s in suspects if s.how == "arithmetic"], params)


def _columns(name: str, how: str, suspects: Sequence[Suspect], params: AuditParams) -> Check:
    open_ = [s.column for s in suspects if s.column not in params.accept]
    evidence = {"suspects": [{**s.model_dump(), "accepted": params.accept.get(s.column)} for s in suspects]}
    if open_:
        told = f"columns that give the label away {how}: {listed(open_, most=20)}"
        return Check(name=name, verdict=_suspicion(False, params), sentence=told, evidence=evidence)
    accepted = f" but {listed([s.column for s in suspects])}, which a person accepted" if suspects else ""
    told = f"no column gives the label away {how.replace('their', 'its')}{accepted}"
    return Check(name=name, verdict="clean", sentence=told, evidence=evidence)


def _suspicion(accepted: bool, params: AuditParams) -> Verdict:
    if accepted:
        return "clean"
    return "leak" if params.on_suspect == "fail" else "suspect"


def _sentence(checks: Sequence[Check], verdict: Verdict) -> str:
    if verdict == "clean":
        return f"no leak found in {len(checks)} checks"
    found = "; ".join(check.sentence for check in checks if check.verdict != "clean")
    mend = "; drop them, or accept each with a reason under audit.accept" if verdict == "suspect" else ""
    return f"{found}{mend}"


def _seal(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
