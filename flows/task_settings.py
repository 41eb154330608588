"""Settings by task: what a study of another task than classes takes where a shared value fits classes alone.

What a study says itself is never changed: where it does not fit the task, that is an error.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError
from contracts.names import nearest
from contracts.tasks import TASKS, Task
from models.tasks import MODULES
from pipelines.tasks import SETTINGS


def task_of(own: Mapping[str, Any]) -> Task:
    """The task that a study's file names; "classes" where it names none, or none that there is, which is told later."""
    target = own["target"]
    named = target.get("task") if isinstance(target, Mapping) else None
    return next((task for task in TASKS if task == named), "classes")


def fitting(task: Task) -> dict[str, Mapping[str, tuple[str, ...]]]:
    """By section and setting, the values that fit the task, its usual one first."""
    return {**SETTINGS[task], "gate": SETTINGS[task]["compare"], "train": MODULES[task].SETTINGS}


def suited(task: Task, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The shared sections, values that do not fit the task replaced by its usual ones; they are made for classes."""
    if task == "classes":
        return dict(shared)
    usual = {
        section: {key: values[0] for key, values in choices.items() if str(shared[section].get(key)) not in values}
        for section, choices in fitting(task).items()
        if isinstance(shared.get(section), Mapping)
    }
    return {**shared, **{section: {**shared[section], **values} for section, values in usual.items()}}


def refuse_unfit(task: Task, key: str, values: Mapping[str, Any], path: Path) -> None:
    """Raises MedloopError for a value that is another task's; `key` is the section, or `models.NAME.train`."""
    for name, choices in fitting(task).get(key.rpartition(".")[2], {}).items():
        value = str(values.get(name, choices[0]))
        if value not in choices:
            raise MedloopError(
                f"{name}: {value} does not fit the task {task}{nearest(value, choices)}",
                where=f"{path}, {key}.{name}",
                mend=f"one of: {', '.join(choices)}",
            )
