"""What a study declares: its columns, its label, its patients. Rule: a study is a table of samples."""

from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contracts.frozen import Bound, Frozen, Text
from contracts.names import nearest
from contracts.target import Target
from contracts.units import UnitRule

__all__ = ["PAYLOADS", "Bound", "Column", "Condition", "Frozen", "Protection", "Study", "Target", "Text"]

PAYLOADS = ("text", "image", "sequence")
ColumnType = Literal["numeric", "categorical", "ordinal", "datetime", "text", "image", "sequence"]


Pixels = Annotated[int, Field(ge=1, le=16384)]
_BELONGS = {
    **dict.fromkeys(("size", "fit", "colour", "depth", "monochrome1"), "image"),
    **dict.fromkeys(("rate", "channels"), "sequence"),
    "files": "text",
    "censored": "numeric",
}


class Column(Frozen):
    """One declared column of the source.

    `range` holds the plausible values, both ends included, in `unit`; `missing` the codes that mean
    "no value" beside the study's shared ones; `levels` the allowed categories, in order when ordinal;
    `format` a datetime's strptime pattern.
    `convert` says of a numeric column which cells are written in another unit; no cell may be meant by two rules.
    `spellings` holds by category the other ways in which it is written.
    `censored` says of a numeric column what a result beyond the assay's limits, written <4.0 or >1000, is taken as: the
    limit, half of it (of a lower one; an upper one stays), or missing. Unset, it is unreadable.

    Of an image (what is not declared must be alike in all files): `size`, height and width in pixels, to which it is
    brought; `fit` how: padded with black, stretched, or cropped to the middle; `colour`; `depth` in bits; whether DICOM
    images in which white is low (`monochrome1`) are inverted.
    Of a sequence: `rate` in steps a second, to which it is resampled; `channels` those taken, in order (none: all).
    Of a text: `files` says that cells are paths of text files.
    """

    type: ColumnType
    unit: str | None = None
    range: tuple[Bound, Bound] | None = None
    missing: tuple[Text, ...] = ()
    levels: tuple[Text, ...] = ()
    format: str | None = None
    convert: tuple[UnitRule, ...] = ()
    spellings: dict[Text, tuple[Text, ...]] = Field(default={})
    censored: Literal["limit", "half", "missing"] | None = Field(default=None, exclude_if=lambda taken: not taken)
    size: tuple[Pixels, Pixels] | None = None
    fit: Literal["pad", "stretch", "crop"] = "pad"
    colour: Literal["grey", "rgb"] | None = None
    depth: Literal[8, 16] | None = None
    monochrome1: Literal["invert", "keep"] | None = None
    rate: Annotated[float, Field(gt=0, le=1e6)] | None = None
    channels: tuple[Text, ...] = ()
    files: bool = False

    @model_validator(mode="after")
    def _of_its_type(self) -> Self:
        for name, type_ in _BELONGS.items():
            if type_ != self.type and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is said of a column of type {type_}, this one is {self.type}")
        return self

    @model_validator(mode="after")
    def _converts(self) -> Self:
        if self.convert and self.type != "numeric":
            raise ValueError(f"convert is said of a numeric column, this one is {self.type}")
        clash = next((pair for pair in combinations(self.convert, 2) if pair[0].clashes(pair[1])), None)
        if clash:
            raise ValueError(f"convert: from {clash[0].from_unit} and from {clash[1].from_unit} want the same cells")
        return self

    @model_validator(mode="after")
    def _spells(self) -> Self:
        if self.spellings and self.type not in ("categorical", "ordinal"):
            raise ValueError(f"spellings are said of a categorical or ordinal column, this one is {self.type}")
        levels = self.levels or tuple(self.spellings)
        unknown = sorted(set(self.spellings) - set(levels))
        if unknown:
            raise ValueError(f"spellings: {unknown[0]} is none of the levels{nearest(unknown[0], levels)}")
        ways = [way for written in self.spellings.values() for way in written]
        twice = sorted({way for way in ways if ways.count(way) > 1 or way in levels})
        if twice:
            raise ValueError(f"spellings: {twice[0]} is written twice, or is a level itself")
        return self

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.type == "ordinal" and not self.levels:
            raise ValueError("an ordinal column names its levels, lowest first: levels: [low, middle, high]")
        if self.range and self.range[0] is not None and self.range[1] is not None and self.range[0] > self.range[1]:
            raise ValueError(f"range [{self.range[0]}, {self.range[1]}] is upside down")
        return self


