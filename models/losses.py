"""The losses that a network can be trained with: for classes, also for where one is rare, and for numbers."""

import torch
from torch import Tensor, nn
from torch.nn import functional

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
    """Of a number that was scaled by `centre` and `spread`.

    - squared: the square of the error, whose best prediction is the mean.
    - huber: half the square up to `huber_delta`, a straight line beyond (Huber, "Robust estimation of a location
      parameter", Annals of Mathematical Statistics 35, 1964).

    Shape: outputs (B, 1) scaled, target (B,) as it is -> (B,).
    """

    def __init__(self, params: TrainParams, centre: float, spread: float) -> None:
        super().__init__()
        self.params, self.centre, self.spread = params, centre, spread

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Shape: (B, 1), (B,) -> (B,)."""
        scaled = ((target - self.centre) / self.spread).float()
        if self.params.loss == "huber":
            return functional.huber_loss(outputs[:, 0], scaled, reduction="none", delta=self.params.huber_delta)
        return (outputs[:, 0] - scaled).square()


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


class GivenLoss(nn.Module):
    """Of a network that gives each row's own loss, whatever the label. Shape: (B,), (B,) -> (B,)."""

    def forward(self, losses: Tensor, target: Tensor) -> Tensor:
        """Shape: (B,), (B,) -> (B,)."""
        return losses
