"""Which run is meant, where a run of several studies has a model of the same name in each."""

from types import SimpleNamespace
from typing import Any

import pytest

from contracts.errors import MedloopError
from flows import references
from flows.board.lineage import reproduce

STUDIES = {"1": "heart", "2": "liver"}


def mlflow(pages: dict[str, dict[str, str]]) -> Any:
    """A client that knows one run, with these tags of its page in each experiment."""

    def search(experiments: list[str], clause: str) -> list[Any]:
        return [
            SimpleNamespace(info=SimpleNamespace(experiment_id=at), data=SimpleNamespace(tags=pages[at]))
            for at in experiments
            if at in pages
        ]

    return SimpleNamespace(
        search_experiments=lambda: [SimpleNamespace(experiment_id=at, name=name) for at, name in STUDIES.items()],
        get_experiment=lambda at: SimpleNamespace(name=STUDIES[at]),
        search_runs=search,
    )


def test_a_model_of_several_studies_is_not_guessed() -> None:
    client = mlflow({"1": {"medloop.model.mlp": "a", "medloop.model.cox": "c"}, "2": {"medloop.model.mlp": "b"}})
    with pytest.raises(MedloopError, match="of 2 studies") as fault:
        references._by_key(client, "studies-1/mlp")
    assert "heart a, liver b" in fault.value.mend
    assert references._by_key(client, "studies-1/mlp", "liver") == "b", "where the study is said, it is that one's"
    assert references._by_key(client, "studies-1/cox") == "c", "one study alone has it"
    assert references._by_key(client, "studies-1/cnn") is None
    assert list(references._of_key(client, "studies-1", "liver")) == ["b"]


@pytest.mark.parametrize(("key", "told"), [("heart-1", "heart-1/mlp"), ("studies-1", "abc")])
def test_the_board_names_a_run_so_that_it_is_no_other_studys(key: str, told: str) -> None:
    run: Any = SimpleNamespace(run_id="abc", study="heart", model="mlp", tags={"medloop.run": key})
    assert reproduce(run) == f"medloop reproduce {told}"
