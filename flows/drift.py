"""`medloop drift`: whether today's data are still like those that the champion learnt from."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from flows import commands, console, events, journal, notifying, promotion, servers, tracking, workers, workspace
from flows.drift_rows import looked_at
from flows.faults import told
from flows.home import find_root, home, scratch
from flows.notices import Notice
from flows.plan import leading_to, unheard
from flows.promotion import Version
from flows.settings import Settings
from flows.store import read_model, write_json, write_text
from flows.studies import default_study
from pipelines.drift_page import HEAD, drift_page, lines
from pipelines.drift_report import Drift

EXIT_CODES = {"none": 0, "nothing new": 0, "drifted": 3, "too few": 4}
SHOWN = 10


def drift(root: Path, name: str, next_command: str = "") -> Drift | None:
    """Brings the study's samples up to date and compares them; None where it has no champion to compare with.

    The workspace must be held (`journal.sole_run`). For `next_command` see `look`. Raises MedloopError when a stage
    fails, MLflow does not answer, or this clone has not the commit that pins the champion's run.
    """
    with tracking.answering(root), scratch(root) as own:
        settings = commands.settings_of(root, [name])
        champion = promotion.champion(tracking.client(root), name)
        if champion is None:
            return None
        folder = promotion.fetched(root, champion, own)
        bring_samples(root, name, settings)
        return look(root, settings[name], champion, folder, next_command)


def bring_samples(root: Path, name: str, settings: Mapping[str, Settings]) -> None:
    """Runs what is stale up to the study's cleaned samples."""
    plan = workspace.plan(root, [name])
    data = leading_to(plan, {stage.name for stage in plan if stage.arguments[:1] == ("clean",)})
    if any(stage.stale for stage in data):
        commands.run_stale(root, [name], data, settings, journal.Stopwatch(), records=False)


def watched(root: Path, settings: Settings, champion: Version, folder: Path) -> None:
    """The same beside a retraining, which goes on whatever comes of it."""
    try:
        found = look(root, settings, champion, folder, "")
    except Exception as error:
        console.warn(f"whether the data have drifted cannot be told: {told(error, doing='drift').problem}")
        return
    console.console.print(f"{'[yellow]![/]' if found.answer == 'drifted' else '[green]·[/]'} ", end="")
    console.console.print(found.sentence, markup=False, soft_wrap=True)


def look(root: Path, settings: Settings, champion: Version, folder: Path, next_command: str) -> Drift:
    """Compares, keeps what was found as a page and as JSON, and tells MLflow, Prefect and the team; all that once.

    next_command: what a person may do who is told of drift; nothing where it is done anyway.
    """
    name = settings.name
    called = f"version {champion.number} ({champion.model})"
    with console.console.status("comparing with what the champion learnt from"):
        pins = promotion.pins(root, champion)
        found: Drift = workers.call("drift", looked_at, root, name, called, champion.model, folder, pins, say=unheard)
    if found.answer == "nothing new":
        return found
    path = evidence(root, found)
    if path.is_file():
        return read_model(path, Drift)
    found = found.model_copy(update={"looked": datetime.now(UTC).isoformat(timespec="seconds")})
    write_text(path.with_suffix(".html"), drift_page(found, f"Drift: {settings.study.title}"))
    with scratch(root) as own:
        write_json(own / path.name, found)
        _record(root, found, champion, own / path.name, path.with_suffix(".html"))
    write_json(path, found)
    payload = {"answer": found.answer, "sentence": found.sentence, "champion": found.champion, "evidence": path.name}
    if found.answer == "drifted":
        notifying.tell(root, Notice(kind="drifted", study=name, what=found.sentence, next=next_command))
    events.emit(root, f"medloop.drift.{found.answer.replace(' ', '-')}", name, payload)
    return found


def evidence(root: Path, found: Drift) -> Path:
    """Where what was found is kept, its page beside it: the same comparison in the same file."""
    grounds = hashlib.sha256(found.model_copy(update={"looked": ""}).model_dump_json().encode()).hexdigest()
    return home(root) / "drift" / found.study / f"{grounds[:12]}.json"


def _record(root: Path, found: Drift, champion: Version, *files: Path) -> None:
    """A run of its own in the study's experiment, and a tag of the champion's that says what came of it last."""
    mlflow, when = tracking.client(root), found.looked
    tags = {
        "medloop.kind": "drift",
        "medloop.drift": found.answer,
        "medloop.champion": champion.number,
        "medloop.champion_run": champion.run_id,
        "mlflow.note.content": found.sentence,
    }
    run = tracking.open_run(mlflow, tracking.experiment_id(mlflow, root, found.study), f"drift {when[:16]}", tags)
    tracking.complete(mlflow, run, tracking.Content(metrics=_metrics(found), files=dict.fromkeys(files, "")))
    tracking.tag(root, champion.run_id, {"medloop.drift": f"{found.answer}, {when}: {found.sentence}"})


def _metrics(found: Drift) -> dict[str, float]:
    label = [found.label] if found.label else []
    moved = {f"psi/{one.column}": one.psi for one in (*found.columns, *label)}
    moved |= {f"psi/score {one.column}": one.psi for one in found.scores}
    if found.worth:
        moved |= {
            f"{found.worth.metric}_new_rows": found.worth.now.value,
            f"{found.worth.metric}_then": found.worth.then.value,
        }
    moved |= {"drifted": float(len(found.drifted)), "new_rows": float(found.now.rows)}
    return {re.sub(r"[^\w\-. /]", "_", name): value for name, value in moved.items() if value is not None}


def drift_study(study: str | None) -> int:
    """`medloop drift`: the answer first, then the columns that moved most; the exit code."""
    root = find_root()
    servers.prepare_environment(root)
    name = study or default_study(root)
    with commands.alone(root):
        found = drift(root, name, f"medloop retrain {name}")
    if found is None:
        console.console.print(f"{name} has no champion to compare with: medloop run {name} makes one.")
        return 0
    show(root, found)
    return EXIT_CODES[found.answer]


def show(root: Path, found: Drift) -> None:
    """The answer, then the furthest columns, and where the page is."""
    console.console.print(f"\n{found.sentence}\n", style="bold", markup=False, soft_wrap=True)
    if found.columns:
        console.show_table(HEAD, lines(found, SHOWN))
    if len(found.columns) > SHOWN:
        console.show_facts({"": f"and {len(found.columns) - SHOWN} columns more, which the page has"})
    if found.worth:
        said = f"{found.worth.label} {found.worth.now} on {found.worth.rows}, {found.worth.then} on its own test rows"
        console.show_facts({"champion": said})
    for note in found.notes:
        console.show_facts({"note": note})
    if found.answer != "nothing new":
        console.show_facts({"page": evidence(root, found).with_suffix(".html")})
    if found.answer == "drifted":
        console.show_facts({"next": f"medloop retrain {found.study}"})
