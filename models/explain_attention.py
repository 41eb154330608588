"""Attention rollout: how much of each token reaches the one that a transformer's answer is read from.

Abnar & Zuidema, Quantifying attention flow in transformers (ACL 2020).
"""

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from contracts.examples import Examples
from models.batches import Batch
from models.explain import Floats, numbers, opened, parts
from models.layers.attention import SelfAttention
from models.network import Network
from models.store import Trained

ROWS_AT_ONCE = 16  # of which all layers' attention is held


def rollout(trained: Trained, examples: Examples) -> dict[str, Floats]:
    """By column, the share of what the answer is read from that came from the column's tokens, (N,).

    The rest, up to 1, is the reading token's own. Empty for a network without such a token, or one in which a further
    layer reads the tokens' states.
    """
    with opened(trained, examples) as (network, rows), torch.no_grad():
        encoder = network.encoder
        if not hasattr(encoder, "columns_of_tokens") or encoder.recurrent is not None:
            return {}
        found: dict[str, list[Floats]] = {}
        for part in parts(rows, ROWS_AT_ONCE):
            batch = rows.batch(part)
            shares, columns = numbers(flow(attention(network, batch))), np.array(encoder.columns_of_tokens(batch))
            for name in dict.fromkeys(columns.tolist()):
                found.setdefault(name, []).append(shares[:, :-1][:, columns == name].sum(axis=1))
    return {name: np.concatenate(of) for name, of in found.items()}


def flow(layers: list[Tensor]) -> Tensor:
    """The share of each token, before the first layer, in the last token after the last: of weights and shortcuts.

    A layer hands on half of what it attends to and half of the token itself. Shape: (B, T, T) each -> (B, T).
    """
    share = torch.zeros_like(layers[0][:, 0])
    share[:, -1] = 1
    for weights in reversed(layers):
        share = share / 2 + (share[:, None] @ weights)[:, 0] / 2
    return share


def attention(network: Network, batch: Batch) -> list[Tensor]:
    """Each layer's weights, the mean over its heads. Shape: as `models.batches` -> (B, T, T) each, rows sum to 1."""
    found: list[Tensor] = []
    layers = [module for module in network.modules() if isinstance(module, SelfAttention)]
    hooks = [layer.register_forward_pre_hook(partial(_keep, found)) for layer in layers]
    try:
        network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _keep(found: list[Tensor], layer: nn.Module, given: tuple[Tensor, ...]) -> None:
    assert isinstance(layer, SelfAttention)
    found.append(layer.weights(*given))
