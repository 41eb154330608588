"""Which of MLflow's runs a person means: by its id, by a run's key and a model, or by a registered name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
    if collected := mlflow.get_run(run_id).data.tags.get(tracking.COLLECTED):
        raise MedloopError(
            f"the files of {reference} were removed by medloop gc ({collected}); its figures are kept",
            where="MLflow",
            mend="train it again: medloop run; keep: in params.yaml says what stays for how long",
        )
    return Path(mlflow.download_artifacts(run_id, "model", str(folder)))


def _resolve(mlflow: Any, reference: str) -> str:
    for attempt in (_by_run, _by_key, _by_registered_name):
        try:
            found = attempt(mlflow, reference.removeprefix("models:/").removeprefix("runs:/"))
        except tracking.refusal():
            continue
        if found:
            return found
    raise MedloopError(
        f"no run and no registered model is called {reference!r}",
        mend="give an MLflow run id, a run key such as diabetes-20261122-0315-k3f9/mlp, or a study: diabetes@champion "
        "(a study whose certificate is not clean has no registered model: name its run)",
    )


def _by_run(mlflow: Any, reference: str) -> str | None:
    return str(mlflow.get_run(reference).info.run_id)


def _by_key(mlflow: Any, reference: str) -> str | None:
    """A run key names its comparison, which knows its models; without `/MODEL`, the best of them."""
    key, _, model = reference.partition("/")
    for page in comparisons(mlflow, key):
        tags = page.data.tags
        found = tags.get(f"medloop.model.{model or tags.get('medloop.best')}")
        if found:
            return str(found)
    return None


def comparisons(mlflow: Any, key: str) -> Iterable[Any]:
    """The pages of a run, one a study; of what can be no key, none."""
    if "'" in key:
        return []
    everywhere = [e.experiment_id for e in mlflow.search_experiments()]
    clause = f"tags.`medloop.run` = '{key}' and tags.`medloop.kind` = 'comparison'"
    found: Iterable[Any] = mlflow.search_runs(everywhere, clause)
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


def recorded(root: Path, reference: str) -> list[Recorded]:
    """The models' runs that `reference` names; of a run key without `/MODEL`, all of that run. Empty: unknown."""
    if not elsewhere("mlflow") and not Path(tracking_uri(root).removeprefix("sqlite:///")).is_file():
        return []
    mlflow = tracking.client(root)
    ids = list(_of_key(mlflow, reference))
    if not ids:
        try:
            ids = [_resolve(mlflow, reference)]
        except MedloopError:
            return []
    return [_recorded(mlflow, run_id) for run_id in ids]


def _of_key(mlflow: Any, key: str) -> Iterable[str]:
    for page in comparisons(mlflow, key):
        yield from (run for name, run in page.data.tags.items() if name.startswith("medloop.model."))


def _recorded(mlflow: Any, run_id: str) -> Recorded:
    run = mlflow.get_run(run_id)
    tags = run.data.tags
    study = mlflow.get_experiment(run.info.experiment_id).name
    return Recorded(run_id=run_id, study=study, model=tags.get("medloop.model", ""), tags=tags)
