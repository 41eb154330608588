"""What a network looks at: integrated gradients and class activation maps, by Captum (Kokhlikyan et al., 2020).

Everything here is of single rows; whoever shows it averages over patients first.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contracts.examples import Examples
from contracts.tasks import Task
from models.batches import Batch, Rows, laid_out
from models.family import configured, load, reads
from models.layers.image import Images
from models.network import Network, restored
from models.store import Trained

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

MOMENTS = 20  # that each sequence's own time is divided into
PATHS_AT_ONCE = 512  # rows times steps
PICTURES_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Attributions:
    """How much each input moves a row's output from that of the average row, as `Margin` says it.

    moments: by column of sequences, from the first step to the last, (N, MOMENTS, width of a step)
    tokens: by column of texts, of every token its row, number and attribution, (S,) each

    Shape: table (N, F); change (N,), the output less that of the average row; gap (N,), what all others miss of it.
    """

    table: Floats
    change: Floats
    gap: Floats
    moments: dict[str, Floats]
    tokens: dict[str, tuple[Whole, Whole, Floats]]


class Margin(nn.Module):
    """What is explained of a row. Of classes one's logit less the mean of the others', of two the log-odds; of other
    tasks the mean output: of a number itself, scaled, of classes in order the log-odds of going one further. Of words
    the log-odds of each one's tag against none, summed over a text.

    gates: one before each input of numbers but images, where its attributions are asked for

    Shape: the tensors of a batch in the order of `keys`, then towards (B,), the class, or (B, T), the tags -> (B,).
    """

    def __init__(self, network: Network, keys: list[str], task: Task) -> None:
        super().__init__()
        self.network, self.keys, self.task = network, keys, task
        self.gated = [key for key in keys if key.startswith(("table", "sequence/"))]
        self.gates = nn.ModuleList(nn.Identity() for _ in self.gated)

    def forward(self, *tensors: Tensor) -> Tensor:
        """Shape: as above."""
        batch = dict(zip(self.keys, tensors[:-1], strict=True))
        for key, gate in zip(self.gated, self.gates, strict=True):
            batch[key] = gate(batch[key])
        outputs: Tensor = self.network(batch)
        if self.task == "tagging":
            return (outputs.gather(2, tensors[-1][..., None])[..., 0] - outputs[..., 0]).sum(dim=1)
        if self.task != "classes":
            return outputs.mean(dim=1)
        own = outputs.gather(1, tensors[-1][:, None])[:, 0]
        return own - (outputs.sum(dim=1) - own) / (outputs.shape[1] - 1)


def integrated_gradients(trained: Trained, examples: Examples, towards: Whole, *, steps: int) -> Attributions | None:
    """Integrated gradients (Sundararajan, Taly & Yan, ICML 2017) of a network's table, sequences and texts.

    The path comes from the average of these rows; of sequences from the training mean, of texts from padding alone;
    images stay as they are. None where the network reads nothing else.

    towards: (N,) the class whose log-odds are told, of the task classes; of words it is the tag that each is given
    steps: of the path (Gauss–Legendre)
    """
    with opened(trained, examples) as (network, rows):
        margin = Margin(network, _keys(rows), trained.inputs.task)
        embedded = (getattr(module, "words", None) for module in network.modules())
        words = [module for module in embedded if isinstance(module, nn.Embedding)]
        if not margin.gated and not words:
            return None
        paths = _Paths(margin=margin, words=words, rows=rows, towards=torch.from_numpy(towards), steps=steps)
        return _joined([paths.along(part) for part in parts(rows, max(1, PATHS_AT_ONCE // steps))])


def class_maps(trained: Trained, examples: Examples, towards: Whole) -> dict[str, tuple[Whole, Floats]]:
    """Where in an image the class shows: Grad-CAM (Selvaraju et al., ICCV 2017) at the last convolution's maps.

    By column of images that convolutions read: the rows that have one, (M,), and their maps, (M, h, w), of which each
    has 1 as its largest value, or 0 everywhere.

    towards: (N,) the class that is looked for, of the task classes
    """
    from captum.attr import LayerGradCam

    found: dict[str, tuple[Whole, Floats]] = {}
    with opened(trained, examples) as (network, rows):
        encoders = [module for module in network.modules() if isinstance(module, Images)]
        for name, encoder in zip(trained.inputs.of_kind("image"), encoders, strict=False):
            margin = Margin(network, _keys(rows), trained.inputs.task)
            camera = LayerGradCam(margin, encoder.maps)
            maps, there = [], []
            for part in parts(rows, PICTURES_AT_ONCE):
                batch, toward = rows.batch(part), torch.from_numpy(towards).to(part.device)[part]
                made = camera.attribute((*batch.values(), toward), relu_attributions=True)
                maps.append(numbers(made[:, 0]))
                there.append(batch[f"present/{name}"].cpu().numpy())
            seen = np.concatenate(there)
            of_rows = np.concatenate(maps)[seen]
            largest = of_rows.max(axis=(1, 2), keepdims=True, initial=0)
            found[name] = np.flatnonzero(seen), of_rows / np.where(largest > 0, largest, 1)
    return found


@contextmanager
def opened(trained: Trained, examples: Examples) -> Iterator[tuple[Network, Rows]]:
    """The network and its rows, on the GPU when there is one, ready to be differentiated."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    family = load(trained.family)
    network = restored(family, trained.inputs, configured(trained.family, trained.config), trained.arrays)
    # cuDNN differentiates recurrent layers in training only.
    with torch.backends.cudnn.flags(enabled=False), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Multiple layers provided")
        yield network.to(device), laid_out(examples, trained.inputs, reads(family, trained.inputs.task)).to(device)


