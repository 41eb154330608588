"""Training a model of any family: checks, the fit itself, the recalibration, the threshold."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError
from contracts.examples import Examples, Inputs
from models.family import COMPOSED, check_reads, check_task, configured, is_network
from models.family import load as load_family
from models.held_out import HeldOut
from models.members import Fitted, Member, members
from models.params import Progress, TrainParams, Watch
from models.store import Trained, check_features, score
from models.tasks import check_params, classes, task_of

__all__ = ["Progress", "TrainParams", "fit"]


def fit(
    family: str,
    config: object,
    params: TrainParams,
    *,
    inputs: Inputs,
    train: Examples,
    validation: Examples,
    checkpoints: Path,
    history: Callable[[dict[str, float]], None],
    progress: Callable[[Progress], None] | None = None,
    save_every: float = 10.0,
    correction: Sequence[float] | None = None,
) -> Trained:
    """Train, keep the weights of the best epoch, and learn on the validation rows what the task asks for: how
    predictions are calibrated, the threshold.

    A training that was killed goes on from `checkpoints` when called again with the same data and settings,
    to the bits it would have had; the folder is the caller's to remove afterwards. `history` gets each
    epoch's row once, those before a resumption too; a baseline gives one row.

    config: the family's `Config` or its keys; save_every: seconds between checkpoints
    correction: what a class's probability is multiplied by to undo the balancing of the training rows, a number a
        class; None for ones. `calibration: prior` heeds it

    Raises MedloopError: an unknown model or setting, one that does not fit the task, unusable cells or labels, a loss
    that is not finite.
    """
    settings, task = configured(family, config), task_of(inputs)
    train = _checked(params, train, validation, inputs)
    module = load_family(family)
    check_reads(family, inputs, settings)
    check_task(family, inputs, settings)
    inputs = task.informed(inputs, train)
    watch = Watch(checkpoints=checkpoints, save_every=save_every, history=history, progress=progress)
    arrays, facts, ran_on = _fitted(
        family, settings, params, inputs=inputs, train=train, validation=validation, watch=watch
    )
    predicted = score(family, settings, inputs, arrays, validation)
    if not is_network(module):
        history({"epoch": 1.0, **facts})
    mend, threshold = task.finished(
        HeldOut(
            params=params,
            inputs=inputs,
            train=train,
            validation=validation,
            predicted=predicted,
            correction=correction,
            network=is_network(module),
        )
    )
    return Trained(
        family=family,
        config=_plain(settings),
        params=_plain(params),
        inputs=inputs,
        arrays=arrays,
        threshold=threshold,
        facts=facts,
        calibration=mend,
        versions={name: version(name) for name in sorted(_libraries(family, settings, params))},
        ran_on=ran_on,
    )


def _fitted(
    family: str,
    settings: Any,
    params: TrainParams,
    *,
    inputs: Inputs,
    train: Examples,
    validation: Examples,
    watch: Watch,
) -> Fitted:
    """A model of any family, after those that it is made of, each of which resumes from checkpoints of its own."""
    module = load_family(family)
    made = members(settings.models, params) if family in COMPOSED else {}
    rows: dict[str, Any] = {"inputs": inputs, "train": train, "validation": validation}
    parts = {
        name: _fitted(of.family, of.config, of.params, **rows, watch=_of_member(name, watch))
        for name, of in made.items()
    }
    if is_network(module):
        from models.fitting import fit_network

        recipe = _recipe(family, settings, params, inputs, train, validation)
        start = module.start(parts) if parts else {}
        return Fitted(*fit_network(module, settings, params, **rows, watch=replace(watch, recipe=recipe), start=start))
    if parts:
        shifts = _shifts(made, params, inputs, train)
        arrays, facts, ran_on = module.fit(
            parts, validation, config=settings, inputs=inputs, monitor=params.monitor, shifts=shifts
        )
    else:
        ran_on = {"device": "cpu"}
        arrays, facts = module.fit(
            train, validation, config=settings, inputs=inputs, seed=params.seed, threads=params.threads
        )
    found = task_of(inputs).scores(score(family, settings, inputs, arrays, validation), validation, inputs)
    return Fitted(arrays, {**facts, **found}, ran_on)


def _shifts(
    made: Mapping[str, Member], params: TrainParams, inputs: Inputs, train: Examples
) -> NDArray[np.float64] | None:
    """`own_shift` of each member of a mean: networks heed sampler and loss, others do not.

    None where there is nothing to take back, or it is not asked for. Shape: (M, C).
    """
    if not inputs.classes or not classes.in_closed_form(params, inputs):
        return None
    owed = [
        classes.own_shift(of.params, train) if is_network(load_family(of.family)) else np.ones(len(inputs.classes))
        for of in made.values()
    ]
    return None if all(np.allclose(of, of[0]) for of in owed) else np.stack(owed)


def _of_member(name: str, watch: Watch) -> Watch:
    """The same watch for a model that another is made of: its epochs are told, but are none of the whole's history."""
    tell = watch.progress
    progress = None if tell is None else lambda told: tell(replace(told, phase=f"{name} {told.phase}".strip()))
    return replace(watch, history=lambda row: None, progress=progress)


def _checked(params: TrainParams, train: Examples, validation: Examples, inputs: Inputs) -> Examples:
    """The training rows, weighed, when nothing stands against training on them."""
    for name, part in (("training", train), ("validation", validation)):
        check_features(part, inputs, where=f"{name} rows")
    check_params(inputs.task, params)
    task_of(inputs).check(train, validation, inputs, params)
    return _weighed(train)


def _weighed(train: Examples) -> Examples:
    """The same rows with weights of mean 1, so that their scale changes neither step size nor penalty."""
    if train.weight is None:
        return train
    if not (np.isfinite(train.weight).all() and train.weight.min() >= 0 and train.weight.sum() > 0):
        raise MedloopError("weights are finite, 0 or more, and not all 0", where="training rows")
    return replace(train, weight=(train.weight / train.weight.mean(dtype=np.float64)).astype(np.float32))


def _recipe(family: str, settings: object, params: TrainParams, inputs: Inputs, *parts: Examples) -> str:
    """The hash of everything that the weights follow from: only the same recipe may be resumed."""
    described = [family, _plain(settings), _plain(params), asdict(inputs)]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for part in parts:
        held = [array for _, of in sorted(part.payloads.items()) for array in (of.values, of.offsets, of.times)]
        arrays = [part.table, part.at, part.target, part.weight, *held]
        for array in arrays:
            digest.update(b"-" if array is None else np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _plain(settings: Any) -> dict[str, Any]:
    """A settings dataclass as JSON gives it back."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return plain


def _libraries(family: str, settings: Any, params: TrainParams) -> set[str]:
    """Those that the weights depend on."""
    if family in COMPOSED:
        made = members(settings.models, params).values()
        return {name for of in made for name in _libraries(of.family, of.config, of.params)}
    return {"numpy", *(["torch", "pytorch-lightning"] if is_network(load_family(family)) else ["scikit-learn"])}
