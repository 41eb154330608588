"""1,000 test sets with patients of several rows: false alarms of each test at its stated rate, and what power there is.

`pytest tests/benchmarks/test_false_alarms.py -s` prints the table of docs/comparing.md.
"""

import numpy as np
from scipy.stats import binom, norm

from pipelines.paired import delong, mcnemar
from tests.unit.test_comparison import area, sets

NUMBER, PATIENTS = 1000, 150


def bounds(rate: float) -> tuple[float, float]:
    """Within which the count of false alarms lies 998 times in 1,000."""
    return float(binom.ppf(0.001, NUMBER, rate)), float(binom.ppf(0.999, NUMBER, rate))


def test_equal_models_are_told_apart_no_more_often_than_stated() -> None:
    made = list(sets(NUMBER, PATIENTS, 0.0, 7))
    p = {
        "DeLong": np.array([delong(*one) for one in made]),
        "McNemar": np.array([mcnemar((a > 0) == t, (b > 0) == t, g) for t, a, b, g in made]),
        "DeLong, heedless of patients": np.array([delong(t, a, b, np.arange(len(t))) for t, a, b, _ in made]),
    }
    for name, values in p.items():
        print(f"\n{name}: " + ", ".join(f"{(values < rate).mean():.1%} at {rate:.0%}" for rate in (0.01, 0.05, 0.1)))
    for name in ("DeLong", "McNemar"):
        for rate in (0.01, 0.05, 0.1):
            low, high = bounds(rate)
            assert low <= (p[name] < rate).sum() <= high, (name, rate)
    assert (p["DeLong, heedless of patients"] < 0.05).mean() > 0.1


def test_power_is_what_the_size_of_the_difference_says() -> None:
    for patients in (100, 200, 400):
        made = list(sets(NUMBER, patients, 1.0, 11))
        gaps = np.array([area(t, b) - area(t, a) for t, a, b, _ in made])
        stated = norm.sf(norm.isf(0.025) - gaps.mean() / gaps.std(ddof=1))
        found = np.mean([delong(*one) < 0.05 for one in made])
        print(f"\n{patients} patients: found in {found:.1%}, stated {stated:.1%} (AUROC apart by {gaps.mean():.3f})")
        assert abs(found - stated) < 0.05
