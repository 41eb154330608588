"""Checks before any work: a misspelt model setting must not be found out after an hour of training."""

from pathlib import Path

from contracts.errors import MedloopError
from contracts.examples import Form, Inputs, Kind
from flows.plan import Say
from flows.settings import Settings, parse_config
from flows.studies import study_file
from models.family import check_reads, load


def check_models(root: Path, settings: Settings, say: Say) -> None:
    """Parses the settings of every model of a study, which imports torch.

    Raises MedloopError naming the key, or for a model that reads none of the study's columns.
    """
    where = str(study_file(root, settings.name))
    say("checking the models' settings")
    for model in settings.models:
        config = parse_config(load(model).Config, settings.architecture(model), f"{where}, models.{model}")
        _check_reads(model, config, settings, where)


def _check_reads(model: str, config: object, settings: Settings, where: str) -> None:
    """A table there always is: payloads too give it figures."""
    kinds: tuple[Kind, ...] = ("image", "sequence", "text")
    columns = settings.study.features().items()
    forms = {name: Form(kind=kind) for kind in kinds for name, column in columns if column.type == kind}
    try:
        check_reads(model, Inputs(columns=["any"], classes=[], positive=0, payloads=forms), config)
    except MedloopError as error:
        error.where = f"{where}, models.{model}"
        raise
