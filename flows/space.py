"""What a search tries: a range or a choice by setting, named in params.yaml, `search`, or on the command line."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import MedloopError
from flows.settings import SECTIONS
from flows.studies import PARAMS, read_yaml

if TYPE_CHECKING:
    import optuna

NUMBER = r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?"
BETWEEN = re.compile(rf"({NUMBER})\.\.({NUMBER})")
COMMA = re.compile(r",(?![^\[]*\])")  # not inside a list, as in [32,64],[16,32]
FIGURES = 3  # of a fraction that is tried; more would tell nothing


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, both tried; whole numbers only where both are written as such."""

    low: float
    high: float
    whole: bool

    @property
    def by_logarithm(self) -> bool:
        """Whether each tenfold step counts alike, as for rates, instead of each step of the same size."""
        return self.low > 0 and self.high >= 10 * self.low


Axis = Range | tuple[str, ...]
Space = dict[str, Axis]


def space(root: Path, model: str, over: Sequence[str]) -> Space:
    """The axes of a model's search by setting: those of `over`, where any is given, else those of params.yaml.

    over: `KEY=a..b` or `KEY=a,b,c`, where KEY is a setting of the model (`width`, `train.learning_rate` for its own
        training) or of a stage (`balance.method`)

    Raises MedloopError for what is neither, or when nothing is named for the model.
    """
    shared = read_yaml(root / PARAMS).get("search") or {}
    where = f"{root / PARAMS}, search.{model}" if not over else "--over"
    named = {**(shared.get(model) or {})} if not over else dict(_pair(asked) for asked in over)
    if not named:
        raise MedloopError(
            f"no setting of {model} is named to be searched",
            where=where,
            mend="name a setting of the model or of a stage, --over train.learning_rate=1e-4..1e-2 or "
            "--over impute.numeric=median,neighbours, or write a line under search in params.yaml",
        )
    return {str(key): _axis(str(key), str(values), where) for key, values in named.items()}


def _pair(asked: str) -> tuple[str, str]:
    key, equals, values = asked.partition("=")
    if not equals or not key:
        raise MedloopError(f"--over takes KEY=a..b or KEY=a,b; got {asked!r}", mend="--over dropout=0.1..0.6")
    return key, values


def _axis(key: str, values: str, where: str) -> Axis:
    ends = BETWEEN.fullmatch(values.strip())
    if ends:
        whole = all(re.fullmatch(r"[-+]?[0-9]+", end) for end in ends.groups())
        low, high = (float(end) for end in ends.groups())
        if low < high:
            return Range(low, high, whole)
    elif ".." not in values and len(choices := tuple(one.strip() for one in COMMA.split(values))) > 1:
        return choices
    raise MedloopError(
        f"expected a range a..b with a below b, or values a,b,c; got {values!r}",
        where=f"{where}, {key}",
        mend="a..b is tried by its logarithm where b is ten times a or more: 1e-4..1e-2",
    )


def suggest(trial: "optuna.Trial", axes: Space) -> dict[str, object]:
    """What a trial takes of each axis."""
    taken: dict[str, object] = {}
    for key, axis in axes.items():
        if not isinstance(axis, Range):
            taken[key] = trial.suggest_categorical(key, axis)
        elif axis.whole:
            taken[key] = trial.suggest_int(key, int(axis.low), int(axis.high), log=axis.by_logarithm)
        else:
            taken[key] = trial.suggest_float(key, axis.low, axis.high, log=axis.by_logarithm)
    return taken


def ends(axes: Space) -> dict[str, object]:
    """The lower end or first value of each axis."""
    return {
        key: (int(axis.low) if axis.whole else axis.low) if isinstance(axis, Range) else axis[0]
        for key, axis in axes.items()
    }


def shown(taken: Mapping[str, object]) -> dict[str, str]:
    """Values as a study's file has them: fractions to three figures, a point in front of every exponent."""
    return {key: _number(value) if isinstance(value, float) else str(value) for key, value in taken.items()}


def written(taken: Mapping[str, object], model: str) -> dict[str, str]:
    """The same by the full names of the settings. `train` is the model's own: no other model's training is touched."""
    return {_full(key, model): value for key, value in shown(taken).items()}


def _full(key: str, model: str) -> str:
    section, dot, _ = key.partition(".")
    return key if dot and section in SECTIONS and section != "train" else f"models.{model}.{key}"


def _number(value: float) -> str:
    text = f"{value:.{FIGURES}g}"
    mantissa, exponent, power = text.partition("e")
    return f"{mantissa}{'' if '.' in mantissa else '.0'}{exponent}{power}"
