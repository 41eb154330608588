"""Commands that look after the machine: `medloop doctor`, `gc`, `upkeep`, `restore`. Nothing heavy is imported here."""

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    *,
    mend: Annotated[bool, typer.Option("--mend", help="Mend what can be mended without loss.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Seconds: hash no object, ask nobody outside.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Hash every object of the cache, however long.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For a monitor.")] = False,
) -> None:
    """Look at everything and say how to mend what is wrong; ends with 1 where a person has to act."""
    from flows.doctor import examine

    raise typer.Exit(examine(quick=quick, everything=everything, mend=mend, as_json=as_json))


def gc(*, yes: Annotated[bool, typer.Option("--yes", help="Remove it; else it is only told.")] = False) -> None:
    """Say what may go from this machine by the policy in params.yaml, `keep`; remotes are left as they are."""
    from flows.collecting import collect

    collect(yes=yes)


def upkeep(note: Annotated[Path | None, typer.Option(hidden=True)] = None) -> None:
    """Back up and tidy the databases, remove what `medloop gc` would, begin large logs anew; serve does so nightly."""
    from flows.upkeep import keep_up, work

    work(note) if note else keep_up()


def restore(
    database: Annotated[str, typer.Argument(help="mlflow or prefect.")],
    backup: Annotated[str | None, typer.Argument(help="Its name in .medloop/backups; the newest by default.")] = None,
) -> None:
    """Put a backup in the place of MLflow's or Prefect's database, which is kept beside; ends the servers."""
    from flows.upkeep import restore_database

    restore_database(database, backup)
