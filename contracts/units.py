"""Which cells of a column are written in another unit, and how they become the column's own."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from contracts.frozen import Bound, Frozen, Text


class Between(Frozen):
    """Numbers from `min` to `max`, both included; None: no end."""

    min: Bound = None
    max: Bound = None

    def meets(self, other: "Between") -> bool:
        """Whether some number lies between both."""
        lows = [end for end in (self.min, other.min) if end is not None]
        highs = [end for end in (self.max, other.max) if end is not None]
        return not lows or not highs or max(lows) <= min(highs)


class UnitRule(Frozen):
    """Cells written in another unit: in the column's own they are value * factor + offset.

    It speaks of the values between `where`, as they are written, and where `by` names a column of the source, of the
    rows in which that holds one of `among`.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    from_unit: str = Field(alias="from")
    factor: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    offset: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    where: Between = Between()
    by: str | None = None
    among: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if bool(self.by) != bool(self.among):
            raise ValueError("by (a column) and among (what it then holds) belong together")
        if self.where.min is not None and self.where.max is not None and self.where.min > self.where.max:
            raise ValueError(f"where: min {self.where.min} is above max {self.where.max}")
        return self

    def clashes(self, other: "UnitRule") -> bool:
        """Whether both surely want the same cells, were there any such."""
        alike = self.by == other.by and (not self.by or bool(set(self.among) & set(other.among)))
        return alike and self.where.meets(other.where)
