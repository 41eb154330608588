"""What a model can be asked to tell of a label; each has a module of its name in `models/tasks`, `pipelines/tasks`."""

from typing import Literal, get_args

Task = Literal["classes", "ordinal", "regression"]
TASKS: tuple[Task, ...] = get_args(Task)
