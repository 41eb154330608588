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
from contracts.examples import Examples, Inputs
from models.calibration import Calibration
from models.calibration import apply as recalibrated
from models.checkpoint import write_whole
from models.family import configured, is_network
from models.family import load as load_family

FORMAT = 1
MODEL, WEIGHTS, MANIFEST = "model.json", "weights.safetensors", "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model of any family, ready to score.

    config, params: the settings it was trained with, as plain values
    arrays: the weights by name
    threshold: calibrated probability of the positive class from which a row is called positive; None for three
        classes or more
    facts: what the training found, such as the best epoch and the metrics on validation rows, before recalibration
    calibration: how the model's own probabilities are mended; None where they are not
    versions: of the libraries that the weights depend on
    ran_on: device and the like; for the record, not saved
    """

    family: str
    config: dict[str, Any]
    params: dict[str, Any]
    inputs: Inputs
    arrays: dict[str, NDArray[Any]]
    threshold: float | None
    facts: dict[str, float]
    versions: dict[str, str]
    calibration: Calibration | None = None
    ran_on: dict[str, str] = field(default_factory=dict)

    def predict_proba(self, examples: Examples, *, raw: bool = False) -> NDArray[np.float64]:
        """The probability of each class; `raw` before recalibration. Shape: (N, C), in the order of `inputs.classes`.

        Raises MedloopError when the examples are not what the model was trained on.
        """
        check_features(examples, self.inputs)
        probability = score(self.family, self.config, self.inputs, self.arrays, examples)
        return probability if raw or self.calibration is None else recalibrated(self.calibration, probability)


def score(
    family: str, config: object, inputs: Inputs, arrays: dict[str, NDArray[Any]], examples: Examples
) -> NDArray[np.float64]:
    """The probabilities that a family gives with these arrays. Shape: (N, C)."""
    module = load_family(family)
    if not is_network(module):
        return np.asarray(module.predict_proba(arrays, examples.features["table"]), dtype=np.float64)
    from models.network import predict_proba, restored

    return predict_proba(restored(module, inputs, configured(family, config), arrays), examples.features)


def check_features(examples: Examples, inputs: Inputs, *, where: str = "") -> None:
    """Raises MedloopError for a missing kind, another number of columns, no rows, a missing or infinite cell."""
    for kind, columns in inputs.columns.items():
        array = examples.features.get(kind)
        if array is None or array.shape[1:2] != (len(columns),) or not len(array):
            came = "nothing" if array is None else f"{list(array.shape)}"
            raise MedloopError(f"expected rows of {len(columns)} {kind} columns; got {came}", where=where)
        finite = np.isfinite(array)
        if not finite.all():
            bad = np.flatnonzero(~finite.all(axis=tuple(i for i in range(array.ndim) if i != 1)))
            raise MedloopError(
                "missing or infinite cells",
                where=f"{where + ', ' if where else ''}columns {listed([columns[i] for i in bad])}",
                mend="impute and normalise the columns first",
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
        return Trained(**described | {"inputs": Inputs(**described["inputs"])}, arrays=arrays)
    except (SafetensorError, TypeError, KeyError) as error:
        raise _damaged(folder, "is not a model that medloop wrote (a pickle is never loaded)") from error


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
