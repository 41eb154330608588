"""Checks before any work: a misspelt model setting must not be found out after an hour of training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError
from contracts.examples import Form, Inputs, Kind
from flows.plan import Say
from flows.settings import Settings, parse_config
from flows.studies import study_file
from models.family import COMPOSED, check_reads, check_task, load
from models.members import ASIDE
from models.params import TrainParams


def check_models(root: Path, settings: Settings, say: Say) -> None:
    """Parses the settings of every model of a study, which imports torch.

    Raises MedloopError naming the key, or for a model that reads none of the study's columns, or is for another task.
    """
    where = str(study_file(root, settings.name))
    say("checking the models' settings")
    for model in settings.models:
        config = _parsed(model, settings.architecture(model), settings.training(model), f"{where}, models.{model}")
        _check_fits(model, config, settings, where)


def _parsed(model: str, architecture: Mapping[str, Any], training: Mapping[str, Any], where: str) -> object:
    """A model's settings, after those of the models that it is made of."""
    made = architecture.get("models") if model in COMPOSED else None
    for name, own in made.items() if isinstance(made, Mapping) else ():
        if isinstance(own, Mapping) and isinstance(own.get("train", {}), Mapping):
            rest = {key: value for key, value in own.items() if key not in ASIDE}
            _parsed(name, rest, {**training, **own.get("train", {})}, f"{where}.models.{name}")
    try:
        parse_config(TrainParams, training, f"{where}.train")
        return parse_config(load(model).Config, architecture, where)
    except MedloopError as error:
        error.where = error.where if error.where.startswith(where) else where
        raise


def _check_fits(model: str, config: object, settings: Settings, where: str) -> None:
    """A table there always is: payloads too give it figures."""
    kinds: tuple[Kind, ...] = ("image", "sequence", "text")
    columns = settings.study.features().items()
    forms = {name: Form(kind=kind) for kind in kinds for name, column in columns if column.type == kind}
    try:
        told = Inputs(columns=["any"], classes=[], positive=0, payloads=forms, task=settings.study.target.task)
        check_reads(model, told, config)
        check_task(model, told, config)
    except MedloopError as error:
        error.where = f"{where}, models.{model}"
        raise