class Condition(Frozen):
    """Rows that belong to the cohort: `min`/`max` (both included) on numbers, `among` on texts.

    `most` keeps at most so many rows of a level, {yes: 150}, drawn by a hash of their ids; levels not named all stay.
    """

    min: Bound = None
    max: Bound = None
    among: tuple[Text, ...] = ()
    most: dict[str, Annotated[int, Field(ge=1)]] = Field(default={})

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        kinds = [bool(self.among), bool(self.most), self.min is not None or self.max is not None]
        if sum(kinds) > 1:
            raise ValueError("a condition is one of: min and max on numbers, among, most")
        return self


class Protection(Frozen):
    """What becomes of a column that may identify people, at ingest and in new rows; exactly one of these.

    drop: the column goes no further.
    hash: HMAC-SHA256 under the workspace's key, so that equal values stay equal and cannot be found by guessing.
    shift_dates: all dates of a patient move by the same number of days, at most this many either way, never 0.
    generalise: the first characters of a code (3 of a ZIP code), or `year`: the first of January stands for the year.
    bin: numbers are rounded down to a multiple of this width.
    cap: whole units above this one read as the next: ages over 89 as 90.
    redact: in a column of type text, what can be told by its form to identify reads [date], [name] …
    keep: the reason why the column stays as it is.
    Blank cells and the column's own missing codes stay; bin and cap leave what lies outside its range outside.
    """

    drop: Literal[True] | None = None
    hash: Literal[True] | None = None
    shift_dates: Annotated[int, Field(strict=True, ge=1, le=3650)] | None = None
    generalise: Annotated[int, Field(strict=True, ge=1, le=10)] | Literal["year"] | None = None
    bin: Annotated[float, Field(strict=True, gt=0)] | None = None
    cap: Annotated[float, Field(strict=True)] | None = None
    redact: Literal[True] | None = None
    keep: Annotated[str, Field(min_length=3)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, value: object) -> object:
        """`drop` means {drop: true}, and shift_dates: true half a year either way."""
        spelled = {value: True} if isinstance(value, str) else value
        if not isinstance(spelled, dict):
            raise ValueError("drop, hash, shift_dates, redact, or a mapping such as {cap: 89} was expected")
        unknown = [str(key) for key in spelled if key not in cls.model_fields]
        if unknown:
            known = ", ".join(cls.model_fields)
            raise ValueError(f"unknown treatment {unknown[0]}{nearest(unknown[0], cls.model_fields)}; one of: {known}")
        if spelled.get("keep") is True:
            raise ValueError("keep says why: {keep: all patients are of one ward}")
        return {**spelled, "shift_dates": 182} if spelled.get("shift_dates") is True else spelled

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError(f"one treatment a column, of: {', '.join(type(self).model_fields)}")
        return self

    @property
    def how(self) -> str:
        """The treatment's name."""
        return next(iter(self.model_dump(exclude_none=True)))


