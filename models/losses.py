"""The losses that a network can be trained with: for classes, also where one is rare, numbers, times, words."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from contracts.answers import UNKNOWN, YES
from contracts.tags import NO_WORD
from models.params import TrainParams


def row_losses(logits: Tensor, target: Tensor, log_shares: Tensor, params: TrainParams) -> Tensor:
    """The loss of each row, in nats, before it is weighed. Shape: logits (B, C), target (B,), log_shares (C,) -> (B,).

    - cross_entropy: −log p of the row's class.
    - focal: (1 − p)^focusing × cross entropy (Lin et al., "Focal loss for dense object detection", ICCV 2017), so
      that rows already right count little. Probabilities come out too close to one another, and no closed form
      undoes it: take `calibration: temperature` or `platt`.
    - logit_adjusted: cross entropy of logits + adjustment × log share of the class in training (Menon et al.,
      "Long-tail learning via logit adjustment", ICLR 2021). Rows are scored by the plain logits, which suit the
      balanced error: probabilities are as if every class were equally common, a rare class's thus too high;
      `calibration: prior` undoes exactly that.
    """
    if params.loss == "logit_adjusted":
        logits = logits + params.adjustment * log_shares
    losses = functional.cross_entropy(logits, target, reduction="none", label_smoothing=params.label_smoothing)
    if params.loss == "focal" and params.focusing:
        log_other = torch.log1p(-logits.softmax(dim=1).gather(1, target[:, None]).squeeze(1).clamp(max=1 - 1e-6))
        losses = losses * torch.exp(params.focusing * log_other)
    return losses


class ClassLoss(nn.Module):
    """`row_losses`, with the classes' shares kept on the device. Shape: logits (B, C), target (B,) -> (B,)."""

    log_shares: Tensor

    def __init__(self, params: TrainParams, log_shares: Tensor) -> None:
        super().__init__()
        self.params = params
        self.register_buffer("log_shares", log_shares, persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Shape: (B, C), (B,) -> (B,)."""
        return row_losses(logits, target, self.log_shares, self.params)


class NumberLoss(nn.Module):
    """Of numbers that were scaled by `centre` and `spread`; of several a row, the mean of their losses.

    - squared: the square of the error, whose best prediction is the mean.
    - huber: half the square up to `huber_delta`, a straight line beyond (Huber, "Robust estimation of a location
      parameter", Annals of Mathematical Statistics 35, 1964).

    Shape: outputs (B, K) scaled, target (B, K) as it is, or (B,) where K is 1 -> (B,).
    """

    def __init__(self, params: TrainParams, centre: float, spread: float) -> None:
        super().__init__()
        self.params, self.centre, self.spread = params, centre, spread

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Shape: (B, K), (B, K) or (B,) -> (B,)."""
        scaled = ((target - self.centre) / self.spread).float().reshape(outputs.shape)
        if self.params.loss == "huber":
            losses = functional.huber_loss(outputs, scaled, reduction="none", delta=self.params.huber_delta)
        else:
            losses = (outputs - scaled).square()
        return losses.mean(dim=1)


class StepLoss(nn.Module):
    """Of classes in order: −log p of the row's class, by whether it goes beyond each class that it has come as far as.

    Shape: outputs (B, C - 1) log-odds of going beyond a class, target (B,) -> (B,).
    """

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Shape: (B, C - 1), (B,) -> (B,)."""
        step = torch.arange(outputs.shape[1], device=outputs.device)
        beyond = (target[:, None] > step).to(outputs.dtype)
        losses = functional.binary_cross_entropy_with_logits(outputs, beyond, reduction="none")
        return (losses * (target[:, None] >= step)).sum(dim=1)


class HazardLoss(nn.Module):
    """Of a time to an event: −log likelihood of what was seen of each interval's hazard (`models.hazards`).

    Shape: outputs (B, K) log-odds of the hazards, target (B,) as `contracts.follow_up` has it -> (B,).
    """

    starts: Tensor
    ends: Tensor

    def __init__(self, cuts: Sequence[float]) -> None:
        super().__init__()
        ends = torch.tensor(cuts, dtype=torch.float64)
        self.register_buffer("ends", ends, persistent=False)
        self.register_buffer("starts", torch.cat([ends.new_zeros(1), ends[:-1]]), persistent=False)

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Shape: (B, K), (B,) -> (B,)."""
        time, happened = target.abs()[:, None], ~torch.signbit(target)[:, None]
        fell = happened & (time <= self.ends) & ((time > self.starts) | (self.starts == 0))
        spared = time >= torch.where(happened, self.ends, (self.starts + self.ends) / 2)
        losses = functional.binary_cross_entropy_with_logits(outputs, fell.to(outputs.dtype), reduction="none")
        return (losses * (fell | spared)).sum(dim=1)


class LabelLoss(nn.Module):
    """Of several labels: the mean over those that are known of a row of their cross entropy.

    weight: (L,) of a label's yes beside its no

    Shape: outputs (B, L) log-odds, target (B,) as `contracts.answers` has it -> (B,).
    """

    weight: Tensor
    places: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("places", 3 ** torch.arange(len(weight)), persistent=False)

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Shape: (B, L), (B,) -> (B,)."""
        answers = target[:, None] // self.places % 3
        yes, known = (answers == YES).to(outputs.dtype), (answers != UNKNOWN).to(outputs.dtype)
        losses = functional.binary_cross_entropy_with_logits(outputs, yes, reduction="none", pos_weight=self.weight)
        return (losses * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)


class TagLoss(nn.Module):
    """Of the words' tags: the sum over a text's words of −log p of the tag, in units of `words`, those that a text has
    on average, so that a word counts as much in a short text as in a long one.

    Shape: outputs (B, T, C) logits, target (B, L) as `contracts.tags` has it, L at least T -> (B,).
    """

    def __init__(self, words: float, label_smoothing: float) -> None:
        super().__init__()
        self.words, self.label_smoothing = words, label_smoothing

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Shape: (B, T, C), (B, L) -> (B,)."""
        tags = target[:, : outputs.shape[1]].long()
        losses = functional.cross_entropy(  # a word a row: of more dimensions a GPU has no deterministic way
            outputs.flatten(0, 1),
            tags.flatten(),
            ignore_index=NO_WORD,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        return losses.view(tags.shape).sum(dim=1) / self.words


class GivenLoss(nn.Module):
    """Of a network that gives each row's own loss, whatever the label. Shape: (B,), (B,) -> (B,)."""

    def forward(self, losses: Tensor, target: Tensor) -> Tensor:
        """Shape: (B,), (B,) -> (B,)."""
        return losses
