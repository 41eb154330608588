"""`medloop retrain`: the same recipe on today's data, and whether what comes out takes the champion's place."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from contracts.errors import SchemaError
from contracts.tables import Schema
from flows import (
    commands,
    console,
    drift,
    journal,
    notifying,
    outcome,
    promotion,
    servers,
    tracking,
    workers,
    workspace,
)
from flows.champion import Compared, compared, same_schema
from flows.home import data_folder, find_root, scratch
from flows.journal import Journal
from flows.notices import Kind, Notice
from flows.plan import unheard
from flows.promotion import Version, What
from flows.settings import Settings
from flows.store import read_json, read_model, write_json
from flows.studies import default_study
from flows.verdict import Gate, Side, Verdict, evidence, show
from pipelines.gate import Criterion, Outcome, decided, source_changed

EXIT_CODES = {"promoted": 0, "first": 0, "nothing new": 0, "kept": 3, "asks": 4, "blocked": 5}


def retrain(root: Path, name: str) -> Gate | None:
    """Brings the study up to date and judges what came out beside the champion; None for a study's first champion.

    The workspace must be held (`journal.sole_run`). Raises MedloopError when a stage fails, MLflow does not answer, or
    no fair comparison can be made; the champion then stays.
    """
    with tracking.answering(root), scratch(root) as own:
        settings = commands.settings_of(root, [name])
        champion = promotion.champion(tracking.client(root), name)
        if champion is None:
            _bring(root, name, settings)
            return None
        folder = promotion.fetched(root, champion, own)
        schema = _schema_kept(root, name, settings, folder)
        if schema.state == "failed":
            key = f"blocked-{hashlib.sha256(schema.sentence.encode()).hexdigest()[:12]}"
            found = Compared(criteria=[schema], differences={})
            return _conclude(root, settings[name], champion, None, found, key)
        if not _gave(root, name, champion):
            drift.watched(root, settings[name], champion, folder)
        _bring(root, name, settings)
        return _judge(root, settings[name], champion, folder)


def _schema_kept(root: Path, name: str, settings: Mapping[str, Settings], folder: Path) -> Criterion:
    """Whether today's cleaned rows are such as the champion takes; a source with other columns gives none."""
    try:
        drift.bring_samples(root, name, settings)
    except SchemaError as error:
        return source_changed(read_model(folder / "schema.json", Schema), error.new, error.gone)
    kept: Criterion = workers.call("the schema", _schema, root, name, folder, say=unheard)
    return kept


def _schema(root: Path, name: str, folder: Path, say: object) -> Criterion:
    return same_schema(root, name, folder)


def _bring(root: Path, name: str, settings: Mapping[str, Settings]) -> None:
    """Runs and records what is not yet."""
    plan = workspace.plan(root, [name])
    if any(stage.stale for stage in plan) or not journal.is_recorded(root, name, plan[-1].outputs):
        commands.run_stale(root, [name], plan, settings, journal.Stopwatch())


def _gave(root: Path, name: str, champion: Version) -> bool:
    """Whether the champion is what today's data and settings gave."""
    plan = workspace.plan(root, [name])
    known = (run.mlflow_runs for run in journal.all_journals(root) if run.recorded.get(name) == plan[-1].outputs)
    return not any(stage.stale for stage in plan) and any(champion.run_id in runs.values() for runs in known)


def _judge(root: Path, settings: Settings, champion: Version, folder: Path) -> Gate:
    name = settings.name
    model = str(read_json(data_folder(root, name, "compare") / "leaderboard.json")["choice"])
    run = _recorded(root, name)
    challenger = _side(root, name, run.mlflow_runs[f"{name}/{model}"], model)
    if challenger.run_id == champion.run_id:
        return Gate(
            study=name,
            verdict="nothing new",
            sentence=f"Nothing new: version {champion.number} ({model}), the champion, is what today's data give.",
            key=run.key,
            decided=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S+00:00}",
            champion=_as_side(champion),
            params=settings.gate,
        )
    workspace.make_whole(root, [stage.name for stage in workspace.plan(root, [name])])
    with console.console.status("comparing with the champion"):
        found = workers.call(
            "the comparison", compared, root, name, model, folder, promotion.pins(root, champion), say=unheard
        )
    found.criteria.extend(_served_before(root, name, challenger))
    return _conclude(root, settings, champion, challenger, found, run.key)


def _served_before(root: Path, study: str, challenger: Side) -> list[Criterion]:
    """What a person took back, no gate puts in place again; what was champion once and gave way, none by itself."""
    known = promotion.decisions(tracking.client(root), study, challenger.version) if challenger.version else []
    last = next((one for one in reversed(known) if one["what"] in ("promoted", "rolled back")), None)
    if last is None:
        return []
    if last["what"] == "promoted":
        told = f"{challenger} was champion from {last['when'][:10]} on and gave way to another"
        return [Criterion(name="history", state="open", sentence=told, evidence=last)]
    told = f"{challenger} was rolled back by {last['who']} on {last['when'][:10]}: {last['why'] or 'no reason given'}"
    return [Criterion(name="history", state="failed", sentence=told, evidence=last)]


def _recorded(root: Path, study: str) -> Journal:
    """The run that recorded what the study's stages last wrote."""
    run = journal.recorded(root, study, workspace.plan(root, [study])[-1].outputs)
    assert run, "it was brought and recorded a moment ago"
    return run


