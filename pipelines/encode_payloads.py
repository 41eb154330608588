"""Pictures, sequences and texts as models take them: scaled channels, tokens, a few figures of each for the table."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from contracts.payloads import Allocate, Payloads
from contracts.study import Column, Frozen
from contracts.tables import Schema
from pipelines.channels import ChannelMethod, ChannelScale, fit_channels, scale_channels
from pipelines.image.features import image_feature_names, image_features
from pipelines.near_duplicates import positions
from pipelines.signal.features import signal_feature_names, signal_features
from pipelines.signal.fill import Filling, fill_gaps
from pipelines.text.features import Tfidf, fit_tfidf, tfidf, tfidf_names
from pipelines.text.tokens import TokenKind, Vocabulary, fit_vocabulary, tokenised

Floats = NDArray[np.float32]


class PayloadParams(Frozen):
    """How pictures, sequences and texts become numbers. All that is learnt is learnt on training rows.

    channels: how the channels of pictures and sequences are scaled (`pipelines.channels`); "recording", each sequence
        by its own, leaves pictures at "standard".
    image: "pooled" adds to the table the means of `cells` by `cells` fields a channel and its histogram; "none".
    sequence: "summary" adds figures a channel (`pipelines.signal.features`); "none".
    text: "tfidf" adds the weights of the `words` most frequent words and pairs of words; "none".
    tokens, vocabulary: how texts are cut, and into how many different tokens (`pipelines.text.tokens`).
    These figures let every model that takes a table take the study, a plain baseline first of all.
    """

    channels: ChannelMethod = "standard"
    image: Literal["pooled", "none"] = "pooled"
    cells: int = Field(default=8, ge=1, le=32)
    sequence: Literal["summary", "none"] = "summary"
    text: Literal["tfidf", "none"] = "tfidf"
    words: int = Field(default=500, ge=1)
    tokens: TokenKind = "words"
    vocabulary: int = Field(default=8000, ge=2)


class Figures(Frozen):
    """The figures of one column of pictures or sequences: their names, and what they are scaled by."""

    names: tuple[str, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]


class PayloadEncoding(Frozen):
    """What normalisation learnt of the payload columns, each by column.

    scales: of channels. vocabularies, terms: of texts. figures: of pictures and sequences. missing: the columns whose
    absence the table tells. gaps: how those inside sequences are filled. cells, clip: as set.
    """

    scales: dict[str, ChannelScale]
    vocabularies: dict[str, Vocabulary]
    terms: dict[str, Tfidf]
    figures: dict[str, Figures]
    missing: tuple[str, ...]
    gaps: Filling
    cells: int
    clip: float

    @property
    def names(self) -> tuple[str, ...]:
        """The features that these columns add to the table."""
        figures = [f"{name} {figure}" for name, of in self.figures.items() for figure in of.names]
        terms = [f"{name} {term}" for name, of in self.terms.items() for term in tfidf_names(of)]
        return (*figures, *terms, *(f"{name} missing" for name in self.missing))

    @property
    def sources(self) -> tuple[str, ...]:
        """The column that each of `names` tells of."""
        figures = [name for name, of in self.figures.items() for _ in of.names]
        terms = [name for name, of in self.terms.items() for _ in tfidf_names(of)]
        return (*figures, *terms, *self.missing)


def fit_payloads(
    train: pd.DataFrame,
    schema: Schema,
    params: PayloadParams,
    payloads: Mapping[str, Payloads],
    *,
    gaps: Filling,
    min_count: int,
    clip: float,
) -> PayloadEncoding:
    """Learn from training rows; a word counts that `min_count` of their patients have."""
    train = train.sort_values("@id", ignore_index=True)  # sums depend on the order, in their last digits
    pictures, sequences, texts = (schema.of_type(kind) for kind in ("image", "sequence", "text"))
    summed = [*(pictures if params.image != "none" else []), *(sequences if params.sequence != "none" else [])]
    of_patients, tokens, words = train["@group"], params.vocabulary, params.words
    across = "standard" if params.channels == "recording" else params.channels
    return PayloadEncoding(
        scales={
            name: fit_channels(payloads[name], positions(train[name]), across if name in pictures else params.channels)
            for name in (*pictures, *sequences)
        },
        vocabularies={
            name: fit_vocabulary(train[name], of_patients, kind=params.tokens, size=tokens, min_count=min_count)
            for name in texts
        },
        terms={
            name: fit_tfidf(train[name], of_patients, size=words, min_count=min_count)
            for name in texts
            if params.text != "none"
        },
        figures={
            name: _fit_figures(train[name], schema.features[name], payloads[name], params.cells) for name in summed
        },
        missing=tuple(name for name in (*pictures, *sequences, *texts) if train[name].isna().any()),
        gaps=gaps,
        cells=params.cells,
        clip=clip,
    )


def payload_features(
    encoding: PayloadEncoding, samples: pd.DataFrame, schema: Schema, payloads: Mapping[str, Payloads]
) -> Floats:
    """The figures, word weights and absences of each row, scaled. Shape: (N, len(encoding.names))."""
    blocks = [
        _scaled(_figures(samples[name], schema.features[name], payloads[name], encoding.cells), of, encoding.clip)
        for name, of in encoding.figures.items()
    ]
    blocks += [tfidf(of, samples[name]) for name, of in encoding.terms.items()]
    blocks += [samples[[name]].isna().to_numpy(dtype=np.float32) for name in encoding.missing]
    return np.concatenate([np.empty((len(samples), 0), np.float32), *blocks], axis=1)


def ready_payloads(
    encoding: PayloadEncoding,
    samples: pd.DataFrame,
    payloads: Mapping[str, Payloads],
    allocate_for: Callable[[str], Allocate],
) -> dict[str, Payloads]:
    """By column, what a model takes of each row, in the rows' order.

    Pictures stay as small as they were decoded, and carry what they are scaled by; sequences are scaled and without
    gaps; texts are tokens. A row without a payload has zeros, or no steps.
    """
    ready = {}
    for name, scale in encoding.scales.items():
        at = positions(samples[name])
        if payloads[name].offsets is None:
            ready[name] = _carrying(payloads[name].take(at, allocate_for(name)), scale)
        else:
            ready[name] = _without_gaps(scale_channels(scale, payloads[name], at), encoding.gaps)
    tokens = {name: tokenised(of, samples[name]) for name, of in encoding.vocabularies.items()}
    return {**ready, **tokens}


def _fit_figures(cells: "pd.Series[Any]", column: Column, payloads: Payloads, grid: int) -> Figures:
    figures = _figures(cells, column, payloads, grid).astype(np.float64)
    known = np.isfinite(figures)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, figures, 0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, figures - centre, 0) ** 2).sum(axis=0) / count)
    names = image_feature_names(payloads, cells=grid) if column.type == "image" else signal_feature_names(payloads)
    plain = np.where(spread > 0, spread, 1)
    return Figures(names=tuple(names), centre=tuple(centre.tolist()), spread=tuple(plain.tolist()))


def _figures(cells: "pd.Series[Any]", column: Column, payloads: Payloads, grid: int) -> Floats:
    if column.type == "image":
        return image_features(payloads, positions(cells), cells=grid)
    return signal_features(payloads, positions(cells))


def _scaled(figures: Floats, by: Figures, clip: float) -> Floats:
    """Standard scores; what cannot be computed is the training mean."""
    scores = (figures - np.array(by.centre)) / np.array(by.spread)
    return np.asarray(np.nan_to_num(np.clip(scores, -clip, clip), nan=0.0), dtype=np.float32)


def _carrying(pictures: Payloads, scale: ChannelScale) -> Payloads:
    return Payloads(values=pictures.values, channels=pictures.channels, centre=scale.centre, spread=scale.scale)


def _without_gaps(sequences: Payloads, gaps: Filling) -> Payloads:
    filled = [fill_gaps(sequences[at], sequences.moments(at), gaps) for at in range(len(sequences))]
    return replace(sequences, values=np.concatenate([sequences.values[:0], *filled]))
