"""What an exhausted memory looks like, on a GPU or not."""

import torch


def is_exhausted(error: BaseException) -> bool:
    """Whether torch found no memory. On a processor it tells so in the message alone."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