def _side(root: Path, study: str, run_id: str, model: str) -> Side:
    found = tracking.client(root).search_model_versions(f"name = '{study}' and run_id = '{run_id}'")
    return Side(version=str(found[0].version) if found else "", run_id=run_id, model=model)


def _as_side(version: Version) -> Side:
    return Side(version=version.number, run_id=version.run_id, model=version.model)


def _conclude(
    root: Path,
    settings: Settings,
    champion: Version,
    challenger: Side | None,
    found: Compared,
    key: str,
) -> Gate:
    """Decides, keeps the evidence, tells MLflow, and promotes where that is the decision; once for the same verdict."""
    outcome, of = decided(found.criteria, settings.gate), _as_side(champion)
    gate = Gate(
        study=settings.name,
        verdict=_VERDICTS[outcome],
        sentence=_sentence(outcome, found.criteria, of, challenger),
        key=key,
        decided=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S+00:00}",
        champion=of,
        challenger=challenger,
        criteria=tuple(found.criteria),
        rows=found.rows,
        differences={name: tuple(each) for name, each in found.differences.items()},
        params=settings.gate,
        next=_next(outcome, settings.name, challenger, found.criteria),
    )
    path = evidence(root, gate)
    if path.is_file():  # the same verdict on the same grounds; that it promoted may not have been told to the end
        gate = gate.model_copy(update={"decided": read_model(path, Gate).decided})
        if gate.verdict != "promoted":
            return gate
    with scratch(root) as folder:
        write_json(folder / path.name, gate)
        _tell(root, gate, folder / path.name)
    write_json(path, gate)
    if gate.verdict in _NOTICES:
        kind, after = _NOTICES[gate.verdict], gate.next.partition(",")[0].partition(";")[0]
        notifying.tell(root, Notice(kind=kind, study=gate.study, what=gate.sentence, next=after, key=gate.key))
    return gate


_VERDICTS: dict[Outcome, Verdict] = {"promote": "promoted", "ask": "asks", "keep": "kept", "blocked": "blocked"}
_NOTICES: dict[Verdict, Kind] = {"promoted": "promoted", "asks": "asks", "blocked": "asks"}
_DECISIONS: dict[Verdict, What] = {"asks": "asked", "kept": "kept", "blocked": "blocked"}


def _tell(root: Path, gate: Gate, path: Path) -> None:
    """MLflow holds the evidence with the challenger's run, and the decision with the version that it is of."""
    told = gate.challenger
    shown = {"verdict": gate.verdict, "file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    if told:
        tags = {"": f"{gate.verdict}, {gate.decided}", "_file": shown["file"], "_sha256": shown["sha256"]}
        tracking.attach(root, told.run_id, path, {f"medloop.gate{which}": text for which, text in tags.items()})
    if gate.verdict == "promoted" and told:
        promotion.promote(root, gate.study, told.version, gate.sentence, by="the gate", evidence=shown)
        return
    number = told.version if told and told.version else gate.champion.version
    mlflow, what = tracking.client(root), _DECISIONS[gate.verdict]
    promotion.record(mlflow, gate.study, number, what, gate.sentence, by="the gate", evidence=shown)


def _sentence(outcome: Outcome, criteria: Sequence[Criterion], champion: Side, challenger: Side | None) -> str:
    told = {
        "promote": f"Promoted: {challenger} takes the place of {champion}, the champion.",
        "ask": f"A person decides whether {challenger} takes the place of {champion}, the champion.",
        "keep": f"Kept: {champion} stays the champion, not {challenger}.",
        "blocked": f"Blocked: {champion} stays the champion.",
    }[outcome]
    against = [c for c in criteria if c.state == "failed"] or [c for c in criteria if c.state == "open"]
    shown = against or [c for c in criteria if c.name == "metric"]
    return " ".join([told, *(f"{c.sentence[:1].upper()}{c.sentence[1:]}." for c in shown)])


def _next(outcome: Outcome, study: str, challenger: Side | None, criteria: Sequence[Criterion]) -> str:
    """Nobody is advised to promote what failed."""
    if outcome == "promote":
        return f"medloop rollback {study}, should it not do"
    if challenger is None:
        meant = f"if the change is meant, declare it, medloop run {study}, then medloop promote {study}"
        return f"put the columns back; or, {meant}"
    failed = any(criterion.state == "failed" for criterion in criteria)
    return "" if failed or not challenger.version else f"medloop promote {study} {challenger.version}"


def retrain_by_hand(study: str | None) -> int:
    """`medloop retrain`, which notifies of its failure; that of a slot is told by what serves it."""
    root = find_root()
    name = study or default_study(root)
    with notifying.of_failure(root, name, f"medloop retrain {name}"):
        return retrain_study(name)


def retrain_study(study: str | None) -> int:
    """The verdict first, then each criterion with its evidence; the exit code."""
    root = find_root()
    servers.prepare_environment(root)
    name = study or default_study(root)
    with commands.alone(root):
        gate = retrain(root, name)
    if gate is None:
        return _first(root, name)
    show(root, gate)
    return EXIT_CODES[gate.verdict]


def _first(root: Path, name: str) -> int:
    outcome.show_result(root, name)
    if promotion.aliases(tracking.client(root), name):
        console.console.print(f"{name} had no champion to compare with; the first model registered is the champion.")
        return EXIT_CODES["first"]
    console.console.print(
        f"{name} has no champion: none of its models is registered, which takes a clean leak certificate."
    )
    return EXIT_CODES["blocked"]
