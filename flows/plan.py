"""What a run is made of: the stages of dvc.yaml with their state."""

from dataclasses import dataclass


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
