"""What a model costs: how large it is, how long it trained and takes to predict; measured apart from the stages.

No stage writes these, since two runs never take equally long and a stage's outputs are the same bit by bit.
"""

import json
import struct
import time
from collections.abc import Callable, Iterable
from math import prod
from pathlib import Path
from typing import Any

from flows import workers
from flows.console import warn
from flows.faults import told
from flows.journal import StageRecord
from flows.settings import load
from flows.stages import Context

ROWS, ROUNDS, ENOUGH_S = 200, 3, 1.0  # predicted at once, so often unless it takes long; told is the shortest
BATCH = 1000


def costs(context: Context, stages: Iterable[StageRecord], say: Callable[[str], None]) -> dict[str, float]:
    """Of a model that these stages trained: seconds, bytes, numbers kept, seconds a 1,000 rows; of another its size."""
    weights = context.model_folder("train") / "model" / "weights.safetensors"
    found = {"cost_bytes": float(weights.stat().st_size), "cost_parameters": float(numbers(weights))}
    name = f"train@{context.settings.name}-{context.model}"
    trained = [one.seconds for one in stages if one.name.rpartition(":")[2] == name and one.state == "ran"]
    if not trained:  # no process is at hand that has imported what it takes
        return found
    given = (context.root, context.settings.name, context.model)
    try:
        seconds = workers.call(f"how long {context.model} takes", _seconds, *given, say=say)
    except Exception as error:
        warn(f"how long {context.model} takes to predict is not known: {told(error, doing='predicting').problem}")
        return found | {"cost_train_seconds": trained[-1]}
    return found | {"cost_train_seconds": trained[-1], "cost_predict_seconds_per_1000_rows": seconds}


def _seconds(root: Path, study: str, model: str, say: Callable[[str], None]) -> float:
    """Seconds a 1,000 test rows, in this process."""
    from flows.arrays import examples
    from flows.store import read_payloads, read_table
    from models.store import load as load_model

    context = Context(root=root, settings=load(root, study), model=model, say=say)
    ready, trained = context.folder("normalize"), load_model(context.model_folder("train") / "model")
    rows = read_table(ready / "test.parquet").head(ROWS)
    given, taken = examples(rows, read_payloads(ready / "payloads" / "test")), list[float]()
    while len(taken) < ROUNDS and sum(taken) < ENOUGH_S:
        start = time.perf_counter()
        trained.predict(given)
        taken.append(time.perf_counter() - start)
    return round(min(taken) * BATCH / len(rows), 6)


def numbers(path: Path) -> int:
    """How many numbers a file of tensors holds, read off its head."""
    with path.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        head: dict[str, Any] = json.loads(opened.read(length))
    return sum(prod(one["shape"]) for name, one in head.items() if name != "__metadata__")
