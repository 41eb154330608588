"""One suite that every family of models passes; a new file in models/families is taken up by itself."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.errors import MedloopError
from contracts.ordinal import median_class
from contracts.tasks import Task
from models import store
from models.family import COMPOSED, check_reads, check_task, configured, is_network, load, names, tasks
from models.params import TrainParams
from models.tasks import tagging
from models.training import fit
from tests.unit.killing import killed_at
from tests.unit.problems import SMALL, answers, courses, forecasts, inputs, numbers, problem, reports

NETWORKS = [name for name in names() if is_network(load(name))]
CLASSIFIERS = [name for name in names() if "classes" in tasks(name)]
PARAMS = TrainParams(epochs=12, batch_size=32, learning_rate=5e-3)


def trained(name: str, folder: Path, classes: int = 2, **changes: Any) -> store.Trained:
    """A model of classes, or where the family takes none, of numbers or times to an event."""
    if name not in CLASSIFIERS:
        if tasks(name)[0] == "survival":
            return trained_on_courses(name, folder, **changes)
        if tasks(name)[0] == "tagging":
            return trained_on_reports(name, folder)
        return trained_on_numbers(name, folder, tasks(name)[0], **changes)
    reads = load(name).READS
    train = dataclasses.replace(problem(reads, classes, 240, seed=1), weight=changes.pop("weight", None))
    params = dataclasses.replace(PARAMS, **changes)
    return fit(
        name,
        SMALL.get(name, {}),
        params,
        inputs=inputs(reads, classes),
        train=train,
        validation=problem(reads, classes, 120, seed=2),
        checkpoints=folder / "checkpoints",
        history=lambda row: None,
    )


def trained_on_courses(name: str, folder: Path, **changes: Any) -> store.Trained:
    reads = load(name).READS
    return fit(
        name,
        SMALL.get(name, {}),
        dataclasses.replace(PARAMS, loss="hazard", monitor="loss"),
        inputs=inputs(reads, 2, "survival"),
        train=dataclasses.replace(courses(reads, 160, seed=1), **changes),
        validation=courses(reads, 80, seed=2),
        checkpoints=folder / "checkpoints",
        history=lambda row: None,
    )


def trained_on_numbers(name: str, folder: Path, task: Task = "regression", **changes: Any) -> store.Trained:
    reads, made = load(name).READS, forecasts if task == "forecasting" else numbers
    return fit(
        name,
        SMALL.get(name, {}),
        dataclasses.replace(PARAMS, loss="squared", monitor="mae"),
        inputs=inputs(reads, 2, task),
        train=dataclasses.replace(made(reads, 240 if task == "regression" else 160, seed=1), **changes),
        validation=made(reads, 120, seed=2),
        checkpoints=folder / "checkpoints",
        history=lambda row: None,
    )


def trained_on_reports(name: str, folder: Path) -> store.Trained:
    return fit(
        name,
        SMALL.get(name, {}),
        dataclasses.replace(PARAMS, monitor="f1"),
        inputs=inputs(["text"], 2, "tagging"),
        train=reports(240, seed=1),
        validation=reports(120, seed=2),
        checkpoints=folder / "checkpoints",
        history=lambda row: None,
    )


@pytest.mark.parametrize("name", [name for name in names() if "tagging" in tasks(name)])
def test_finds_easy_entities(name: str, tmp_path: Path) -> None:
    """What a word is, its neighbours alone tell; a text that is longer, or alone, is told the same."""
    model, new = trained_on_reports(name, tmp_path), reports(101, seed=3)
    probability = model.predict(new)
    assert probability.shape[2] == 5
    np.testing.assert_allclose(probability.sum(axis=2), 1)
    assert tagging.scores(probability, new, model.inputs)["validation_f1"] > 0.9
    few = dataclasses.replace(new, table=new.table[:1], at=np.array([4]))
    np.testing.assert_allclose(model.predict(few)[0], probability[4, : model.predict(few).shape[1]], atol=1e-5)
    texts, _ = np.nonzero(np.ptp(probability, axis=2))
    assert not (texts % 10 == 9).any()  # of a text without words nothing is told


@pytest.mark.parametrize("name", [name for name in NETWORKS if "tagging" in tasks(name)])
def test_gradients_of_tags_reach_every_parameter(name: str) -> None:
    import torch

    from models.batches import laid_out
    from models.network import Network

    torch.manual_seed(0)
    told = inputs(["text"], 2, "tagging")
    network = Network(load(name), told, configured(name, SMALL.get(name, {}))).train()
    rows = laid_out(reports(64, seed=1), told, ["text"])
    loss = tagging.loss(told, PARAMS, rows.target, rows.weight)
    loss(network(rows.batch(torch.arange(64))), rows.target).mean().backward()
    silent = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.abs().any()]
    assert silent == []


def test_a_family_that_does_not_tag_says_which_do() -> None:
    with pytest.raises(MedloopError, match=r"^mlp is a model of .*; the label of this study asks for tagging") as error:
        check_task("mlp", inputs(("text",), 2, "tagging"))
    assert error.value.mend == "choose a model that fits: rnn, transformer, windows"


@pytest.mark.parametrize("name", [name for name in names() if "regression" in tasks(name)])
def test_learns_an_easy_number(name: str, tmp_path: Path) -> None:
    """The labels stand 30 apart, so that guessing their mean errs by 15."""
    model = trained_on_numbers(name, tmp_path)
    new = numbers(load(name).READS, 200, seed=3)
    number, low, high = model.predict(new).T
    assert new.target is not None
    assert np.abs(number - new.target).mean() < 9
    assert ((low <= new.target) & (new.target <= high)).mean() == pytest.approx(0.9, abs=0.09)


@pytest.mark.parametrize("name", [name for name in names() if {"forecasting", "regression"} <= {*tasks(name)}])
def test_learns_two_easy_numbers_ahead(name: str, tmp_path: Path) -> None:
    """No change is off by 15, and by 8 for the second."""
    model = trained_on_numbers(name, tmp_path, "forecasting")
    new = forecasts(load(name).READS, 200, seed=3)
    given = model.predict(new).reshape(200, 2, 3)
    assert new.target is not None
    assert (np.abs(given[..., 0] - new.target).mean(axis=0) < [9, 5]).all()
    held = (given[..., 1] <= new.target) & (new.target <= given[..., 2])
    assert held.mean(axis=0) == pytest.approx(0.9, abs=0.09)


@pytest.mark.parametrize("name", [name for name in names() if "ordinal" in tasks(name)])
def test_learns_easy_classes_in_order(name: str, tmp_path: Path) -> None:
    reads = load(name).READS
    model = fit(
        name,
        SMALL.get(name, {}),
        dataclasses.replace(PARAMS, loss="conditional", monitor="qwk"),
        inputs=inputs(reads, 3, "ordinal"),
        train=problem(reads, 3, 240, seed=1),
        validation=problem(reads, 3, 120, seed=2),
        checkpoints=tmp_path / "checkpoints",
        history=lambda row: None,
    )
    new = problem(reads, 3, 200, seed=3)
    probability = model.predict(new)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert (median_class(probability) == new.target).mean() > 0.85


@pytest.mark.parametrize("name", [name for name in names() if "survival" in tasks(name)])
def test_learns_an_easy_time_to_an_event(name: str, tmp_path: Path) -> None:
    """By the horizon the event happens to most of one class, and to few of the other."""
    model = trained_on_courses(name, tmp_path)
    new = courses(load(name).READS, 200, seed=3)
    risk, fast = model.predict(new)[:, 0], np.arange(200) % 2 == 1
    assert risk[fast].mean() > risk[~fast].mean() + 0.15
    assert (risk[fast][:, None] > risk[~fast]).mean() > 0.85


@pytest.mark.parametrize("name", [name for name in names() if "multilabel" in tasks(name)])
def test_learns_easy_labels_that_are_not_all_known(name: str, tmp_path: Path) -> None:
    reads = load(name).READS
    model = fit(
        name,
        SMALL.get(name, {}),
        dataclasses.replace(PARAMS, loss="binary", monitor="loss"),
        inputs=inputs(reads, 2, "multilabel"),
        train=answers(reads, 160, seed=1),
        validation=answers(reads, 80, seed=2),
        checkpoints=tmp_path / "checkpoints",
        history=lambda row: None,
    )
    probability, second = model.predict(answers(reads, 200, seed=3)), np.arange(200) % 2 == 1
    assert probability.shape == (200, 3)
    assert (probability[second, 0][:, None] > probability[~second, 0]).mean() > 0.85
    assert (probability[~second, 1][:, None] > probability[second, 1]).mean() > 0.75
    assert len(model.threshold) == 3


def test_a_model_of_another_task_is_an_error_that_names_those_that_fit() -> None:
    with pytest.raises(
        MedloopError, match="logistic is a model of classes, ordinal, multilabel; the label of this study asks for regr"
    ) as e:
        check_task("logistic", inputs(("table",), 2, "regression"))
    assert "ridge" in e.value.mend
    assert not any(unfit in e.value.mend for unfit in ("logistic", "cnn"))  # of another task, of other columns


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_learns_an_easy_problem(name: str, classes: int, tmp_path: Path) -> None:
    model = trained(name, tmp_path, classes)
    new = problem(load(name).READS, classes, 200, seed=3)
    probability = model.predict(new)
    assert probability.shape == (200, classes)
    assert probability.dtype == np.float64
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert (probability.argmax(axis=1) == new.target).mean() > 0.9
    assert (model.threshold is None) == (classes > 2)


@pytest.mark.parametrize("name", names())
def test_the_same_training_leaves_the_same_bytes_and_loads_to_equal_outputs(name: str, tmp_path: Path) -> None:
    for run in ("a", "b"):
        store.save(trained(name, tmp_path / run), tmp_path / run / "model")
    files = [{path.name: path.read_bytes() for path in (tmp_path / run / "model").iterdir()} for run in ("a", "b")]
    assert files[0] == files[1]
    rows, first = problem(load(name).READS, 2, 50, seed=3), trained(name, tmp_path / "a")
    loaded = store.load(tmp_path / "b" / "model")
    np.testing.assert_array_equal(loaded.predict(rows), first.predict(rows))
    assert (loaded.threshold, loaded.facts, loaded.inputs) == (first.threshold, first.facts, first.inputs)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_weights_count_but_not_their_scale(name: str, tmp_path: Path) -> None:
    weight = np.where(np.arange(240) % 2 == 1, 8, 1).astype(np.float32)
    new = problem(load(name).READS, 2, 200, seed=3)
    plain, heavy, scaled = (
        trained(name, tmp_path / str(i), weight=w).predict(new)[:, 1] for i, w in enumerate((None, weight, weight * 4))
    )
    assert heavy.mean() > plain.mean() + 0.005
    np.testing.assert_array_equal(heavy, scaled)


@pytest.mark.parametrize("name", names())
def test_settings_are_documented_and_checked(name: str) -> None:
    kind = load(name).Config
    for field in dataclasses.fields(kind):
        assert f"    {field.name}: " in kind.__doc__, f"{name}: {field.name} is not explained"
    adapter = TypeAdapter(kind)
    assert adapter.validate_python({}) == kind()
    with pytest.raises(ValidationError, match="widht"):
        adapter.validate_python({"widht": 3})
    with pytest.raises(MedloopError, match="unknown setting widht"):
        configured(name, {"widht": 3})


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_reach_every_parameter(name: str) -> None:
    import torch

    from models.batches import laid_out
    from models.network import Network

    torch.manual_seed(0)
    reads = load(name).READS
    network = Network(load(name), inputs(reads, 3), configured(name, SMALL.get(name, {}))).train()
    rows = laid_out(problem(reads, 3, 64, seed=1), inputs(reads, 3), reads)
    logits = network(rows.batch(torch.arange(64)))
    assert logits.shape == (64, 3)
    assert network.encoder(rows.batch(torch.arange(5))).shape == (5, network.encoder.dim_out)
    torch.nn.functional.cross_entropy(logits, torch.arange(64) % 3).backward()  # type: ignore[no-untyped-call]
    silent = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.abs().any()]
    assert silent == []


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("at", [5, 16, 27])
def test_a_killed_training_resumes_to_the_same_bits(
    name: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight steps an epoch, two at once: killed in mid-epoch, at an epoch's end, and between two checkpoints."""
    from models import loop

    monkeypatch.setattr(loop, "STEPS_AT_ONCE", 2)
    rows: list[dict[str, float]] = []
    reads = load(name).READS
    common: dict[str, Any] = {
        "inputs": inputs(reads, 2),
        "train": problem(reads, 2, 240, seed=1),
        "validation": problem(reads, 2, 120, seed=2),
        "save_every": 0,
    }
    settings, params = SMALL.get(name, {}), dataclasses.replace(PARAMS, epochs=4)
    whole = fit(name, settings, params, **common, checkpoints=tmp_path / "whole", history=rows.append)

    with killed_at(at, monkeypatch):
        fit(name, settings, params, **common, checkpoints=tmp_path / "cut", history=lambda row: None)
    again: list[dict[str, float]] = []
    resumed = fit(name, settings, params, **common, checkpoints=tmp_path / "cut", history=again.append)
    assert again == rows
    assert resumed.facts == whole.facts
    assert all((resumed.arrays[key] == whole.arrays[key]).all() for key in whole.arrays)


