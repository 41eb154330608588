"""What every settings model is, and the plain values that they hold."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Frozen(BaseModel):
    """A settings section: cannot be changed once read, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _as_text(value: object) -> object:
    """Cells are read as text, so a level written as a number in YAML is compared as text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_as_text)]
Bound = float | None
