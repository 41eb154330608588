"""Columns that give a drafted label away by arithmetic, row numbers, and levels that a person must look at."""

import numpy as np
import pandas as pd
import pytest

from pipelines.draft import Draft, draft

ROWS = 300
RNG = np.random.default_rng(0)
BEFORE = RNG.normal(70, 12, ROWS).round(1)
CHANGE = RNG.normal(2, 6, ROWS).round(1)
HEIGHT = RNG.normal(1.7, 0.1, ROWS).round(2)


def drafted(target: str, event: str | None = None, **columns: object) -> Draft:
    texts = {name: pd.Series(cells, dtype="object").astype("str") for name, cells in columns.items()}
    return draft(pd.DataFrame({"@row": range(2, ROWS + 2), **texts}), target=[target], event=event)


@pytest.mark.parametrize(
    ("label", "others", "given"),
    [
        (CHANGE, {"before": BEFORE, "after": (BEFORE + CHANGE).round(1)}, {"after"}),
        ((BEFORE / HEIGHT**2).round(1), {"weight": BEFORE, "square": HEIGHT**2}, {"weight"}),
        (CHANGE, {"before": BEFORE, "height": HEIGHT}, set()),
    ],
)
def test_of_two_columns_that_make_the_label_the_one_more_like_it_is_dropped(
    label: object, others: dict[str, object], given: set[str]
) -> None:
    proposed = drafted("label", label=label, **others)
    assert {name for name, why in proposed.drop.items() if "the label is" in why} == given


def test_a_time_to_another_end_of_the_same_follow_up_is_dropped() -> None:
    followed = RNG.integers(50, 4000, ROWS)
    earlier = np.where(RNG.random(ROWS) < 0.5, followed, followed // 3)
    dead = RNG.integers(0, 2, ROWS)
    proposed = drafted("days", "dead", days=followed, dead=dead, rtime=earlier, dose=BEFORE)
    assert "never beyond it" in proposed.drop["rtime"]
    assert "dose" in proposed.columns


def test_row_numbers_with_gaps_are_no_features_and_a_patients_number_is_the_id_before_them() -> None:
    sick = ["yes", "no", "no"] * (ROWS // 3)
    proposed = drafted(
        "sick",
        rownames=RNG.permutation(2 * ROWS)[:ROWS],
        line=np.sort(RNG.permutation(2 * ROWS)[:ROWS]),
        PID=[f"{number}" for number in RNG.permutation(900_000)[:ROWS] + 100_000],
        platelets=RNG.permutation(2 * ROWS)[:ROWS],
        sick=sick,
    )
    assert proposed.id == "PID"
    assert all("a row's number?" in proposed.drop[name] for name in ("rownames", "line"))
    assert "platelets" in proposed.columns


def test_rare_classes_codes_and_numbered_levels_are_told() -> None:
    sick = ["yes"] * 4 + ["no"] * 200 + ["perhaps"] * (ROWS - 204)
    grade = [f"{number}_{text}" for number, text in enumerate(("good", "fair", "poor"), start=1)] * (ROWS // 3)
    checks = "\n".join(drafted("sick", marital=RNG.integers(1, 9, ROWS), grade=grade, sick=sick).checks)
    assert "FEWER than 20 rows of yes," in checks
    assert "rows without a label" not in checks
    assert "(as of marital status) categorical: marital" in checks
    assert "make them ordinal: grade" in checks
