"""Parts of rows hidden at random in training, so that a network learns them from the rest.

Masking noise as in Vincent et al., Stacked denoising autoencoders (JMLR 2010). What is hidden is 0, the mean of what
was standardised: cells of a table one by one; of images whole patches, of sequences whole steps, since a pixel or a
channel is told by its neighbours.
"""

import torch
from torch import Tensor

PATCHES = 8  # a side of a picture


def without_cells(table: Tensor, share: float) -> Tensor:
    """Shape: (B, F) -> (B, F)."""
    return table * (torch.rand_like(table) >= share)


def without_patches(pixels: Tensor, share: float) -> Tensor:
    """Shape: (B, C, H, W) -> (B, C, H, W)."""
    kept = torch.rand(len(pixels), 1, PATCHES, PATCHES, device=pixels.device) >= share
    rows, columns = (torch.arange(side, device=pixels.device) * PATCHES // side for side in pixels.shape[2:])
    return pixels * kept[:, :, rows][..., columns]


def without_steps(steps: Tensor, share: float) -> Tensor:
    """Shape: (B, T, C) -> (B, T, C)."""
    return steps * (torch.rand(*steps.shape[:2], 1, device=steps.device) >= share)
