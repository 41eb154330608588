"""`medloop promote` and `medloop rollback`: what a person is told, and who is notified."""

from pathlib import Path

from flows import console, notifying, promotion, servers, tracking
from flows.home import find_root
from flows.notices import Notice


def promote_version(study: str, number: str | None, why: str) -> None:
    """`medloop promote`."""
    root = find_root()
    servers.prepare_environment(root)
    with tracking.answering(root):
        chosen, before = promotion.promote(root, study, number, why)
    if before is None:
        console.console.print(
            f"{study} version {chosen.number} ({chosen.model}) is the champion already, and that is on record."
        )
        return
    then = f", after version {before}" if before else ""
    console.console.print(f"[green]✓[/] {study} version {chosen.number} ({chosen.model}) is the champion{then}.")
    if before:
        console.show_facts({"back": f"medloop rollback {study}"})
    _tell(
        root,
        study,
        f"{promotion.who()} made version {chosen.number} ({chosen.model}) the champion{then}.",
        f"medloop rollback {study}",
    )


def _tell(root: Path, study: str, what: str, back: str) -> None:
    notifying.tell(root, Notice(kind="promoted", study=study, what=what, next=back))


def roll_back(study: str, why: str) -> None:
    """`medloop rollback`."""
    root = find_root()
    servers.prepare_environment(root)
    with tracking.answering(root):
        chosen, left = promotion.rollback(root, study, why)
    back = f"version {chosen.number} ({chosen.model}) is the champion again"
    console.console.print(f"[green]✓[/] {study} {back}, not version {left}.")
    told = f"{promotion.who()} took version {left} back: {back}."
    _tell(root, study, told, f"medloop promote {study} {left}")
