"""How each run was trained: its curves by epoch, how long, how large; and how much seeds alone move it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flows import journal
from flows.comparing import stored
from flows.comparing.files import Files
from flows.comparing.runs import Run
from flows.costs import numbers
from flows.store import read_json

CURVES = ("validation_loss", "train_loss")


@dataclass(frozen=True, kw_only=True)
class Training:
    """A run's training. seconds: of the stage, where this clone's journals know it; epochs: best, and of all."""

    family: str
    epochs: str
    seconds: float | None
    latency: float | None
    numbers: int | None
    size: int | None
    history: Sequence[Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The metric over runs that differ in their seed alone."""

    seeds: int
    mean: float
    deviation: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.deviation:.3f} over {self.seeds} seeds"


def training(root: Path, of: Files) -> Training:
    """What the run's own files and this clone's journals tell of it."""
    found = of.paths("train", ["history.json", "model/model.json", "model/weights.safetensors"])
    history = read_json(found["history.json"]) if "history.json" in found else []
    described = read_json(found["model/model.json"]) if "model/model.json" in found else {}
    weights = found.get("model/weights.safetensors")
    facts = described.get("facts") or {}
    told = [f"{facts[name]:g}" for name in ("epoch", "epochs") if isinstance(facts.get(name), int | float)]
    return Training(
        family=str(described.get("family", "")),
        epochs=" of ".join(told),
        seconds=of.run.metrics.get("cost_train_seconds") or _seconds(root, of.run),
        latency=of.run.metrics.get("cost_predict_seconds_per_1000_rows"),
        numbers=numbers(weights) if weights else None,
        size=weights.stat().st_size if weights else None,
        history=history,
    )


def _seconds(root: Path, run: Run) -> float | None:
    """How long the stage ran that trained it, in the last run until then that had to."""
    name, known = f"train@{run.study}-{run.model}", None
    for one in reversed(list(journal.all_journals(root))):
        for stage in one.stages:
            if stage.name.rpartition(":")[2] == name and stage.state == "ran":
                known = stage.seconds
        if run.key and one.key == run.key:
            return known
    return None if run.key else known


def curves(trained: Mapping[str, Training], metric: str) -> list[dict[str, Any]]:
    """What the script draws: the validation metric and the losses by epoch."""
    names = dict.fromkeys([f"validation_{metric}", *CURVES])
    return [
        {"title": name.replace("_", " "), "series": series}
        for name in names
        if (series := [one for at, (run, of) in enumerate(trained.items()) if (one := _series(run, at, of, name))])
    ]


def _series(run: str, at: int, of: Training, name: str) -> dict[str, Any] | None:
    told = [
        (row["epoch"], row[name]) for row in of.history if isinstance(row.get(name), int | float) and "epoch" in row
    ]
    told = [(epoch, value) for epoch, value in told if np.isfinite(value)]
    if len(told) < 2:
        return None
    return {"name": run, "run": at, "x": [epoch for epoch, _ in told], "y": [round(value, 5) for _, value in told]}


def spreads(root: Path, runs: Sequence[Run], metric: str) -> dict[str, Spread]:
    """By name of each run the metric over its likes with other seeds, where MLflow knows some."""
    found: dict[str, Spread] = {}
    for run in (run for run in runs if run.run_id):
        tags = {name: run.tags.get(name, "") for name in ("medloop.model", "medloop.data_sha256")}
        own, named = _seedless(run.params), f"test_{metric}"
        values = {
            one.params.get("train.seed"): one.metrics[named]
            for one in stored.alike(root, tags).values()
            if one.study == run.study and _seedless(one.params) == own and named in one.metrics
        }
        if len(values) > 1:
            told = list(values.values())
            found[run.name] = Spread(seeds=len(told), mean=float(np.mean(told)), deviation=float(np.std(told, ddof=1)))
    return found


def _seedless(params: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in params.items() if name != "train.seed"}
