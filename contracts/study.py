"""What a study declares: its columns, its label, its patients. Rule: a study is a table of samples."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

ColumnType = Literal["numeric", "categorical", "ordinal", "datetime", "text", "image", "sequence"]


class Frozen(BaseModel):
    """A settings section: cannot be changed once read, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _as_text(value: object) -> object:
    """Cells are read as text, so a level written as a number in YAML is compared as text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_as_text)]
Bound = float | None


class Column(Frozen):
    """One declared column of the source.

    `range` holds the plausible values, both ends included, in `unit`; `missing` the codes that mean
    "no value" beside the study's shared ones; `levels` the allowed categories, in order when ordinal;
    `format` a datetime's strptime pattern.
    """

    type: ColumnType
    unit: str | None = None
    range: tuple[Bound, Bound] | None = None
    missing: tuple[Text, ...] = ()
    levels: tuple[Text, ...] = ()
    format: str | None = None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.type == "ordinal" and not self.levels:
            raise ValueError("an ordinal column names its levels, lowest first: levels: [low, middle, high]")
        if self.range and self.range[0] is not None and self.range[1] is not None and self.range[0] > self.range[1]:
            raise ValueError(f"range [{self.range[0]}, {self.range[1]}] is upside down")
        return self


class Target(Frozen):
    """The label: which column, its classes as they are written in the source, the positive one."""

    column: str
    classes: tuple[Text, ...]
    positive: Text | None = None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if len(set(self.classes)) < 2:
            raise ValueError("a label has two classes or more")
        if len(self.classes) == 2 and self.positive is None:
            raise ValueError("a label of two classes says which is `positive`")
        if self.positive is not None and self.positive not in self.classes:
            raise ValueError(f"positive: {self.positive} is none of the classes {list(self.classes)}")
        return self


class Condition(Frozen):
    """Rows that belong to the cohort: `min`/`max` (both included) on numbers, `among` on texts."""

    min: Bound = None
    max: Bound = None
    among: tuple[Text, ...] = ()


class Study(Frozen):
    """A study's declaration; its settings sections are read beside it.

    `id` names the sample's column (None: the row's number), `group` the patient's (None: the id),
    `time` the moment of the sample. `drop` maps a column that is not used to the reason why.
    """

    name: str
    title: str
    id: str | None = None
    group: str | None = None
    time: str | None = None
    target: Target
    cohort: dict[str, Condition] = {}
    columns: dict[str, Column]
    drop: dict[str, str] = {}

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        for name in (*self.columns, *self.drop):
            if name.startswith("@"):
                raise ValueError(f"column {name}: names that begin with @ are medloop's own")
        both = sorted(set(self.columns) & set(self.drop))
        if both:
            raise ValueError(f"declared and dropped at once: {both}")
        used = [self.id, self.group, self.time, *self.cohort]
        unknown = sorted({c for c in used if c} - self.known())
        if unknown:
            raise ValueError(f"named but not declared under columns: {unknown}")
        return self

    def known(self) -> set[str]:
        """Every source column that the study has an opinion on."""
        return {*self.columns, *self.drop, self.target.column, *(c for c in (self.id, self.group) if c)}

    def features(self) -> dict[str, Column]:
        """The columns that a model may see: those declared, less label, id, patient and time."""
        roles = {self.id, self.group, self.time, self.target.column}
        return {name: column for name, column in self.columns.items() if name not in roles}
