"""What a search tries: read from plain words, written so that every reader of YAML takes it for the same."""

from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from contracts.errors import MedloopError
from flows.settings import parse_config
from flows.space import Range, shown, space, suggest, written
from models import family
from models.params import TrainParams

ROOT = Path(__file__).parents[2]
SHARED = YAML(typ="safe").load((ROOT / "params.yaml").read_text())["search"]


def of(*over: str) -> dict[str, object]:
    return dict(space(ROOT, "mlp", over))


def test_ranges_and_choices_are_read_from_plain_words() -> None:
    assert of("width=32..256", "dropout=0.1..0.6", "filters=[8,16],[32]", "balance.method=none, smote") == {
        "width": Range(32, 256, whole=True),
        "dropout": Range(0.1, 0.6, whole=False),
        "filters": ("[8,16]", "[32]"),
        "balance.method": ("none", "smote"),
    }


@pytest.mark.parametrize(
    ("text", "by_logarithm"), [("1e-4..1e-2", True), ("32..320", True), ("0..100", False), ("0.1..0.6", False)]
)
def test_a_range_over_a_factor_of_ten_is_tried_by_its_logarithm(text: str, by_logarithm: bool) -> None:
    axis = of(f"width={text}")["width"]
    assert isinstance(axis, Range)
    assert axis.by_logarithm == by_logarithm


@pytest.mark.parametrize(
    "wrong", ["width", "width=", "width=64", "width=64..32", "width=a..b", "=1..2", "width=1..2..3"]
)
def test_what_is_neither_is_told_with_an_example(wrong: str) -> None:
    with pytest.raises(MedloopError) as told:
        of(wrong)
    assert ".." in told.value.mend


def test_a_model_without_a_line_needs_one() -> None:
    with pytest.raises(MedloopError, match="no setting of logistic"):
        space(ROOT, "logistic", [])
    assert set(space(ROOT, "mlp", [])) == set(SHARED["mlp"])


def test_settings_are_the_model_s_own_but_for_those_of_a_stage() -> None:
    taken = {"width": 64, "train.learning_rate": 1.23456e-5, "balance.method": "smote"}
    assert written(taken, "mlp") == {
        "models.mlp.width": "64",
        "models.mlp.train.learning_rate": "1.23e-05",
        "balance.method": "smote",
    }


@given(st.floats(1e-12, 1e12))
def test_a_fraction_is_read_back_as_a_number_by_old_yaml_and_new(value: float) -> None:
    text = shown({"rate": value})["rate"]
    for version in ("1.1", "1.2"):
        yaml = YAML(typ="safe", pure=True)
        yaml.version = version
        assert float(yaml.load(text)) == pytest.approx(value, rel=0.006)
        assert not isinstance(yaml.load(text), str)


@pytest.mark.parametrize("model", sorted(SHARED))
def test_all_that_params_yaml_names_is_a_setting_that_the_model_takes(model: str) -> None:
    """At both ends and in the middle, as optuna may propose it."""
    axes = space(ROOT, model, [])
    tried = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    proposals = [suggest(tried.ask(), axes) for _ in range(8)]
    for end in ("low", "high"):
        proposals.append({k: getattr(a, end) if isinstance(a, Range) else a[0] for k, a in axes.items()})
    for taken in proposals:
        values = {k: YAML(typ="safe", pure=True).load(v) for k, v in shown(taken).items()}
        training = {k.removeprefix("train."): v for k, v in values.items() if k.startswith("train.")}
        own = {k: int(v) if _whole(axes[k]) else v for k, v in values.items() if not k.startswith("train.")}
        parse_config(TrainParams, training, model)
        parse_config(family.load(model).Config, own, model)


def _whole(axis: object) -> bool:
    return isinstance(axis, Range) and axis.whole
