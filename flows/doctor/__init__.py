"""`medloop doctor`: everything looked at, and how to mend what is wrong."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from flows import journal, servers
from flows.console import console
from flows.doctor import installed, machine, repository, running, runs, slots, stored
from flows.doctor.finding import Asked, Finding, fault
from flows.faults import told
from flows.home import find_root

Check = Callable[[Path, Asked], Iterator[Finding]]
MARKS = {"well": "[green]✓[/]", "note": "[yellow]![/]", "fault": "[red]✗[/]"}


def _remote(root: Path, asked: Asked) -> Iterator[Finding]:
    yield stored.remote(root, asked)


def _prefect(root: Path, asked: Asked) -> Iterator[Finding]:
    ours = not servers.elsewhere("prefect") and servers.running(root, "prefect")
    if ours and not asked.quick and journal.holder(root, "run") is None:
        yield runs.in_prefect(root)


CHECKS: dict[str, Check] = {
    "the machine": machine.check,
    "what is installed": installed.check,
    "Git and the studies": repository.check,
    "what is stored": stored.check,
    "the remote": _remote,
    "the servers": running.check,
    "the runs": runs.check,
    "MLflow": runs.recorded,
    "Prefect": _prefect,
    "the schedules": slots.check,
}


def findings(root: Path, asked: Asked) -> Iterator[Finding]:
    """What every check found; one that breaks is itself a finding, and the others go on."""
    for name, check in CHECKS.items():
        asked.say(f"looking at {name}")
        try:
            yield from check(root, asked)
        except Exception as error:
            said = told(error, doing=f"looking at {name}")
            yield fault(
                name, f"{said.problem}{f' ({said.where})' if said.where else ''}", "a check that ends", said.mend
            )


def examine(*, quick: bool, everything: bool, mend: bool, as_json: bool) -> int:
    """`medloop doctor`: 0 where all is well, 1 where a person has to act."""
    root = find_root()
    servers.prepare_environment(root)
    with console.status("looking") as status:
        asked = Asked(quick=quick, everything=everything, say=status.update)
        found = list(findings(root, asked))
    mended = [_mended(one) for one in found] if mend else found
    if as_json:
        console.file.write(_json(mended) + "\n")
    else:
        show(mended)
    return int(any(one.state == "fault" for one in mended))


def _mended(one: Finding) -> Finding:
    if one.remedy is None:
        return one
    try:
        return Finding(check=one.check, state="note", found=f"mended: {one.remedy()}")
    except Exception as error:
        said = told(error, doing=f"mending {one.check}")
        return fault(
            one.check, f"{one.found}; it could not be mended: {said.problem}", one.expected, said.mend or one.mend
        )


def sentence(found: Sequence[Finding]) -> str:
    """The answer in a few words."""
    faults, notes = (sum(one.state == state for one in found) for state in ("fault", "note"))
    answer = {0: "All is well", 1: "1 thing needs you"}.get(faults, f"{faults} things need you")
    return f"{answer}{f'; {notes} to note' if notes else ''}."


def show(found: Sequence[Finding]) -> None:
    """The answer, what is wrong with how to mend it, what is worth a note, then all else."""
    console.print(Text(sentence(found), style="bold"))
    console.print()
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for state in ("fault", "note", "well"):
        for one in (one for one in found if one.state == state):
            table.add_row(MARKS[state], Text(one.check, style="bold" if state != "well" else ""), _told(one))
    console.print(table)


def _told(one: Finding) -> Group:
    facts = Table.grid(padding=(0, 2, 0, 0))
    for label, text in (("expected", one.expected), ("mend", one.mend)):
        if text:
            facts.add_row(Text(label, style="dim"), Text(text, style="cyan" if label == "mend" else "default"))
    found = Text(one.found, style="dim" if one.state == "well" else "")
    return Group(found, facts) if facts.rows else Group(found)


def _json(found: Sequence[Finding]) -> str:
    kept = ("check", "state", "found", "expected", "mend")
    told_of = [{key: getattr(one, key) for key in kept if getattr(one, key)} for one in found]
    return json.dumps({"answer": sentence(found), "findings": told_of}, indent=1, ensure_ascii=False)
