import pytest

from contracts.errors import MedloopError
from flows.grid import combinations


def test_named_values_are_combined() -> None:
    found = combinations(["impute.numeric=median,mean", "balance.method=none,smote"])
    assert len(found) == 4
    assert found[0] == {"impute.numeric": "median", "balance.method": "none"}


def test_a_section_stands_for_all_the_methods_of_its_widest_choice() -> None:
    methods = {c["normalize.numeric"] for c in combinations(["normalize"])}
    assert set(combinations(["impute,balance"])[0]) == {"impute.numeric", "balance.method"}
    assert {"standard", "robust", "minmax", "quantile", "none"} <= methods
    assert len(combinations(["normalize,impute"])) == len(methods) * len(combinations(["impute"]))


def test_only_methods_that_fit_the_task_are_gone_over_unless_they_are_named() -> None:
    assert {c["balance.method"] for c in combinations(["impute,balance"], "regression")} == {"none"}
    assert len(combinations(["impute,balance"], "survival")) == len(combinations(["impute"], "survival"))
    assert len(combinations(["balance.method=none,smote"], "regression")) == 2


def test_whole_numbers_are_named_by_the_first_and_the_last() -> None:
    assert [c["train.seed"] for c in combinations(["train.seed=9..11"])] == ["9", "10", "11"]
    with pytest.raises(MedloopError, match="holds no number"):
        combinations(["train.seed=5..2"])


@pytest.mark.parametrize(("over", "meant"), [("imput", "impute"), ("balance.metod", "balance.method")])
def test_what_is_no_choice_is_told_with_what_was_meant(over: str, meant: str) -> None:
    with pytest.raises(MedloopError, match=f"did you mean {meant}"):
        combinations([over])
