"""Faster arithmetic where the machine has it: bfloat16, and compiled networks."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from models.batches import Batch
from models.params import TrainParams

Forward = Callable[[Batch], Tensor]
WIDEST = 200  # characters of a compiler's complaint


def arithmetic(params: TrainParams, device: torch.device) -> tuple[AbstractContextManager[None], str]:
    """What a training's forward pass runs in, and a word on it where it is not plain float32.

    bf16: multiplications in bfloat16 and sums in float32, weights staying float32 (Kalamkar et al., "A study of
    bfloat16 for deep learning training", 2019). A processor without instructions for it is left at float32.
    """
    if params.precision == "float32":
        return nullcontext(), ""
    if device.type == "cpu" and not _has_bf16():
        return nullcontext(), "float32: this processor has no instructions for bf16"
    return torch.autocast(device.type, dtype=torch.bfloat16), "bf16"


def compiled(network: nn.Module, batch: Batch, params: TrainParams) -> tuple[Forward, str]:
    """The network as what computes it, and a word on it where it was to be compiled.

    Tried on `batch`, since compilers fail only then. What cannot be compiled runs as it is. The method is compiled and
    not the module, which would hold the weights a second time, by other names.
    """
    if not params.compile:
        return network.forward, ""
    made: Forward = torch.compile(network.forward)
    try:
        made(batch).sum().backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        torch._dynamo.reset()
        return network.forward, f"no: {type(error).__name__}: {str(error).strip().splitlines()[0][:WIDEST]}"
    finally:
        network.zero_grad()
    return made, "yes"


def _has_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
