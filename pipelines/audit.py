"""The leak certificate: proof that what was fitted saw training rows only, and what still looks too good to be true."""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from contracts.errors import listed
from contracts.study import Frozen
from contracts.tables import PARTS, Part, RowsSeen, Schema, of_part, rows_seen
from pipelines.copies import too_rare_for_chance
from pipelines.leaks import LeakParams, single_feature_suspects

Verdict = Literal["clean", "suspect", "leak"]
_ORDER: tuple[Verdict, ...] = ("clean", "suspect", "leak")


class AuditParams(LeakParams):
    """How leaks are judged; `LeakParams` holds the thresholds for single columns.

    accept: suspected columns that a person has looked at, each with the reason why it is known before the label is.
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
    imputer_seen: RowsSeen,
    normalizer_seen: RowsSeen,
    balanced: pd.DataFrame,
    schema: Schema,
    params: AuditParams,
) -> Certificate:
    """Audits one study. The ids of training are taken from `split` anew, not from what the stages say.

    Args:
        samples: the cleaned samples.
        split: `@id` and `@part`.
        imputer_seen, normalizer_seen: the rows that each fit says it saw.
        balanced: the training table as models get it, `@origin` naming what a synthetic row descends from.
    """
    parts = {part: rows_seen(split.loc[split["@part"] == part, "@id"]) for part in PARTS}
    train = of_part(samples, split, "train")
    checks = [
        _patients(samples, split),
        _duplicates(samples, split, list(schema.features)),
        _fit("imputation", imputer_seen, parts["train"]),
        _fit("normalization", normalizer_seen, parts["train"]),
        _descent(balanced, set(train["@id"]), set(samples["@id"])),
        _single_columns(train, schema, params),
    ]
    verdict = max((check.verdict for check in checks), key=_ORDER.index)
    content = Certificate(
        verdict=verdict, sentence=_sentence(checks, verdict), checks=tuple(checks), parts=parts, sha256=""
    ).model_dump(mode="json", exclude={"sha256"})
    return Certificate.model_validate({**content, "sha256": _seal(content)})


def _patients(samples: pd.DataFrame, split: pd.DataFrame) -> Check:
    placed = samples[["@id", "@group"]].merge(split, on="@id", how="left")
    per_patient = placed.groupby("@group")["@part"].nunique()
    torn, unplaced = int((per_patient > 1).sum()), int(placed["@part"].isna().sum())
    twice = int(split["@id"].duplicated().sum())
    evidence = {"patients": len(per_patient), "in_several_parts": torn, "ids_twice": twice, "not_placed": unplaced}
    faults = {"patients in more than one part": torn, "samples placed twice": twice, "samples in no part": unplaced}
    if any(faults.values()):
        told = ", ".join(f"{what}: {count:,}" for what, count in faults.items() if count)
        return Check(name="patients", verdict="leak", sentence=told, evidence=evidence)
    told = f"each of the {len(per_patient):,} patients is in one part only"
    return Check(name="patients", verdict="clean", sentence=told, evidence=evidence)


def _duplicates(samples: pd.DataFrame, split: pd.DataFrame, features: Sequence[str]) -> Check:
    """Rows of equal features in different parts.

    A coincidence where features are few and coarse, else a copy and a leak.
    """
    table = samples.drop_duplicates("@id").merge(split.drop_duplicates("@id"), on="@id").reset_index(drop=True)
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


def _single_columns(train: pd.DataFrame, schema: Schema, params: AuditParams) -> Check:
    suspects = single_feature_suspects(train, train["@target"], schema, params)
    open_ = [s.column for s in suspects if s.column not in params.accept]
    evidence = {"suspects": [{**s.model_dump(), "accepted": params.accept.get(s.column)} for s in suspects]}
    if open_:
        told = f"columns that give the label away on their own: {listed(open_, most=20)}"
        verdict: Verdict = "leak" if params.on_suspect == "fail" else "suspect"
        return Check(name="single columns", verdict=verdict, sentence=told, evidence=evidence)
    accepted = f" but {listed([s.column for s in suspects])}, which a person accepted" if suspects else ""
    told = f"no column gives the label away on its own{accepted}"
    return Check(name="single columns", verdict="clean", sentence=told, evidence=evidence)


def _sentence(checks: Sequence[Check], verdict: Verdict) -> str:
    if verdict == "clean":
        return f"no leak found in {len(checks)} checks"
    found = "; ".join(check.sentence for check in checks if check.verdict != "clean")
    mend = "; drop them, or accept each with a reason under audit.accept" if verdict == "suspect" else ""
    return f"{found}{mend}"


def _seal(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
