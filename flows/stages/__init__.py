"""A stage an own module: read, call the function in `pipelines` or `models`, write. `medloop stage` runs one."""

import importlib
import pkgutil
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import MedloopError
from contracts.names import check_name, nearest
from flows import settings
from flows.home import data_folder
from flows.plan import Say
from flows.settings import Settings
from flows.store import read_payloads
from flows.studies import study_file

if TYPE_CHECKING:
    from contracts.payloads import Payloads


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a stage is given."""

    root: Path
    settings: Settings
    model: str | None = None
    say: Say = print

    def folder(self, stage: str) -> Path:
        """Where a stage of this study keeps its outputs; from train on, a folder a model."""
        return data_folder(self.root, self.settings.name, stage)

    def payloads(self) -> "dict[str, Payloads]":
        """The payloads of this study's samples: those that cleaning changed, else as they were decoded."""
        return {
            name: of
            for stage in ("ingest", "clean")
            for name, of in read_payloads(self.folder(stage) / "payloads").items()
        }

    def model_folder(self, stage: str) -> Path:
        """Where a stage of this study and model keeps its outputs."""
        if self.model is None:
            raise MedloopError(f"stage {stage} is run for a model", mend=f"medloop stage {stage} STUDY MODEL")
        return self.folder(stage) / self.model


def names() -> list[str]:
    """The stages that medloop knows."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__))


def run(root: Path, arguments: Sequence[str], say: Say) -> str:
    """Runs one stage, given as on the command line: its name, the study, the model; what it did, in one line."""
    stage, study, *model = [check_name(a, what=w) for a, w in zip(arguments, ("stage", "study", "model"), strict=False)]
    if stage not in names():
        raise MedloopError(f"there is no stage {stage}{nearest(stage, names())}", mend=f"one of: {', '.join(names())}")
    loaded = settings.load(root, study)
    if model and model[0] not in loaded.models:
        raise MedloopError(
            f"{study} does not train {model[0]}{nearest(model[0], loaded.models)}",
            where=str(study_file(root, study)),
            mend=f"add it under models: {model[0]}: {{}}",
        )
    context = Context(root=root, settings=loaded, model=model[0] if model else None, say=say)
    summary: str = importlib.import_module(f"flows.stages.{stage}").run(context)
    return summary


def ranks(loaded: Settings, arguments: Sequence[str]) -> int:
    """In how many processes at once a stage is to be run."""
    if len(arguments) < 3 or arguments[0] != "train" or arguments[2] not in loaded.models:
        return 1
    return int(loaded.training(arguments[2]).get("devices", 1))


def forget_dropped_models(root: Path, studies: Iterable[Settings]) -> None:
    """Removes the outputs of models that a study does not train any more; the comparison reads the whole folder."""
    for study in studies:
        for stage in ("train", "explain", "evaluate"):
            for folder in data_folder(root, study.name, stage).glob("*/"):
                if folder.name not in study.models:
                    shutil.rmtree(folder)