def parts(rows: Rows, size: int) -> list[Tensor]:
    """The numbers of all rows, so many at once."""
    return list(torch.split(torch.arange(len(rows), device=rows.at.device), size))


def _keys(rows: Rows) -> list[str]:
    return list(rows.batch(torch.arange(1, device=rows.at.device)))


def numbers(tensor: Tensor) -> Floats:
    """A tensor, wherever it lies, as an array."""
    return np.asarray(tensor.detach().double().cpu().numpy(), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class _Paths:
    """What the attributions of any rows follow from; `words` embed the columns of texts, in their order."""

    margin: Margin
    words: Sequence[nn.Module]
    rows: Rows
    towards: Tensor
    steps: int

    def along(self, at: Tensor) -> Attributions:
        """The attributions of these rows. Shape: at (B,) their numbers."""
        from captum.attr import LayerIntegratedGradients

        batch = self.rows.batch(at)
        towards = self._called(batch) if self.margin.task == "tagging" else self.towards.to(at.device)[at]
        end, start = (*batch.values(), towards), (*(self._start(*of) for of in batch.items()), towards)
        asked = LayerIntegratedGradients(self.margin, [*self.margin.gates, *self.words]).attribute(
            end,
            baselines=start,
            n_steps=self.steps,
            grad_kwargs={"allow_unused": True, "materialize_grads": True},
        )
        with torch.no_grad():
            change = numbers(self.margin(*end) - self.margin(*start))
        found = [part.detach() for part in asked]
        gated = dict(zip(self.margin.gated, found, strict=False))
        texts = [name for name, form in self.rows.forms.items() if form.kind == "text"]
        tokens: dict[str, list[tuple[Whole, Whole, Floats]]] = {name: [] for name in texts}
        for name, part in zip(
            cycle(texts), found[len(gated) :], strict=False
        ):  # each network of several reads them all
            tokens[name].append(_by_token(part, batch[f"text/{name}"], batch[f"length/{name}"], at))
        return Attributions(
            table=numbers(gated.pop("table", torch.zeros(len(at), 0))),
            change=change,
            gap=change - sum(numbers(part).reshape(len(at), -1).sum(axis=1) for part in found),
            moments={
                name: _by_moment(part, batch[f"length/{name}"])
                for name, part in ((key.removeprefix("sequence/"), part) for key, part in gated.items())
            },
            tokens={name: _end_to_end(of) for name, of in tokens.items() if of},
        )

    @torch.no_grad()
    def _called(self, batch: Batch) -> Tensor:
        """The tag of each word. Shape: as `models.batches` -> (B, T)."""
        tags: Tensor = self.margin.network(batch).argmax(dim=2)
        return tags

    def _start(self, key: str, part: Tensor) -> Tensor:
        """Where the path begins."""
        if key == "table":
            return self.rows.table.mean(dim=0).expand_as(part)
        return torch.zeros_like(part) if key.startswith(("sequence/", "text/")) else part


def _by_moment(steps: Tensor, length: Tensor) -> Floats:
    """Each step's attribution spread over the moments that it covers of its row's time.

    Shape: (B, T, C), (B,) -> (B, MOMENTS, C); zeros for a row without steps.
    """
    place = torch.arange(steps.shape[1], device=length.device)[:, None]
    whole = length.clamp(min=1)[:, None, None]
    begin, end = place / whole * MOMENTS, (place + 1) / whole * MOMENTS
    moment = torch.arange(MOMENTS, device=length.device)
    overlap = (torch.minimum(end, moment + 1) - torch.maximum(begin, moment)).clamp(min=0)  # (B, T, MOMENTS)
    own = overlap * (place < length[:, None, None]) * whole / MOMENTS
    return numbers(torch.einsum("btm,btc->bmc", own.to(steps.dtype), steps))


def _by_token(words: Tensor, text: Tensor, length: Tensor, at: Tensor) -> tuple[Whole, Whole, Floats]:
    """Of every token its row, number and attribution. Shape: (B, T, D), text (B, L), length (B,), at (B,) -> (S,)."""
    read = words.shape[1]
    own = torch.arange(read, device=length.device) < length[:, None]
    row = at[:, None].expand(-1, read)[own].cpu().numpy()
    return row, text[:, :read][own].cpu().numpy(), numbers(words.sum(dim=2)[own])


def _joined(found: list[Attributions]) -> Attributions:
    """The attributions of all rows."""
    first = found[0]
    return Attributions(
        table=np.concatenate([part.table for part in found]),
        change=np.concatenate([part.change for part in found]),
        gap=np.concatenate([part.gap for part in found]),
        moments={name: np.concatenate([part.moments[name] for part in found]) for name in first.moments},
        tokens={name: _end_to_end([part.tokens[name] for part in found]) for name in first.tokens},
    )


def _end_to_end(found: list[tuple[Whole, Whole, Floats]]) -> tuple[Whole, Whole, Floats]:
    row, token, attribution = (np.concatenate(of) for of in zip(*found, strict=True))
    return row, token, attribution
