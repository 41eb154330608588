"""Models that are made of other models (`family.COMPOSED`), each of which is trained on its own first."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from numpy.typing import NDArray

from contracts.errors import MedloopError
from contracts.names import nearest
from models.family import configured
from models.params import TrainParams

Models = Mapping[str, Mapping[str, Any]]
ASIDE = ("seeds", "train")  # what a member's settings hold beside those of its family


class Fitted(NamedTuple):
    """What fitting a model leaves: its arrays by name, what it found, and what it ran on."""

    arrays: dict[str, NDArray[Any]]
    facts: dict[str, float]
    ran_on: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Member:
    """One of the models that a model is made of: its family, that family's `Config`, how it is trained."""

    family: str
    config: Any
    params: TrainParams


def members(models: Models, params: TrainParams) -> dict[str, Member]:
    """Each model by its name: `mlp`, or `mlp.0`, `mlp.1` … where it is trained with several seeds, one after another.

    models: by family, its settings, and beside them `seeds`, how many times it is trained, and `train`, what goes
        before `params`

    Raises MedloopError for no model, an unknown family, and settings that it or the training refuses.
    """
    found = {}
    for family, settings in models.items():
        config = configured(family, {key: value for key, value in settings.items() if key not in ASIDE})
        own = _trained(settings.get("train", {}), params, family)
        seeds = _seeds(settings, family)
        for seed in range(seeds):
            member = Member(family=family, config=config, params=replace(own, seed=own.seed + seed))
            found[family if seeds == 1 else f"{family}.{seed}"] = member
    if not found:
        raise MedloopError("no model is named", where="models", mend="name one at least, such as mlp: {}")
    return found


def _seeds(settings: Mapping[str, Any], family: str) -> int:
    seeds = settings.get("seeds", 1)
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise MedloopError(f"seeds is a whole number, 1 or more; got {seeds}", where=f"models.{family}")
    return seeds


def _trained(settings: Any, params: TrainParams, family: str) -> TrainParams:
    known = [field.name for field in fields(TrainParams)]
    where = f"models.{family}.train"
    if not isinstance(settings, Mapping):
        raise MedloopError("expected settings of the training by name", where=where, mend="such as {epochs: 40}")
    for key in settings:
        if key not in known:
            raise MedloopError(f"unknown setting {key}{nearest(str(key), known)}", where=where)
    try:
        return replace(params, **settings)
    except (ValueError, TypeError) as error:
        raise MedloopError(str(error), where=where, mend="correct the setting") from error


def named(name: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A member's arrays as they are called among those of the whole."""
    return {f"models/{name}/{key}": array for key, array in arrays.items()}


def arrays_of(name: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A member's arrays among those of the whole, as it calls them itself."""
    own = f"models/{name}/"
    return {key.removeprefix(own): array for key, array in arrays.items() if key.startswith(own)}
