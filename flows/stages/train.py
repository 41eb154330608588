"""balance/{train.parquet, payloads, report.json}, normalize/{…} → model/ (weights, description), history.json"""

import os
import shutil

from contracts.tables import Schema
from flows.arrays import examples, inputs, with_made
from flows.home import checkpoints
from flows.plan import Epoch
from flows.settings import parse_config
from flows.stages import Context
from flows.store import read_json, read_model, read_payloads, read_table, write_json
from models.family import is_network, load
from models.ranks import place
from models.store import save
from models.tasks import task_of
from models.training import Progress, TrainParams, fit


def run(context: Context) -> str:
    """Trains one model; it never sees a test row."""
    folder, settings = context.model_folder("train"), context.settings
    model, rank = str(context.model), place(os.environ).rank
    if rank and not is_network(load(model)):
        return "a baseline needs one process"
    schema = read_model(context.folder("clean") / "schema.json", Schema)
    balanced, ready = context.folder("balance"), context.folder("normalize")
    train, validation = read_table(balanced / "train.parquet"), read_table(ready / "validation.parquet")
    payloads = with_made(read_payloads(ready / "payloads" / "train"), read_payloads(balanced / "payloads"))
    correction = read_json(balanced / "report.json")["prior"]["correction"]
    params = parse_config(TrainParams, settings.training(model), f"study {settings.name}, models.{model}.train")
    config = parse_config(load(model).Config, settings.architecture(model), f"study {settings.name}, models.{model}")
    history: list[dict[str, float]] = []
    kept = checkpoints(context.root) / settings.name / model
    trained = fit(
        model,
        config,
        params,
        inputs=inputs(train, schema, read_json(ready / "inputs.json")),
        train=examples(train, payloads),
        validation=examples(validation, read_payloads(ready / "payloads" / "validation")),
        checkpoints=kept,
        history=history.append,
        correction=[correction.get(str(index), 1.0) for index in range(len(schema.classes))],
        progress=lambda p: context.say(_told(p)),
    )
    if rank:
        return "the first process writes what all have trained"
    save(trained, folder / "model")
    write_json(folder / "history.json", history)
    shutil.rmtree(kept, ignore_errors=True)
    called, key = task_of(trained.inputs).HEADLINE
    effort = _effort(trained.facts)
    return ", ".join(filter(None, [f"validation {called} {trained.facts[key]:.3f}", effort, _ran(trained.ran_on)]))


def _effort(facts: dict[str, float]) -> str:
    shown = ("epoch", "rounds", "strength", "penalty", "learning_rate", "members")
    return ", ".join(f"{name.replace('_', ' ')} {facts[name]:g}" for name in shown if name in facts)


def _ran(on: dict[str, str]) -> str:
    """`on cpu, compiled: no: InvalidCxxCompiler`: what of the settings the machine could not do is told here."""
    rest = [f"{name}: {word}" for name, word in on.items() if name != "device"]
    return ", ".join([f"on {on['device']}", *rest])


def _told(progress: Progress) -> Epoch:
    best = f"best {progress.best:.3f} (epoch {progress.best_epoch})"
    left = "" if progress.seconds_left is None else f", {_time(progress.seconds_left)} left"
    phase = f"{progress.phase}, " if progress.phase else ""
    epoch = f"epoch {progress.epoch}/{progress.epochs}"
    told = Epoch(f"{phase}{epoch}, {progress.metric} {progress.value:.3f}, {best}{left}")
    told.number, told.value = progress.epoch, progress.value * (-1 if progress.metric == "loss" else 1)
    told.counts = not phase
    return told


def _time(seconds: float) -> str:
    """`1 h 5 min`, `1 min 20 s` or `20 s`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
