"""What embeds images: sizes, absent pictures, what the residual design costs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from contracts.examples import Examples, Form
from contracts.payloads import Payloads
from models.family import load
from models.layers.image import Design, Images, Residual
from models.params import TrainParams
from models.training import fit
from tests.unit.problems import inputs

DESIGNS: list[Design] = ["plain", "residual"]


def images(design: Design, height: int, width: int, channels: int = 1) -> Images:
    torch.manual_seed(0)
    form = Form(kind="image", channels=list("rgb"[:channels]), size=[height, width])
    return Images(form, design=design, filters=(4, 6, 8), width=16, dropout=0.0)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("size", [(28, 28, 1), (224, 224, 3), (64, 30, 1), (37, 101, 3), (3, 5, 1)])
def test_pictures_of_any_size_are_embedded(design: Design, size: tuple[int, int, int]) -> None:
    height, width, channels = size
    network = images(design, height, width, channels)
    embedded = network(torch.randn(2, channels, height, width), torch.tensor([True, True]))
    assert embedded.shape == (2, 16)
    assert embedded.isfinite().all() and embedded.any()


@pytest.mark.parametrize("design", DESIGNS)
def test_an_absent_picture_is_zeros_and_changes_no_other_row(design: Design) -> None:
    network = images(design, 28, 28)
    pixels = torch.randn(3, 1, 28, 28)
    pixels[1] = 0
    embedded = network(pixels, torch.tensor([True, False, True]))
    assert not embedded[1].any()
    alone = network(pixels[2:], torch.tensor([True]))
    torch.testing.assert_close(embedded[2:], alone, rtol=0, atol=1e-5)
    assert torch.equal(network(pixels[1:2], torch.tensor([False])), torch.zeros(1, 16))


@pytest.mark.parametrize(("side", "first"), [(28, 28), (63, 63), (64, 32), (128, 32), (224, 56), (512, 32)])
def test_the_residual_design_takes_large_pictures_at_a_smaller_size(side: int, first: int) -> None:
    network = images("residual", side, side)
    seen: list[torch.Size] = []
    for block in network.modules():
        if isinstance(block, Residual):
            block.register_forward_hook(lambda module, given, out: seen.append(out.shape[2:]))
    network(torch.randn(1, 1, side, side), torch.tensor([True]))
    sides = [first, first, -(-first // 2), -(-first // 2), -(-first // 4), -(-first // 4)]
    assert seen == [(s, s) for s in sides]


def stripes(rows: int, seed: int) -> Examples:
    """Lines across or down, anywhere in a noisy picture."""
    random = np.random.default_rng(seed)
    target = np.arange(rows) % 2
    pixels = random.integers(20, 100, (rows, 1, 12, 12))
    for row, down in enumerate(target):
        lines = pixels[row, 0].T if down else pixels[row, 0]
        lines[random.integers(3) :: 3] += 120
    scans = Payloads(values=pixels.astype(np.uint8), channels=("grey",), centre=(60.0,), spread=(60.0,))
    return Examples(table=np.zeros((rows, 6), np.float32), payloads={"image": scans}, target=target)


def test_the_residual_design_learns_and_every_parameter_counts(tmp_path: Path) -> None:
    config = {"design": "residual", "filters": [4, 8], "width": 16, "dropout": 0.0}
    model = fit(
        "cnn",
        config,
        TrainParams(epochs=4, batch_size=32, learning_rate=5e-3, weight_decay=0.0),
        inputs=inputs(["image"], 2),
        train=stripes(160, seed=1),
        validation=stripes(60, seed=2),
        checkpoints=tmp_path,
        history=lambda row: None,
    )
    new = stripes(100, seed=3)
    assert (model.predict(new).argmax(axis=1) == new.target).mean() > 0.9
    torch.manual_seed(0)
    first = load("cnn").Encoder(inputs(["image"], 2), load("cnn").Config(**config)).state_dict()
    assert all((model.arrays[f"encoder.{name}"] != tensor.numpy()).any() for name, tensor in first.items())


def test_an_unknown_design_is_refused() -> None:
    with pytest.raises(ValueError, match="design is one of plain, residual"):
        load("cnn").Config(design="resnet")
