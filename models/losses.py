"""The losses that a network can be trained with, beside plain cross entropy for where a class is rare."""

import torch
from torch import Tensor
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
