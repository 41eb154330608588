"""What the terminal shows: stages as they go, the leaderboard, faults. The answer first, plainly."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from rich.table import Table
from rich.text import Text

from contracts.errors import MedloopError

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
MARKS = {"ran": "[green]✓[/]", "restored": "[cyan]↺[/]", "unchanged": "[dim]·[/]", "failed": "[red]✗[/]"}


class Watcher:
    """Shows a run: one line a finished stage, and beneath what goes on now."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._doing: dict[str, str] = {}
        self.heed: Callable[[str], None] | None = None  # is told as well, and may raise StoppedError

    @contextmanager
    def live(self) -> Iterator["Watcher"]:
        """Draws while the block runs; nothing moves where the output is no terminal."""
        if not console.is_terminal:
            yield self
            return
        with console.status("starting") as self._status:
            yield self

    def start(self, name: str) -> None:
        """A stage begins."""
        self.tell(name, "")

    def tell(self, name: str, text: str) -> None:
        """What a stage does now."""
        self._doing[name] = text
        self._draw()
        if self.heed:
            self.heed(text)

    def _draw(self) -> None:
        if self._status:
            self._status.update(Text("   ".join(f"{name} {text}" for name, text in list(self._doing.items()))))

    def end(self, name: str, state: str, summary: str, seconds: float) -> None:
        """A stage has ended. Unchanged ones are not worth a line."""
        self._doing.pop(name, None)
        self._draw()
        if state == "unchanged":
            return
        said = summary if state != "failed" else "failed"
        line = Text.from_markup(f"{MARKS[state]} ")
        line.append(f"{name:<30} ", style="bold").append(f"{seconds:6.1f} s  ", style="dim").append(said)
        console.print(line, soft_wrap=True)


def warn(text: str) -> None:
    """Something that is no reason to stop."""
    errors.print(Text("! ", style="yellow").append(text, style="default"), soft_wrap=True)


def show_fault(error: MedloopError) -> None:
    """What is wrong, where, and how to mend it."""
    body = Text(error.problem)
    for label, text in (("where", error.where), ("mend", error.mend)):
        if text:
            body.append(f"\n{label:<6} ", style="bold").append(text)
    errors.print(Panel(body, title="medloop stopped", border_style="red", title_align="left"))


def show_leaderboard(verdict: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The verdict, then the models with as many metrics as the terminal is wide; the page has them all."""
    console.print()
    console.print(Text(verdict, style="bold"))
    console.print()
    show_table(header, rows, 2)
    console.print()


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> None:
    """As many columns as the terminal is wide, the first `texts` of them to the left.

    Where but one would fit beside these, cells go on in another line after a comma.
    """
    lines = [list(header), *map(list, rows)]
    shown = _fitting(lines)
    if shown <= texts + 1 < len(header):
        lines = [[cell.replace(", ", ",\n") if i >= texts else cell for i, cell in enumerate(line)] for line in lines]
        shown = _fitting(lines)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for i, name in enumerate(lines[0][:shown]):
        table.add_column(name, justify="left" if i < texts else "right", no_wrap=True)
    for line in lines[1:]:
        table.add_row(*map(Text, line[:shown]))
    console.print(table)


def _fitting(lines: Sequence[Sequence[str]]) -> int:
    """How many columns fit, two blanks after each."""
    widths = [max(len(part) for cell in column for part in cell.split("\n")) + 2 for column in zip(*lines, strict=True)]
    return sum(sum(widths[: i + 1]) <= max(console.width, 80) for i in range(len(widths)))


def show_stale(name: str, reasons: Sequence[str], most: int = 3) -> None:
    """A stage that is stale, and why."""
    shown = "; ".join(reasons[:most]) + (f"; and {len(reasons) - most} more" if len(reasons) > most else "")
    line = Text("stale ", style="yellow").append(f"{name:<30} ", style="bold").append(shown, style="default")
    console.print(line, soft_wrap=True)


def show_facts(facts: Mapping[str, Any]) -> None:
    """Short labelled lines."""
    for label, value in facts.items():
        console.print(Text(f"{label:<13} ", style="dim").append(str(value), style="default"), soft_wrap=True)
