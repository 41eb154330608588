"""What a sweep goes over: settings, the values of each, and their combinations."""

import itertools
import re
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from contracts.errors import MedloopError
from contracts.names import nearest
from contracts.tasks import Task
from flows.settings import SECTIONS, Settings
from flows.task_settings import fitting

Combination = dict[str, str]


def combinations(over: Sequence[str], task: Task = "classes") -> list[Combination]:
    """Every combination, each as values by setting.

    over: a section, for all the methods of its widest choice (`impute` is `impute.numeric`), several with commas
        between, or a setting with its values: `balance.method=none,smote`, `train.seed=0..15`
    task: of the study; where no values are named, those that do not fit it are left out

    Raises MedloopError for an unknown section or setting, one that is no choice and has no values named, and a range
    that ends before it begins.
    """
    axes: dict[str, tuple[str, ...]] = {}
    for asked in over:
        key, equals, values = asked.partition("=")
        axes |= {key: _named(key, values)} if equals else dict(_methods(name, task) for name in asked.split(","))
    return [dict(zip(axes, chosen, strict=True)) for chosen in itertools.product(*axes.values())]


def _named(key: str, values: str) -> tuple[str, ...]:
    """The values between the commas, or whole numbers from the first to the last."""
    between = re.fullmatch(r"(\d+)\.\.(\d+)", values)
    if between is None:
        return tuple(values.split(","))
    first, last = map(int, between.groups())
    if last < first:
        raise MedloopError(f"{values} holds no number", where=f"--over {key}", mend=f"{key}={last}..{first}")
    return tuple(str(number) for number in range(first, last + 1))


def _methods(key: str, task: Task) -> tuple[str, tuple[str, ...]]:
    """A setting and all the values that its type admits and that fit the task."""
    section, _, name = key.partition(".")
    choices = _choices(section)
    if not choices or name not in {"", *choices}:
        known = [f"{section}.{choice}" for choice in choices] or [s for s in SECTIONS if _choices(s)]
        raise MedloopError(
            f"there is no choice to go over in {key}{nearest(key, known)}",
            where="--over",
            mend=f"one of {', '.join(known)}, or name the values: --over {section}.KEY=A,B",
        )
    chosen = name or max(choices, key=lambda choice: len(choices[choice]))
    fits = fitting(task).get(section, {}).get(chosen, choices[chosen])
    return f"{section}.{chosen}", tuple(value for value in choices[chosen] if value in fits)


def _choices(section: str) -> dict[str, tuple[str, ...]]:
    """The settings of a section that are a choice among names."""
    field = next((f for name, f in Settings.model_fields.items() if (f.alias or name) == section), None)
    fields: dict[str, Any] = getattr(field.annotation, "model_fields", {}) if field else {}
    named = {name: _alternatives(f.annotation) for name, f in fields.items()}
    return {name: values for name, values in named.items() if values}


def _alternatives(annotation: Any) -> tuple[str, ...]:
    """The names of a Literal, or of several in a union; none for another type."""
    parts = get_args(annotation)
    values = [v for part in parts for v in (get_args(part) if get_origin(part) is Literal else (part,))]
    return tuple(values) if all(isinstance(value, str) for value in values) else ()
