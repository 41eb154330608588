"""A trained model: what it says of new rows, how it is saved and loaded.

A folder holds `weights.safetensors`, `model.json` (how it was trained, what it expects) and
`manifest.json` (the SHA-256 of both). The same training leaves the same bytes; no file can run code.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import MedloopError, listed
from contracts.examples import Examples, Form, Inputs
from models.calibration import Calibration
from models.calibration import apply as recalibrated
from models.checkpoint import write_whole
from models.family import AUTOENCODER, configured, is_network
from models.family import load as load_family
from models.tasks import task_of
from models.threshold import Threshold

FORMAT = 2
MODEL, WEIGHTS, MANIFEST = "model.json", "weights.safetensors", "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model of any family, ready to score.

    config, params: the settings it was trained with, as plain values
    arrays: the weights by name; a pre-training's by names that begin with `autoencoder/`
    threshold: calibrated probability of the positive class from which a row is called positive; of two classes, and of
        several labels one each
    facts: what the training found, such as the best epoch and the metrics on validation rows, before recalibration
    calibration: how the model's own predictions are mended; None where they are not
    versions: of the libraries that the weights depend on
    ran_on: device and the like; for the record, not saved
    """

    family: str
    config: dict[str, Any]
    params: dict[str, Any]
    inputs: Inputs
    arrays: dict[str, NDArray[Any]]
    threshold: Threshold
    facts: dict[str, float]
    versions: dict[str, str]
    calibration: Calibration | None = None
    ran_on: dict[str, str] = field(default_factory=dict)

    def predict(self, examples: Examples, *, raw: bool = False) -> NDArray[np.float64]:
        """What the task tells of each row; `raw` before recalibration.

        Shape: (N, C) probabilities in the order of `inputs.classes`, of several labels (N, L) in that of
        `inputs.labels`; of a regression (N, 3), the number and the ends of its interval, raw (N, 1) (of a forecast
        (N, 3 H) of each value less the last known one, raw (N, H)); of survival as
        `models.calibration.apply` tells of moments, raw (N, K) as `models.hazards.survival`; of tagging (N, T, C)
        probabilities of the words' tags.

        Raises MedloopError when the examples are not what the model was trained on.
        """
        check_features(examples, self.inputs)
        predicted = score(self.family, self.config, self.inputs, self.arrays, examples)
        return predicted if raw else self._mended(predicted)

    @property
    def is_ensemble(self) -> bool:
        """Whether it has members that each say something of a row, so that it can tell how far they differ."""
        return hasattr(load_family(self.family), "each")

    def told(self, examples: Examples) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """`predict`, and of an ensemble how far its members differ, by their weights: each is scored once.

        Shape: as `predict`, and (N,) the deviation of the called class's probability; of a regression, of the number.
        """
        if not self.is_ensemble:
            return self.predict(examples), None
        check_features(examples, self.inputs)
        weights, config = self.arrays["weights"], configured(self.family, self.config)
        given = load_family(self.family).each(self.arrays, examples, config=config, inputs=self.inputs)
        predicted, each = self._mended(np.tensordot(weights, given, 1)), np.stack([self._mended(of) for of in given])
        deviation = np.sqrt(np.tensordot(weights, (each - np.tensordot(weights, each, 1)) ** 2, 1))
        called = task_of(self.inputs).answers(predicted, self.inputs, self.threshold)[0]
        classes = self.inputs.classes
        place = [classes.index(label) if classes else 0 for label in called]
        return predicted, np.take_along_axis(deviation, np.array(place)[:, None], axis=1)[:, 0]

    def _mended(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        return predicted if self.calibration is None else recalibrated(self.calibration, predicted)

    @property
    def pretrained(self) -> bool:
        """Whether it learnt to restore rows before it learnt to tell them, so that it can say how unusual one is."""
        return any(name.startswith(AUTOENCODER) for name in self.arrays)

    def unusual(self, examples: Examples) -> NDArray[np.float64]:
        """How unlike those that a pre-trained model learnt from each row is, from 0 to 1. Shape: (N,).

        The share of validation rows that its autoencoder restores better; NaN for a row without anything to restore.
        Raises MedloopError when the examples are not what the model was trained on.
        """
        from models.batches import laid_out
        from models.reconstruction import unusual

        check_features(examples, self.inputs)
        module = load_family(self.family)
        rows = laid_out(examples, self.inputs, module.READS)
        return unusual(module, self.inputs, configured(self.family, self.config), self.arrays, rows)


def score(
    family: str, config: object, inputs: Inputs, arrays: dict[str, NDArray[Any]], examples: Examples
) -> NDArray[np.float64]:
    """What a family predicts with these arrays, before calibration. Shape: (N, K), as the task says."""
    module = load_family(family)
    if hasattr(module, "each"):
        given = module.each(arrays, examples, config=configured(family, config), inputs=inputs)
        return np.asarray(np.tensordot(arrays["weights"], given, 1), dtype=np.float64)
    if not is_network(module):
        given = module.outputs(arrays, examples.table if "table" in module.READS else examples)
        return task_of(inputs).predicted(np.asarray(given, dtype=np.float64), inputs)
    from models.network import restored, scored

    network = restored(module, inputs, configured(family, config), arrays)
    return task_of(inputs).predicted(scored(network, module, inputs, examples), inputs)


def check_features(examples: Examples, inputs: Inputs, *, where: str = "") -> None:
    """Raises MedloopError for no rows, another number of columns, unusable cells, payloads of another form."""
    if examples.table.shape[1:] != (len(inputs.columns),) or not len(examples):
        came = f"{list(examples.table.shape)}"
        raise MedloopError(f"expected rows of {len(inputs.columns)} table columns; got {came}", where=where)
    finite = np.isfinite(examples.table).all(axis=0)
    if not finite.all():
        raise MedloopError(
            "missing or infinite cells",
            where=f"{where + ', ' if where else ''}columns "
            f"{listed([inputs.columns[i] for i in np.flatnonzero(~finite)])}",
            mend="impute and normalise the columns first",
        )
    for name, form in inputs.payloads.items():
        _check_payloads(name, form, examples, where)


def _check_payloads(name: str, form: Form, examples: Examples, where: str) -> None:
    """Raises MedloopError where a column's payloads are absent, too few, or have other channels or another size."""
    of = examples.payloads.get(name)
    expected = [*form.channels, *form.size]
    came = None if of is None else [*of.channels, *(of.values.shape[2:] if of.offsets is None else ())]
    rows = len(examples) if examples.at is None else int(examples.at.max()) + 1
    if of is None or came != expected or len(of) < rows:
        raise MedloopError(
            f"expected {form.kind} payloads of {rows} rows, {expected or 'tokens'}; got "
            f"{'none' if of is None else f'{len(of)}, {came}'}",
            where=f"{where + ', ' if where else ''}column {name}",
            mend="give files of the same channels and size as those that the model was trained on",
        )


def save(trained: Trained, folder: Path) -> None:
    """Write the model; the manifest comes last, so that a folder without one is no model."""
    from safetensors.numpy import save as serialised

    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    described = {key: value for key, value in vars(trained).items() if key not in ("arrays", "ran_on")}
    calibration = trained.calibration and asdict(trained.calibration)
    described |= {"format": FORMAT, "inputs": asdict(trained.inputs), "calibration": calibration}
    contents = {
        WEIGHTS: serialised({name: np.ascontiguousarray(array) for name, array in trained.arrays.items()}),
        MODEL: _json(described),
    }
    contents[MANIFEST] = _json({name: hashlib.sha256(content).hexdigest() for name, content in contents.items()})
    for name, content in contents.items():
        write_whole(folder / name, content)


def load(folder: Path) -> Trained:
    """Read a model. Raises MedloopError when a file is absent, changed, truncated or of another kind."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as deserialised

    manifest = _parsed(folder / MANIFEST, _read(folder / MANIFEST))
    contents = {name: _verified(folder / name, manifest) for name in (WEIGHTS, MODEL)}
    described = _parsed(folder / MODEL, contents[MODEL])
    if described.pop("format", None) != FORMAT:
        raise MedloopError(f"not a model of format {FORMAT}", where=str(folder / MODEL), mend="train the model again")
    try:
        arrays = deserialised(contents[WEIGHTS])
        calibration = described.pop("calibration", None)
        described["calibration"] = calibration and Calibration(**calibration)
        return Trained(**described | {"inputs": _inputs(described["inputs"])}, arrays=arrays)
    except (SafetensorError, TypeError, KeyError) as error:
        raise _damaged(folder, "is not a model that medloop wrote (a pickle is never loaded)") from error


def _inputs(described: dict[str, Any]) -> Inputs:
    forms = {name: Form(**form) for name, form in described["payloads"].items()}
    return Inputs(**described | {"payloads": forms})


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise _damaged(path, "is absent") from error


def _verified(path: Path, manifest: dict[str, Any]) -> bytes:
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != manifest.get(path.name):
        raise _damaged(path, "was changed or truncated since it was saved")
    return content


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise _damaged(path, "is no JSON") from error
    if not isinstance(value, dict):
        raise _damaged(path, "is no JSON object")
    return value


def _damaged(path: Path, problem: str) -> MedloopError:
    return MedloopError(f"{path.name} {problem}", where=str(path), mend="restore the model, or train it again")
