"""Tells a team what happened, by Prefect's notification blocks. One that cannot be sent never breaks a run."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError
from flows import console, workers
from flows.faults import told
from flows.home import find_root
from flows.journal import HeldError
from flows.notices import BLOCK, Notice, declared, filled
from flows.plan import Say, unheard
from flows.studies import default_study, refuse_unknown

PAUSES_S = (1.0, 4.0)  # before it is tried again
STYLES = {
    "failed": "failure",
    "late": "warning",
    "promoted": "success",
    "drifted": "warning",
    "asks": "info",
    "trial": "info",
}


def tell(root: Path, notice: Notice) -> None:
    """Sends it to where the study says, if it wants to hear of this kind; what does not arrive is told here, once."""
    try:
        params = declared(root, notice.study)
        problems = send(root, notice, params.to) if notice.kind in params.on else {}
    except Exception as error:
        console.warn(f"nobody could be notified: {told(error, doing='a notification').problem}")
        return
    for place, problem in problems.items():
        if problem:
            console.warn(f"{place} could not be notified: {problem}")


def send(root: Path, notice: Notice, places: tuple[str, ...]) -> dict[str, str]:
    """What went wrong by address as the settings write it; nothing where it arrived."""
    text = notice.text(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    problems = {}
    for place in dict.fromkeys(places):
        try:
            address = filled(place)
            workers.call("a notification", _sent, root, address, notice.subject, text, STYLES[notice.kind], say=unheard)
            problems[place] = ""
        except MedloopError as fault:
            problems[place] = fault.problem
    return problems


def _sent(root: Path, address: str, subject: str, text: str, style: str, say: Say) -> None:
    """In another process, since Prefect reads once, when it is imported, where its server is.

    Raises MedloopError where it does not arrive, without the address, which may be a secret.
    """
    from prefect.blocks.notifications import AppriseNotificationBlock
    from pydantic import SecretStr

    found = BLOCK.fullmatch(address)
    if found:
        block: Any = _block(root, found[1])
    else:
        block = AppriseNotificationBlock(url=SecretStr(address), notify_type=style)
        if not len(block._apprise_client):
            problem = "apprise knows no such address"
            raise MedloopError(problem, mend="https://github.com/caronc/apprise/wiki lists them")
    for pause in (*PAUSES_S, None):
        problem = _tried(block, subject, text)
        if not problem:
            return
        if pause is None:
            raise MedloopError(problem, mend="check the address, and that it can be reached from here")
        time.sleep(pause)


def _tried(block: Any, subject: str, text: str) -> str:
    """What went wrong, if anything: the kind of fault, for the log of a service may name its secrets."""
    from prefect.blocks.abstract import NotificationError

    try:
        with block.raise_on_failure():
            block.notify(text, subject)
    except NotificationError as error:
        status = [word for line in (error.log or "").splitlines() for word in line.split() if word.startswith("error=")]
        return f"it was refused ({status[-1].rstrip('.,')})" if status else "it could not be reached, or refused it"
    except Exception as error:
        return f"it failed ({type(error).__name__})"
    return ""


def _block(root: Path, name: str) -> Any:
    """A notification block that someone made in Prefect's pages."""
    from prefect.blocks.core import Block
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.deployments import known_address

    api = known_address(root)
    if not api:
        raise MedloopError("Prefect, which has the block, does not run", mend="medloop up")
    try:
        with temporary_settings({PREFECT_API_URL: api}):
            return asyncio.run(Block.aload(name))
    except ValueError:
        raise MedloopError(f"Prefect has no block {name}", mend="medloop ui, then Blocks") from None


@contextmanager
def of_failure(root: Path, study: str, next_command: str) -> Iterator[None]:
    """Tells of what the block raises, but for a workspace that is held."""
    try:
        yield
    except HeldError:
        raise
    except Exception as error:
        what = told(error, doing=f"the run of {study}").problem
        tell(root, Notice(kind="failed", study=study, what=f"The run failed: {what}", next=next_command))
        raise


def notify(study: str | None, *, test: bool) -> int:
    """`medloop notify`: whom a study tells of what; with `test`, sends a trial message. 1 where one did not arrive."""
    root = find_root()
    name = study or default_study(root)
    refuse_unknown(root, [name])
    params = declared(root, name)
    if not params.to:
        console.console.print(
            f"{name} notifies nobody. In params.yaml or the study: notify: {{to: ['${{TEAM_CHAT}}']}}"
        )
        return 1 if test else 0
    if not test:
        console.show_facts({"to": ", ".join(params.to), "on": ", ".join(params.on), "try it": "medloop notify --test"})
        return 0
    what = "This is a trial: medloop can reach you. No run was started."
    problems = send(root, Notice(kind="trial", study=name, what=what, next="medloop schedule"), params.to)
    for place, problem in problems.items():
        console.show_facts({f"{'✗' if problem else '✓'}": f"{place}{f': {problem}' if problem else ''}"})
    return int(any(problems.values()))
