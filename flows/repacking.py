"""A registered model whose files in MLflow are damaged, packed again out of its run's pin and DVC's cache."""

from pathlib import Path

from contracts.errors import MedloopError
from flows import bundle, clones, promotion, tracking, workspace
from flows.champion import pinned
from flows.home import scratch
from flows.plan import unheard
from flows.settings import load
from flows.stages import Context


def pack_again(root: Path, study: str, number: str) -> None:
    """Puts a version's files, packed anew, in the place of what MLflow has.

    Raises MedloopError where they cannot be had any more as its run recorded them.
    """
    mlflow = tracking.client(root)
    chosen = promotion.version(mlflow, study, number)
    commit = pinned(root, study, promotion.pins(root, chosen))
    with clones.clone_at(root, commit) as clone, scratch(root) as folder:
        needed = [stage.name for stage in workspace.plan(clone, [study]) if stage.model in (None, chosen.model)]
        workspace.bring_back(clone, needed)
        context = Context(root=clone, settings=load(clone, study), model=chosen.model, say=unheard)
        packed = bundle.pack(context, folder / "model")
        tracking.write_signature(packed, *bundle.signature(packed))
        if bundle.seal(packed) != chosen.tags.get("medloop.manifest_sha256"):
            raise MedloopError(
                "what its run's pin gives is not what its run recorded",
                where=f"{study} version {chosen.number}",
                mend=f"medloop rollback {study} for the champion before",
            )
        mlflow.log_artifacts(chosen.run_id, str(packed), "model")
