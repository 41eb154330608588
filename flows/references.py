"""Which of MLflow's runs a person means: by its id, by a run's key and a model, or by a registered name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError
from flows import tracking
from flows.servers import elsewhere, tracking_uri


def fetch_model(root: Path, reference: str, folder: Path) -> Path:
    """Downloads the model that `reference` names: a run's id, a run key with `/MODEL`, or `STUDY[@ALIAS|/VERSION]`.

    Raises MedloopError when nothing of that name is recorded.
    """
    mlflow = tracking.client(root)
    run_id = _resolve(mlflow, reference)
    if run_id is None:
        raise MedloopError(
            f"no run and no registered model is called {reference!r}",
            mend="give an MLflow run id, a run key such as diabetes-20261122-0315-k3f9/mlp, or a study: "
            "diabetes@champion (a study whose certificate is not clean has no registered model: name its run)",
        )
    if collected := mlflow.get_run(run_id).data.tags.get(tracking.COLLECTED):
        raise MedloopError(
            f"the files of {reference} were removed by medloop gc ({collected}); its figures are kept",
            where="MLflow",
            mend="train it again: medloop run; keep: in params.yaml says what stays for how long",
        )
    return Path(mlflow.download_artifacts(run_id, "model", str(folder)))


def _resolve(mlflow: Any, reference: str, study: str = "") -> str | None:
    for attempt in (_by_run, partial(_by_key, study=study), _by_registered_name):
        try:
            found = attempt(mlflow, reference.removeprefix("models:/").removeprefix("runs:/"))
        except tracking.refusal():
            continue
        if found:
            return found
    return None


def _by_run(mlflow: Any, reference: str) -> str | None:
    return str(mlflow.get_run(reference).info.run_id)


def _by_key(mlflow: Any, reference: str, study: str = "") -> str | None:
    """A run key names its comparison, which knows its models; without `/MODEL`, the best of them.

    Raises MedloopError where the run was of several studies that have such a model: none is the one that is meant.
    """
    key, _, model = reference.partition("/")
    found: dict[str, str] = {}  # by experiment; the newest page of each comes first
    for page in comparisons(mlflow, key, study):
        tags = page.data.tags
        run_id = tags.get(f"medloop.model.{model or tags.get('medloop.best')}")
        if run_id:
            found.setdefault(page.info.experiment_id, str(run_id))
    if len(found) > 1:
        each = [f"{mlflow.get_experiment(at).name} {run_id}" for at, run_id in found.items()]
        raise MedloopError(
            f"{reference} is of {len(found)} studies, and which is meant is not said",
            mend=f"name one by its MLflow run id: {', '.join(sorted(each))}",
        )
    return next(iter(found.values()), None)


def comparisons(mlflow: Any, key: str, study: str = "") -> Iterable[Any]:
    """The pages of a run, one a study, or that of one study; of what can be no key, none."""
    if "'" in key:
        return []
    everywhere = [e.experiment_id for e in mlflow.search_experiments() if study in ("", e.name)]
    clause = f"tags.`medloop.run` = '{key}' and tags.`medloop.kind` = 'comparison'"
    found: Iterable[Any] = mlflow.search_runs(everywhere, clause) if everywhere else []
    return found


def _by_registered_name(mlflow: Any, reference: str) -> str | None:
    name, _, version = reference.partition("/")
    name, _, alias = name.partition("@")
    if version:
        return str(mlflow.get_model_version(name, version).run_id)
    return str(mlflow.get_model_version_by_alias(name, alias or tracking.CHAMPION).run_id)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A model's run as MLflow has it."""

    run_id: str
    study: str
    model: str
    tags: Mapping[str, str]


def recorded(root: Path, reference: str, study: str = "") -> list[Recorded]:
    """The models' runs that `reference` names; of a run key without `/MODEL`, all of that run. Empty: unknown.

    study: the one that is meant, where a run was of several. Raises MedloopError where it is not said and must be.
    """
    if not elsewhere("mlflow") and not Path(tracking_uri(root).removeprefix("sqlite:///")).is_file():
        return []
    mlflow = tracking.client(root)
    found = _resolve(mlflow, reference, study) if not (ids := list(_of_key(mlflow, reference, study))) else None
    ids += [found] if found else []
    return [_recorded(mlflow, run_id) for run_id in ids]


def _of_key(mlflow: Any, key: str, study: str) -> Iterable[str]:
    for page in comparisons(mlflow, key, study):
        yield from (run for name, run in page.data.tags.items() if name.startswith("medloop.model."))


def _recorded(mlflow: Any, run_id: str) -> Recorded:
    run = mlflow.get_run(run_id)
    tags = run.data.tags
    study = mlflow.get_experiment(run.info.experiment_id).name
    return Recorded(run_id=run_id, study=study, model=tags.get("medloop.model", ""), tags=tags)