class Study(Frozen):
    """A study's declaration; its settings sections are read beside it.

    `id` names the sample's column (None: the row's number), `group` the patient's (None: the id),
    `time` the moment of the sample. `drop` maps a column that is not used to the reason why, `protect` one that may
    identify people to what becomes of it.
    """

    name: str
    title: str
    id: str | None = None
    group: str | None = None
    time: str | None = None
    target: Target
    cohort: dict[str, Condition] = Field(default={})
    columns: dict[str, Column]
    drop: dict[str, str] = Field(default={})
    protect: dict[str, Protection] = Field(default={})

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        for name in (*self.columns, *self.drop):
            if name.startswith("@"):
                raise ValueError(f"column {name}: names that begin with @ are medloop's own")
        label = self.columns.get(self.target.column)
        task, named = self.target.task, self.target.columns or (self.target.event or self.target.column,)
        if task in ("regression", "survival") and label and label.type != "numeric":
            of = "a regression" if task == "regression" else task
            raise ValueError(f"the label {self.target.column} of {of} is numeric, and declared {label.type}")
        if task == "forecasting":
            _refuse_unknown_channel(self.target, label)
        if task == "tagging":
            _refuse_other_texts(self.columns, self.protect, self.target)
        for name in [name for name in named if name in self.columns]:
            strange = sorted(set(self.columns[name].spellings) - set(self.target.classes))
            if strange:
                raise ValueError(f"spellings of the label {name}: {strange[0]} is none of its classes")
        both = sorted(set(self.columns) & set(self.drop))
        if both:
            raise ValueError(f"declared and dropped at once: {both}")
        used = [self.id, self.group, self.time, *self.cohort, *self.unit_columns()]
        unknown = sorted({c for c in used if c} - self.known())
        if unknown:
            raise ValueError(f"named but not declared under columns: {unknown}")
        return self

    @model_validator(mode="after")
    def _protectable(self) -> Self:
        roles = {c for c in (self.id, self.group, self.time, *self.cohort, *self.unit_columns()) if c}
        needed = sorted({*roles, *self.target.read_from} & self.left_out())
        if needed:
            raise ValueError(
                f"dropped under protect, but used as id, group, time, target, in the cohort or by convert: {needed}"
            )
        unknown = sorted(set(self.protect) - self.left_out() - ({*self.columns, *roles} - {*self.target.read_from}))
        if unknown:
            raise ValueError(f"under protect, but no declared column, or the label: {unknown}")
        spans = {p.shift_dates for p in self.protect.values() if p.shift_dates}
        if len(spans) > 1:
            raise ValueError("all shift_dates of a study are the same number, since a patient's dates move together")
        if spans and not (self.group or self.id):
            raise ValueError("shift_dates moves all dates of a patient alike: name the patient's column as group")
        return self

    @property
    def tagged(self) -> str:
        """Of tagging, the column whose texts are tagged."""
        return next(name for name, column in self.columns.items() if column.type == "text")

    def left_out(self) -> set[str]:
        """The columns that go no further because they identify people."""
        return {name for name, protection in self.protect.items() if protection.drop}

    def unit_columns(self) -> set[str]:
        """The columns that say in which unit another is written."""
        return {rule.by for column in self.columns.values() for rule in column.convert if rule.by}

    def known(self) -> set[str]:
        """Every source column that the study has an opinion on."""
        roles = {c for c in (self.id, self.group) if c}
        return {*self.columns, *self.drop, *self.left_out(), *self.target.read_from, *roles}

    def features(self) -> dict[str, Column]:
        """The columns that a model may see: those declared, less label, id, patient and time."""
        label = () if self.target.task == "forecasting" else self.target.read_from
        others = {self.id, self.group, self.time, *label, *self.left_out()}
        return {name: column for name, column in self.columns.items() if name not in others}


def _refuse_other_texts(columns: dict[str, Column], protect: dict[str, Protection], target: Target) -> None:
    texts = [name for name, column in columns.items() if column.type == "text" and name != target.column]
    if len(texts) != 1:
        raise ValueError(f"tagging is of one column of type text; declared are {', '.join(texts) or 'none'}")
    if target.column in columns:
        raise ValueError(f"the spans of {target.column} are read as they are; take it out of columns")
    treated = protect.get(texts[0])
    if treated and not treated.keep:
        raise ValueError(
            f"protect.{texts[0]}: {treated.how} changes the text whose characters are counted in {target.column}; "
            "do it before spans are set, and say keep here, with the reason"
        )


def _refuse_unknown_channel(target: Target, column: Column | None) -> None:
    if column is None or column.type != "sequence":
        raise ValueError(f"a forecast is of a column of type sequence; declare {target.column}: {{type: sequence}}")
    if column.channels and target.channel not in column.channels:
        raise ValueError(
            f"the sequences of {target.column} have no channel {target.channel}"
            f"{nearest(str(target.channel), column.channels)}; declared are {', '.join(column.channels)}"
        )
