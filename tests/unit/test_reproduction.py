"""The grade of a model that was trained again, and what is said to differ."""

import numpy as np
import pytest

from flows.reproduction import Divergence, differences, gap, grade, in_spread

TRAINED = Divergence(stage="train@tiny-mlp", changed=[], files=["weights.safetensors"])


def test_grades_from_best_to_worst() -> None:
    assert grade(None, 0.0, 1e-6, spread=False) == "bit-identical"
    assert grade(TRAINED, 1e-7, 1e-6, spread=False) == "same predictions"
    assert grade(TRAINED, 0.1, 1e-6, spread=True) == "within the spread of seeds"
    assert grade(TRAINED, 0.1, 1e-6, spread=False) == "different"
    assert grade(TRAINED, None, 1e-6, spread=False) == "different"


def test_the_gap_is_the_largest_difference_and_none_where_the_rows_are_others() -> None:
    then = np.array([[0.2, 0.8], [0.5, 0.5]])
    assert gap(then, then + np.array([[0.0, 0.0], [0.25, -0.25]])) == 0.25
    assert gap(then, then[:1]) is None


@pytest.mark.parametrize(("now", "within"), [(0.83, True), (0.87, False)])
def test_the_spread_is_two_standard_deviations_over_seeds(now: float, within: bool) -> None:
    seeds = [0.78, 0.80, 0.82]
    assert in_spread(0.80, now, seeds) == within
    assert not in_spread(0.80, 0.80, seeds[:2])


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ("studies/tiny.yaml: train.epochs is 2, was 3", "parameters"),
        ("params.yaml: impute.numeric is 'mean', was 'median'", "parameters"),
        ("studies/tiny.yaml: train.threads is 2, was 1", "threads"),
        ("models/loop.py is modified", "code"),
        ("patients.csv is modified", "data"),
    ],
)
def test_what_a_stage_depends_on_is_told_by_its_kind(changed: str, kind: str) -> None:
    first = Divergence(stage="train@tiny-mlp", changed=[changed], files=["weights.safetensors"])
    assert differences(first, {"library": []}) == {kind: [changed]}


def test_machine_and_packages_are_told_beside_it() -> None:
    assert differences(TRAINED, {"library": ["numpy 2.3.0 instead of 2.4.6"]}) == {
        "library": ["numpy 2.3.0 instead of 2.4.6"]
    }
