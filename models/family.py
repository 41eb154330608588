"""A family of models is one file in `models/families`; the file's name is the family's name.

A file holds `Config`, a frozen keyword-only dataclass of plain types whose `__post_init__` raises
ValueError, `READS`, the kinds of columns that it can take of those that there are, and then either

- a network: `Encoder(inputs, config)`, a torch module with `dim_out` and
  `forward(batch) -> (B, D)`, where `batch` is as `models.batches` describes. One that is pre-trained without labels has
  beside it `Autoencoder(inputs, config)`, with an `encoder` as that one and `forward(batch) -> (B,)`, the loss of each
  row, and `pretraining(config, params) -> TrainParams | None`, how that is trained, if it is. One that can tag the
  words of the one column of texts has `Tagger(inputs, config)`, as `Encoder` but with `forward(batch) -> (B, T, D)`; or
- a baseline, which reads tables: `fit(train, validation, *, config, inputs, seed, threads) -> (arrays, facts)` and
  `outputs(arrays, table) -> (N, K)`, what the task's `predicted` takes, with numpy alone; one that does not read the
  table is given the examples in its place. `TASKS` names the tasks that it fits; a network fits all, tagging where it
  has a `Tagger`.

The families of `COMPOSED` are made of other models, which `models` of their `Config` names (`models/members.py`); these
are trained before it, each on its own.

All come out as named arrays, so one store and one way of scoring serve every family.
"""

import importlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from contracts.errors import MedloopError
from contracts.examples import Inputs, Kind
from contracts.names import check_name, nearest
from contracts.tasks import TASKS, Task

AUTOENCODER = "autoencoder/"  # how the names of a pre-training's arrays begin, beside those of the network
COMPOSED = ("combined", "ensemble")


def names() -> list[str]:
    """The families there are, by file name (`cnn_rnn.py` is `cnn-rnn`), none of them imported."""
    files = Path(__file__).with_name("families").glob("[a-z]*.py")
    return sorted(file.stem.replace("_", "-") for file in files)


def files(name: str) -> str:
    """What holds the family's code, as a path in the repository: its file, or all files where it is made of others."""
    return "models/families" if name in COMPOSED else f"models/families/{name.replace('-', '_')}.py"


def load(name: str) -> ModuleType:
    """The family's module, and no other family's. Raises MedloopError for a name that is no family."""
    check_name(name, what="model")
    if name not in names():
        raise MedloopError(
            f"there is no model {name}{nearest(name, names())}", mend=f"choose one of {', '.join(names())}"
        )
    return importlib.import_module(f"models.families.{name.replace('-', '_')}")


def is_network(family: ModuleType) -> bool:
    """Whether the family is trained by gradients; a baseline fits itself."""
    return hasattr(family, "Encoder")


def is_baseline(family: ModuleType) -> bool:
    """Whether the family is one of the simple ones, which are preferred where others are no better."""
    return hasattr(family, "outputs")


def check_reads(name: str, inputs: Inputs, config: object = None) -> None:
    """Raises MedloopError when the study has no column of a kind that the family, or one it is made of, reads."""
    if name in COMPOSED:
        for member in getattr(config, "models", ()):
            check_reads(member, inputs)
        return
    there, read = _kinds(inputs), reads(load(name), inputs.task)
    if there.isdisjoint(read):
        raise MedloopError(
            f"{name} reads columns of kind {' or '.join(read)}; the study has {' and '.join(sorted(there)) or 'none'}",
            mend=_fitting(inputs),
        )


def _kinds(inputs: Inputs) -> set[Kind]:
    return {form.kind for form in inputs.payloads.values()} | ({"table"} if inputs.columns else set())


def _fitting(inputs: Inputs) -> str:
    """The models of the task that read a column there is."""
    of_task = [other for other in names() if inputs.task in tasks(other)]
    fitting = [other for other in of_task if not _kinds(inputs).isdisjoint(reads(load(other), inputs.task))]
    return f"choose a model that fits: {', '.join(fitting)}"


def reads(family: ModuleType, task: Task) -> tuple[Kind, ...]:
    """The kinds of columns that the family takes; tags are told of texts alone."""
    kinds: tuple[Kind, ...] = ("text",) if task == "tagging" else family.READS
    return kinds


def tasks(name: str) -> tuple[Task, ...]:
    """What labels the family can be trained on."""
    family = load(name)
    every = TASKS if hasattr(family, "Tagger") else tuple(task for task in TASKS if task != "tagging")
    fitting: tuple[Task, ...] = getattr(family, "TASKS", every)
    return fitting


def check_task(name: str, inputs: Inputs, config: object = None) -> None:
    """Raises MedloopError when the family, or one it is made of, is for other tasks."""
    for member in getattr(config, "models", ()):
        check_task(member, inputs)
    if inputs.task not in tasks(name):
        raise MedloopError(
            f"{name} is a model of {', '.join(tasks(name))}; the label of this study asks for {inputs.task}",
            mend=_fitting(inputs),
        )


def configured(name: str, settings: object) -> Any:
    """The family's `Config`: `settings` itself when it is one, else made from that mapping.

    Raises MedloopError for an unknown key or a value that the family refuses.
    """
    kind = load(name).Config
    if isinstance(settings, kind):
        return settings
    assert isinstance(settings, Mapping)
    known = [field.name for field in fields(kind)]
    for key in settings:
        if key not in known:
            raise MedloopError(
                f"unknown setting {key}{nearest(str(key), known)}",
                where=f"model {name}",
                mend=f"known: {', '.join(known)}",
            )
    try:
        return kind(**settings)
    except (ValueError, TypeError) as error:
        raise MedloopError(str(error), where=f"model {name}", mend="correct the setting") from error
