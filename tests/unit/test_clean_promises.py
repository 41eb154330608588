"""Whatever comes in: each row is a sample, or stands in the ledger; and the order of rows changes nothing."""

import pandas as pd
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts.errors import MedloopError
from contracts.study import Column, Condition, Study, Target
from pipelines.clean import Cleaned, CleanParams, clean

STUDY = Study(
    name="s",
    title="S",
    id="pid",
    group="who",
    target=Target(column="sick", classes=("no", "yes"), positive="yes"),
    cohort={"age": Condition(min=18)},
    columns={
        "age": Column(type="numeric", range=(0, 120), missing=(-999,)),
        "dose": Column(type="numeric", range=(0, 50)),
        "ward": Column(type="categorical", levels=("a", "b")),
        "note": Column(type="text"),
    },
)
PARAMS = CleanParams(unreadable="quarantine", infinite="quarantine", drop_rows_above=0.7)
ROW = st.fixed_dictionaries(
    {
        "who": st.sampled_from(["p1", "p2", "p3"]),
        "age": st.sampled_from(["30", "17", "44.5", "-999", "", "200"]),
        "dose": st.sampled_from(["1", "2.5", "60", "inf", "high", ""]),
        "ward": st.sampled_from(["a", "b", "NA", "c", ""]),
        "note": st.sampled_from(["", "  well ", "ill\u200b", "see report"]),
        "sick": st.sampled_from(["no", "yes", "yes", "no", ""]),
    }
)


def cleaned(rows: list[dict[str, str]], aside: list[int]) -> Cleaned | None:
    table = pd.DataFrame(rows, dtype="str")
    table.insert(0, "@row", table["pid"])
    set_aside = pd.DataFrame({"@row": [f"r{n}" for n in aside], "reason": "looked odd"}, dtype="str")
    try:
        return clean(table, STUDY, PARAMS, set_aside=set_aside)
    except MedloopError:  # nothing left
        return None


@settings(max_examples=15)
@given(st.lists(ROW, min_size=1, max_size=25), st.sets(st.integers(0, 24)), st.randoms(use_true_random=False))
def test_no_row_is_lost_and_order_does_not_matter(rows: list[dict[str, str]], aside: set[int], random: object) -> None:
    named = [{"pid": f"r{n}", **row} for n, row in enumerate(rows)]
    gone = sorted(n for n in aside if n < len(rows))
    done = cleaned(named, gone)
    assume(done is not None)
    assert done is not None
    left_out = sum(change.rows for change in done.ledger if change.column is None)
    faulty = set(done.quarantine["@row"]) - {f"r{n}" for n in gone}  # a row of two faults stands in two lines
    assert len(done.samples) + left_out + len(faulty) == len(rows)
    assert faulty.isdisjoint(done.samples["@id"])
    shuffled = list(named)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = cleaned(shuffled, gone)
    assert again is not None
    assert _sorted(again.samples).equals(_sorted(done.samples))
    assert sorted(map(str, again.ledger)) == sorted(map(str, done.ledger))


def _sorted(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.sort_values("@id", ignore_index=True)
