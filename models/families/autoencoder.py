"""An encoder that first learns, without labels, to restore its rows from few numbers; then it is trained on the label.

Pre-training as in Hinton & Salakhutdinov, Reducing the dimensionality of data with neural networks (Science 2006):
dense for the table, convolutional for images, recurrent (after convolutions where there are some) for sequences;
denoising (Vincent et al., JMLR 2010) and variational (Kingma & Welling, ICLR 2014) by setting. How badly a new row is
restored says how unlike those of training it is.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from contracts.examples import Form, Inputs, Kind
from models.batches import Batch, keys
from models.layers.columns import Columns
from models.layers.decoding import Code, ImageDecoder, SequenceDecoder, TableDecoder
from models.layers.hiding import without_cells, without_patches, without_steps
from models.layers.image import Images
from models.layers.numbers import Numbers
from models.layers.recurrent import Sequences
from models.params import TrainParams

READS: tuple[Kind, ...] = ("table", "image", "sequence")
KERNEL = 7  # steps that a convolution over a sequence sees
PATIENCE = 5  # epochs of pre-training that restore validation rows no better, after which it ends


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults suit some thousand rows.

    pretraining: most epochs without labels; 0 for none, and no scores of how unusual a row is
    pretraining_rate: the learning rate there
    hidden: share of the table's cells, of a picture's patches and of a sequence's steps that are hidden in training, in
        both parts of it; in the first the network restores them too (denoising). 0 hides none
    variational: weight of the code's divergence from a standard normal beside the error (the β of Higgins et al.,
        β-VAE, ICLR 2017); 0 for none, a code without chance
    code: numbers that a row is restored from; at most half as many as it has columns, where it is a table alone
    width: of each column's embedding (the table being one)
    blocks: residual blocks of the table's embedding
    filters: of the blocks of convolutions over a picture, of which each halves it
    signal_filters: the same over a sequence, before its recurrent layer; none by default, as suits visits
    resolution: steps that a sequence has at most; of longer ones several neighbouring steps become one
    dropout: share of hidden units dropped in training on the label; none are before it
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic's name, and no field)

    pretraining: int = 30
    pretraining_rate: float = 1e-3
    hidden: float = 0.2
    variational: float = 0.0
    code: int = 32
    width: int = 128
    blocks: int = 1
    filters: tuple[int, ...] = (16, 32, 64)
    signal_filters: tuple[int, ...] = ()
    resolution: int = 256
    dropout: float = 0.5

    def __post_init__(self) -> None:
        sizes = (self.code, self.width, self.resolution, *self.filters, *self.signal_filters)
        if min(sizes) < 1 or min(self.pretraining, self.blocks) < 0 or not self.filters:
            raise ValueError(
                "code, width, resolution, filters and signal_filters are 1 or more, pretraining and blocks 0 or more, "
                "and there is one filter at least"
            )
        if not (0 <= self.dropout < 1 and 0 <= self.hidden < 1):
            raise ValueError(f"dropout and hidden lie in [0, 1); got {self.dropout} and {self.hidden}")
        if self.variational < 0 or self.pretraining_rate <= 0:
            raise ValueError("variational is 0 or more, pretraining_rate above 0")


def pretraining(config: Config, params: TrainParams) -> TrainParams | None:
    """How the first part is trained: as the second is, but for what is of labels, or laid out over its epochs."""
    if not config.pretraining:
        return None
    return replace(
        params,
        epochs=config.pretraining,
        learning_rate=config.pretraining_rate,
        patience=PATIENCE,
        monitor="loss",
        sampler="shuffled",
        schedule="constant",
        warmup=0.0,
        average="none",
        average_start=0.0,
    )


class Encoder(nn.Module):
    """Embeds the table, without the features that sum up a column read here, and each image and sequence.

    Shape: as `models.batches` -> (B, dim_out).
    """

    def __init__(self, inputs: Inputs, config: Config) -> None:
        super().__init__()
        forms = _forms(inputs)
        self.own, self.hidden = _own(inputs), config.hidden
        self.payloads = Columns(forms, [_column(form, config) for form in forms.values()])
        self.table = _table(len(self.own), config) if self.own else None
        self.dim_out = self.payloads.dim_out + (config.width if self.own else 0)

    def forward(self, batch: Batch) -> Tensor:
        """Shape: as `models.batches` -> (B, dim_out)."""
        if self.training and self.hidden:
            batch = _thinned(batch, self.hidden)
        parts = self.payloads.each(batch)
        if self.table is not None:
            parts.append(self.table(batch["table"][:, self.own]))
        return torch.cat(parts, dim=1)


class Autoencoder(nn.Module):
    """The encoder, and what restores the batch from its embedding. Shape: as `models.batches` -> (B,), a row's loss."""

    def __init__(self, inputs: Inputs, config: Config) -> None:
        super().__init__()
        forms = _forms(inputs)
        self.encoder = Encoder(inputs, replace(config, dropout=0.0))
        self.own, self.keys, self.beta = _own(inputs), keys(forms), config.variational
        self.present = [f"present/{name}" for name in forms]
        code = config.code if forms else min(config.code, -(-len(self.own) // 2))
        self.code = Code(self.encoder.dim_out, width=code, variational=config.variational > 0)
        self.payloads = nn.ModuleList(_decoder(form, code, config) for form in forms.values())
        self.table = TableDecoder(len(self.own), code=code, width=config.width) if self.own else None

    def forward(self, batch: Batch) -> Tensor:
        """The mean error of what a row has, and its divergence; 0 for a row that has nothing. Shape: -> (B,)."""
        code, divergence = self.code(self.encoder(batch))
        pairs = zip(self.payloads, self.keys, strict=True)
        errors = [decoder(code, batch[payload], batch[extent]) for decoder, (payload, extent) in pairs]
        there = [batch[key] for key in self.present]
        if self.table is not None:
            errors.append(self.table(code, batch["table"][:, self.own]))
            there.append(torch.ones_like(errors[-1], dtype=torch.bool))
        known = torch.stack(there, dim=1).sum(dim=1)
        error = torch.stack(errors, dim=1).sum(dim=1) / known.clamp(min=1)
        loss: Tensor = error + self.beta * divergence * (known > 0)
        return loss


def _forms(inputs: Inputs) -> dict[str, Form]:
    return {name: form for name, form in inputs.payloads.items() if form.kind in READS}


def _own(inputs: Inputs) -> list[int]:
    """The places of the table's columns that sum up no payload that is read here."""
    sources, read = inputs.sources or inputs.columns, _forms(inputs)
    return [place for place, source in enumerate(sources) if source not in read]


def _thinned(batch: Batch, share: float) -> Batch:
    hide = {"table": without_cells, "image": without_patches, "sequence": without_steps}
    return {key: hide[kind](of, share) if (kind := key.partition("/")[0]) in hide else of for key, of in batch.items()}


def _table(features: int, config: Config) -> Numbers:
    return Numbers(features, width=config.width, blocks=config.blocks, dropout=config.dropout, input_dropout=0.0)


def _column(form: Form, config: Config) -> Images | Sequences:
    if form.kind == "image":
        # The plain design keeps the place in the picture, which restoring it needs.
        return Images(form, design="plain", filters=config.filters, width=config.width, dropout=config.dropout)
    return Sequences(
        form,
        cell="gru",
        width=-(-config.width // 2),
        layers=1,
        bidirectional=True,
        pool="attention",
        dropout=config.dropout,
        resolution=config.resolution,
        filters=config.signal_filters,
        kernel=KERNEL,
    )


def _decoder(form: Form, code: int, config: Config) -> ImageDecoder | SequenceDecoder:
    if form.kind == "image":
        return ImageDecoder(form, code=code, filters=config.filters)
    return SequenceDecoder(form, code=code, width=config.width)
