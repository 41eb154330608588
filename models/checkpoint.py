"""Checkpoints to resume from: one safetensors file each, whole or not there, its hash in its name."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import MedloopError

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 2


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A training between two steps.

    step: optimiser steps done
    loss_sum: sum of the losses of this epoch's steps so far
    rate: the learning rate before any schedule
    rows_at_once: rows that gradients are computed of at a time; fewer than a batch where memory was exhausted
    history: a row an epoch that is finished
    tensors: `network/…`, `average/…` where weights are averaged, `best/…` (the best epoch's weights) and
        `optimizer/PARAMETER/…`
    """

    step: int
    loss_sum: float
    rate: float
    rows_at_once: int
    history: list[dict[str, float]]
    tensors: dict[str, "Tensor"]


def write(folder: Path, recipe: str, checkpoint: Checkpoint) -> None:
    """Add a checkpoint and drop all but the recipe's newest two. `recipe` names what it may be resumed by.

    Raises MedloopError when the disk does not take it; those of before stay.
    """
    from safetensors.torch import save

    facts = {key: value for key, value in vars(checkpoint).items() if key != "tensors"} | {"recipe": recipe}
    tensors = {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}
    content = save(tensors, metadata={"medloop": json.dumps(facts, sort_keys=True)})
    own = _own(folder, recipe)
    name = f"{checkpoint.step:012d}-{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    try:
        own.mkdir(parents=True, exist_ok=True)
        write_whole(own / name, content)
        for old in _newest_first(own)[KEPT:]:
            old.unlink()
    except OSError as error:
        raise MedloopError(
            f"a checkpoint of {len(content) / 1e6:.1f} MB cannot be written: {error.strerror or error}",
            where=str(own),
            mend="free the disk or mend its rights and run again: training goes on from the checkpoint before",
        ) from error


def newest(folder: Path, recipe: str) -> Checkpoint | None:
    """The newest checkpoint of this recipe that is whole: a damaged one is passed over for the one before."""
    for path in _newest_first(_own(folder, recipe)):
        content = path.read_bytes()
        if path.stem.partition("-")[2] == hashlib.sha256(content).hexdigest()[:16]:
            found = _parsed(content, recipe)
            if found:
                return found
    return None


def write_whole(path: Path, content: bytes) -> None:
    """Write so that after a crash the file is the old one or the new one, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _own(folder: Path, recipe: str) -> Path:
    """A folder a recipe: another's later steps would push out its newest."""
    return folder / recipe[:16]


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"), reverse=True)


def _parsed(content: bytes, recipe: str) -> Checkpoint | None:
    from safetensors.torch import load

    length = int.from_bytes(content[:8], "little")
    facts: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["medloop"])
    if facts.pop("recipe") != recipe:
        return None
    return Checkpoint(**facts, tensors=load(content))
