"""Training a model of any family: checks, the fit itself, the recalibration, the threshold."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed
from contracts.examples import Examples, Inputs
from models import calibration
from models.family import COMPOSED, check_reads, configured, is_network
from models.family import load as load_family
from models.members import Fitted, members
from models.params import Progress, TrainParams, Watch
from models.sampling import class_shares
from models.scores import scores
from models.store import Trained, check_features, score
from models.threshold import choose

__all__ = ["Progress", "TrainParams", "check_classes", "fit"]


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
    """Train, keep the weights of the best epoch, recalibrate and choose the threshold on the validation rows.

    A training that was killed goes on from `checkpoints` when called again with the same data and settings,
    to the bits it would have had; the folder is the caller's to remove afterwards. `history` gets each
    epoch's row once, those before a resumption too; a baseline gives one row.

    config: the family's `Config` or its keys; save_every: seconds between checkpoints
    correction: what a class's probability is multiplied by to undo the balancing of the training rows, a number a
        class; None for ones. `calibration: prior` heeds it

    Raises MedloopError: an unknown model or setting, unusable cells, a class without rows, a loss that is not finite.
    """
    settings = configured(family, config)
    train = _checked(params, train, validation, inputs)
    module = load_family(family)
    check_reads(family, inputs, settings)
    watch = Watch(checkpoints=checkpoints, save_every=save_every, history=history, progress=progress)
    arrays, facts, ran_on = _fitted(
        family, settings, params, inputs=inputs, train=train, validation=validation, watch=watch
    )
    probabilities = score(family, settings, inputs, arrays, validation)
    if not is_network(module):
        history({"epoch": 1.0, **facts})
    mend = _calibration(params, train, validation, probabilities, correction, network=is_network(module))
    probabilities = calibration.apply(mend, probabilities) if mend else probabilities
    return Trained(
        family=family,
        config=_plain(settings),
        params=_plain(params),
        inputs=inputs,
        arrays=arrays,
        threshold=_threshold(params, inputs, validation, probabilities),
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
        arrays, facts, ran_on = module.fit(parts, validation, config=settings, inputs=inputs, monitor=params.monitor)
    else:
        ran_on = {"device": "cpu"}
        arrays, facts = module.fit(
            train, validation, config=settings, inputs=inputs, seed=params.seed, threads=params.threads
        )
    found = scores(score(family, settings, inputs, arrays, validation), validation, inputs.positive)
    return Fitted(arrays, {**facts, **found}, ran_on)


def _of_member(name: str, watch: Watch) -> Watch:
    """The same watch for a model that another is made of: its epochs are told, but are none of the whole's history."""
    tell = watch.progress
    progress = None if tell is None else lambda told: tell(replace(told, phase=f"{name} {told.phase}".strip()))
    return replace(watch, history=lambda row: None, progress=progress)


def _checked(params: TrainParams, train: Examples, validation: Examples, inputs: Inputs) -> Examples:
    """The training rows, weighed, when nothing stands against training on them."""
    for name, part in (("training", train), ("validation", validation)):
        check_features(part, inputs, where=f"{name} rows")
    check_classes(train, validation, inputs)
    if params.calibration == "isotonic":
        assert validation.target is not None
        calibration.check_rows(validation.target, len(inputs.classes))
    return _weighed(train)


def check_classes(train: Examples, validation: Examples, inputs: Inputs) -> None:
    """Raises MedloopError for a label beyond `classes`, a class without training rows, one class in validation."""
    for name, part in (("training", train), ("validation", validation)):
        if part.target is None or len(part.target) != len(part):
            raise MedloopError(f"expected a label for each of the {len(part)} {name} rows")
        found = set(np.unique(part.target).tolist())
        if not found <= set(range(len(inputs.classes))):
            raise MedloopError(f"a label is none of the {len(inputs.classes)} classes", where=f"{name} rows")
        absent = [label for index, label in enumerate(inputs.classes) if index not in found]
        if len(found) < 2 or (absent and part is train):
            raise MedloopError(
                f"no {name} rows of class {listed(absent)}",
                where=f"{name} rows",
                mend="gather more rows, split by class (stratified) or leave the class out of the study",
            )


def _weighed(train: Examples) -> Examples:
    """The same rows with weights of mean 1, so that their scale changes neither step size nor penalty."""
    if train.weight is None:
        return train
    if not (np.isfinite(train.weight).all() and train.weight.min() >= 0 and train.weight.sum() > 0):
        raise MedloopError("weights are finite, 0 or more, and not all 0", where="training rows")
    return replace(train, weight=(train.weight / train.weight.mean(dtype=np.float64)).astype(np.float32))


def _calibration(
    params: TrainParams,
    train: Examples,
    validation: Examples,
    probabilities: NDArray[np.float64],
    correction: Sequence[float] | None,
    *,
    network: bool,
) -> calibration.Calibration | None:
    if params.calibration == "none":
        return None
    if params.calibration == "prior":
        factor = np.ones(probabilities.shape[1]) if correction is None else np.array(correction, dtype=np.float64)
        return calibration.prior(factor * _own_shift(params, train) if network else factor)
    assert validation.target is not None
    return calibration.fit(probabilities, validation.target, params.calibration)


def _own_shift(params: TrainParams, train: Examples) -> NDArray[np.float64]:
    """What a class's probability owes to sampler and loss, beside the training rows' own balance. Shape: (C,).

    The balanced sampler shows other shares than the rows have; logit adjustment divides by the shares shown.
    """
    assert train.target is not None
    rows = class_shares(train.target, train.weight, replace(params, sampler="shuffled"))
    shown = class_shares(train.target, train.weight, params)
    adjusted = params.adjustment if params.loss == "logit_adjusted" else 0.0
    return np.asarray(rows / shown * shown**adjusted, dtype=np.float64)


def _threshold(
    params: TrainParams, inputs: Inputs, validation: Examples, probabilities: NDArray[np.float64]
) -> float | None:
    if len(inputs.classes) > 2:
        return None
    if not isinstance(params.threshold, str):
        return float(params.threshold)
    assert validation.target is not None
    return choose(validation.target == inputs.positive, probabilities[:, inputs.positive], params.threshold)


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
