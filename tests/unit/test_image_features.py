"""The summary of a picture."""

import numpy as np

from contracts.payloads import Payloads
from pipelines.image.features import image_feature_names, image_features


def test_a_picture_of_four_quarters() -> None:
    quarters = np.kron(np.array([[0, 51], [102, 255]], dtype=np.uint8), np.ones((5, 5), dtype=np.uint8))
    held = Payloads(values=quarters[None, None], channels=("grey",))
    names = image_feature_names(held, cells=2)
    values = dict(zip(names, image_features(held, np.array([0]), cells=2)[0].tolist(), strict=True))
    assert np.allclose([values[f"cell_{r}_{c}"] for r in (1, 2) for c in (1, 2)], [0, 0.2, 0.4, 1])
    assert np.isclose(values["mean"], 0.4) and np.isclose(values["std"], np.std([0, 0.2, 0.4, 1]))
    assert [values[f"bin_{place}"] for place in range(1, 9)] == [0.25, 0.25, 0, 0.25, 0, 0, 0, 0.25]


def test_channels_depths_and_missing_pictures() -> None:
    rng = np.random.default_rng(0)
    eight = rng.integers(0, 256, (70, 3, 9, 7), dtype=np.uint8)
    held = Payloads(values=eight, channels=("red", "green", "blue"))
    positions = np.array([*range(70), -1, 3])
    features = image_features(held, positions, cells=4)
    names = image_feature_names(held, cells=4)
    assert features.shape == (72, len(names)) and features.dtype == np.float32
    assert names[0] == "red_cell_1_1" and len(set(names)) == len(names)
    assert np.isnan(features[70]).all() and (features[71] == features[3]).all()
    assert features[:70].min() >= 0 and features[:70].max() <= 1 + 1e-6
    deep = Payloads(values=eight.astype(np.uint16) * 257, channels=held.channels)
    assert np.allclose(image_features(deep, positions, cells=4), features, atol=1e-6, equal_nan=True)
