"""Checks before any work: a misspelt model setting must not be found out after an hour of training."""

from pathlib import Path

from flows.plan import Say
from flows.settings import Settings, parse_config
from flows.studies import study_file
from models.family import load


def check_models(root: Path, settings: Settings, say: Say) -> None:
    """Parses the settings of every model of a study, which imports torch. Raises MedloopError naming the key."""
    where = str(study_file(root, settings.name))
    say("checking the models' settings")
    for model in settings.models:
        parse_config(load(model).Config, settings.architecture(model), f"{where}, models.{model}")
