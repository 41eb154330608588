"""What a run is made of: the stages of dvc.yaml with their state."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from contracts.errors import MedloopError

Say = Callable[[str], None]  # tells whoever watches what goes on now, in a few words; may raise StoppedError


def unheard(text: str) -> None:
    """A `Say` where nobody watches."""


class Epoch(str):
    """What a training says of an epoch, with the figures behind it for who would stop it.

    value: of the validation metric, more is better. counts: not where it is of a phase before the training proper.
    """

    number: int
    value: float
    counts: bool = True


class StoppedError(MedloopError):
    """Whoever watches wants no more of this work: raised where it says something, it ends there."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of dvc.yaml.

    arguments: those of `medloop stage`; none for another command.
    after: the stages whose outputs it reads.
    stale: why it must run, if it must.
    outputs: one hash over what it wrote last, as dvc.lock has it.
    """

    name: str
    arguments: tuple[str, ...]
    after: tuple[str, ...]
    stale: tuple[str, ...]
    outputs: str

    @property
    def study(self) -> str | None:
        """The study that it belongs to."""
        return self.arguments[1] if len(self.arguments) > 1 else None

    @property
    def model(self) -> str | None:
        """The model that it trains or evaluates; none for a stage of the study."""
        return self.arguments[2] if len(self.arguments) > 2 else None


def leading_to(plan: Sequence[Stage], wanted: Collection[str]) -> list[Stage]:
    """The stages of these names and all that they need, in the order of the plan."""
    needed = set(wanted)
    for stage in reversed(plan):
        if stage.name in needed:
            needed.update(stage.after)
    return [stage for stage in plan if stage.name in needed]


def evaluating(plan: Sequence[Stage], models: Collection[str]) -> set[str]:
    """The names of the stages that judge these models on the test part."""
    return {stage.name for stage in plan if stage.model in models and stage.arguments[0] == "evaluate"}
