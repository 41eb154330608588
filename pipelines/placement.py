"""Parts that are set beforehand, not drawn: sites that are held out, or a file in which a team wrote them down."""

import pandas as pd

from contracts.errors import MedloopError, listed, masked
from contracts.names import nearest
from contracts.tables import PARTS, Schema
from pipelines.cells import canonical

MIN_PATIENTS = 10  # a level of fewer might tell of a person, and is not named


def held_out(samples: pd.DataFrame, schema: Schema, site: str, hold_out: tuple[str, ...]) -> "pd.Series[str]":
    """By patient who was ever at one of the sites `hold_out`: "test".

    Raises MedloopError when `site` is no categorical or ordinal column, when a sample has no site, or when there is no
    such site, or no other.
    """
    _check_site(samples, schema, site)
    patients = samples.groupby(site)["@group"].nunique().sort_values(ascending=False, kind="stable")
    for name in hold_out:
        if name not in patients.index:
            named = patients[patients >= MIN_PATIENTS]
            raise MedloopError(
                f"split.hold_out: no site {name}{nearest(name, named.index)} in column {site}; patients by site: "
                + _sizes(patients),
                mend="correct split.hold_out",
            )
    if set(patients.index) <= set(hold_out):
        raise MedloopError(f"split.hold_out names every site of column {site}", mend="leave some to train on")
    tested = samples.loc[samples[site].isin(hold_out), "@group"].unique()
    return pd.Series("test", index=tested, dtype="str")


def placed_by_file(samples: pd.DataFrame, placed: pd.DataFrame, rest: str) -> "pd.Series[str]":
    """By patient whom the file places: their part. With `rest` "train" and validation rows in the file, the others
    are placed too: they train.

    Args:
        placed: `@id` and `@part`, text.

    Raises MedloopError, with counts and no id, when an id stands twice or is no sample's, when a part is none of
    train, validation and test, when a patient is in several, when samples are not placed and `rest` is "fail",
    or when the file leaves no test or no validation rows.
    """
    _check_file(samples, placed)
    rows = samples[["@id", "@group"]].merge(placed, on="@id", how="left")
    by_patient = rows.dropna(subset="@part").groupby("@group")["@part"]
    parts = by_patient.first()
    torn = int((by_patient.agg("nunique") > 1).sum())
    if torn:
        raise _fault(f"patients in several parts: {torn:,}", "put all rows of a patient in one part")
    missing = int(rows["@part"].isna().sum())
    if missing and rest == "fail":
        raise _fault(
            f"samples that it does not place: {missing:,} of {len(samples):,}",
            "add them, or let them train by split.rest: train",
        )
    others = samples.loc[~samples["@group"].isin(parts.index), "@group"].unique()
    lacking = sorted({"test", "validation"} - set(parts))
    if "test" in lacking or (lacking and not len(others)):
        raise _fault(
            f"it places no rows in {listed(lacking)}", "add some; validation can be drawn by split.rest: train"
        )
    return parts if lacking else pd.concat([parts, pd.Series("train", index=others, dtype="str")])


def _check_site(samples: pd.DataFrame, schema: Schema, site: str) -> None:
    known = schema.of_type("categorical", "ordinal")
    if site not in known:
        raise MedloopError(
            f"split.site names {site}, which is no categorical or ordinal column after cleaning{nearest(site, known)}",
            mend="declare it under columns; impute.columns: {" + site + ": drop} keeps it from the models",
        )
    missing = int(samples[site].isna().sum())
    if missing:
        raise MedloopError(
            f"{missing:,} samples have no value in {site}, the column of split.site",
            mend="fill them in, give them a level of their own at the source, or leave them out by `cohort`",
        )


def _sizes(patients: "pd.Series[int]") -> str:
    named = [f"{name} {size:,}" for name, size in patients.items() if size >= MIN_PATIENTS]
    small = len(patients) - len(named)
    return listed(named, most=20) + (f"; {small:,} of fewer than {MIN_PATIENTS}" if small else "")


def _check_file(samples: pd.DataFrame, placed: pd.DataFrame) -> None:
    twice = int(placed["@id"].duplicated().sum())
    if twice:
        raise _fault(f"ids that stand in it twice: {twice:,}", "let every id stand once")
    strange = placed.loc[~placed["@part"].isin(PARTS), "@part"]
    if len(strange):
        raise _fault(
            f"rows whose part is none of {listed(PARTS)}: {len(strange):,}, like {masked(strange.iloc[0])!r}",
            "correct them",
        )
    unknown = placed.loc[~placed["@id"].isin(samples["@id"]), "@id"]
    if len(unknown):
        alike = int(canonical(unknown).isin(canonical(samples["@id"])).sum())
        lost = "the data, the cohort or the cleaning lost them: bring them back, or take them out of the file"
        written = f"{alike:,} of them the source writes otherwise, as 7.0 and 7: write ids as it does"
        raise _fault(f"ids that are no sample's: {len(unknown):,} of {len(placed):,}", written if alike else lost)


def _fault(problem: str, mend: str) -> MedloopError:
    return MedloopError(f"the split file does not fit: {problem}", where="split.file", mend=mend)
