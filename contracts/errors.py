"""The one error that a user may see, and the mask that keeps patient values out of it."""

from collections.abc import Sequence


class MedloopError(Exception):
    """A fault in data or settings, told so that it can be mended.

    Shown without a traceback. `problem` says what was expected and what came, `where` names the
    file, row and column, `mend` says what to do. None of them may hold a patient's value: use `masked`.
    """

    def __init__(self, problem: str, *, where: str = "", mend: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        parts = [self.problem]
        if self.where:
            parts.append(f"where: {self.where}")
        if self.mend:
            parts.append(f"mend: {self.mend}")
        return "\n".join(parts)


class SchemaError(MedloopError):
    """The source has other columns than the study declares: those it does not name, and those that are gone."""

    def __init__(
        self, problem: str, *, where: str = "", mend: str = "", new: Sequence[str] = (), gone: Sequence[str] = ()
    ) -> None:
        super().__init__(problem, where=where, mend=mend)
        self.new, self.gone = tuple(new), tuple(gone)


def masked(value: object) -> str:
    """The shape of a value: letters become x and digits 9, so `12,5 mg` reads `99,9 xx`."""
    shape = "".join("9" if c.isdigit() else "x" if c.isalpha() else c for c in str(value))
    return shape if len(shape) <= 24 else f"{shape[:20]}… ({len(shape)} characters)"


def listed(items: Sequence[object], most: int = 8) -> str:
    """`a, b, c and 5 more`: a list that stays short however long it is."""
    shown = ", ".join(str(item) for item in items[:most])
    rest = len(items) - most
    return f"{shown} and {rest} more" if rest > 0 else shown