def test_boosting_scores_as_scikit_learn_does() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    from models.families import boosting
    from models.tasks import classes

    rng = np.random.default_rng(0)
    table = rng.normal(size=(400, 5)).astype(np.float32)
    table[rng.random(table.shape) < 0.2] = np.nan
    for target in ((np.nansum(table, axis=1) > 0).astype(int), rng.integers(0, 3, 400)):
        model = HistGradientBoostingClassifier(max_iter=15, early_stopping=False).fit(table, target)
        ours = classes.predicted(boosting.outputs(boosting._arrays(model, 15), table), inputs(["table"], 2))
        np.testing.assert_allclose(ours, model.predict_proba(table), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", sorted(set(names()) - set(NETWORKS) - set(COMPOSED)))
def test_a_baseline_scores_without_torch_or_scikit_learn(name: str, tmp_path: Path) -> None:
    store.save(trained(name, tmp_path), tmp_path / "model")
    code = f"""
import sys, numpy as np
from pathlib import Path
from contracts.examples import Examples
from contracts.payloads import ragged
from models import store
model = store.load(Path({str(tmp_path / "model")!r}))
words = np.arange(3, dtype=np.int32)
texts = {{name: ragged([words] * 3, like=words) for name in model.inputs.payloads}}
assert len(model.predict(Examples(table=np.zeros((3, 6), np.float32), payloads=texts))) == 3
heavy = {{"torch", "sklearn", "pandas", "pytorch_lightning", "prefect"}} & set(sys.modules)
own = "models.families.{name.replace("-", "_")}"
others = [m for m in sys.modules if m.startswith("models.families.") and m != own]
assert not heavy and not others, (heavy, others)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_families_are_found_by_file_name_without_importing_them() -> None:
    code = """
import sys
from models import family, params, store, threshold, training
assert {"mlp", "logistic", "boosting"} <= set(family.names())
loaded = {m for m in sys.modules if m.startswith("models.families.")}
assert not loaded, loaded
heavy = {"torch", "sklearn", "pandas", "pytorch_lightning", "prefect"} & set(sys.modules)
assert not heavy, heavy
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", names())
def test_a_study_without_a_column_that_the_model_reads_is_an_error(name: str) -> None:
    others = {"table", "image", "sequence", "text"} - set(load(name).READS)
    if not others:
        return
    study = inputs(sorted(others), 2)
    if "table" not in others:
        study = dataclasses.replace(study, columns=[])
    with pytest.raises(MedloopError, match=f"^{name} reads columns of kind .*; the study has") as error:
        check_reads(name, study)
    fitting = error.value.mend.removeprefix("choose a model that fits: ").split(", ")
    assert fitting == [fit for fit in names() if others & set(load(fit).READS) and "classes" in tasks(fit)]


@pytest.mark.parametrize("name", ["mpl", "../mlp", "mlp; true", "__init__", ""])
def test_an_unknown_family_is_an_error(name: str) -> None:
    with pytest.raises(MedloopError):
        load(name)


def test_an_unknown_family_names_the_nearest() -> None:
    with pytest.raises(MedloopError, match="did you mean mlp"):
        load("mpl")
