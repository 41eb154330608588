"""`medloop card`: a model card and the TRIPOD+AI checklist, drafted from what a run recorded."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.errors import MedloopError
from contracts.study import Study
from contracts.tasks import Task
from flows import console, servers, tracking
from flows.board.participants import Participants, participants
from flows.comparing import runs
from flows.comparing.assemble import groups_of
from flows.comparing.recipes import with_params
from flows.comparing.rows import Judged, load
from flows.comparing.training import training
from flows.home import find_root
from flows.store import read_json, read_model, write_text
from pipelines.card import Facts, known_share, markdown, page
from pipelines.figures import FIGURES
from pipelines.tasks import METRICS


def facts(root: Path, reference: str) -> Facts:
    """What is recorded of the one run that `reference` names. Raises MedloopError when it names none, or several."""
    run = runs.one(root, reference)
    judged = load(root, run)
    said = {name: str(value) for name, value in with_params(root, [run])[run.name].items()}
    study = read_model(judged.files.paths("ingest", ["declaration.json"])["declaration.json"], Study)
    flow = _flow(judged)
    trained = training(root, judged.files)
    evaluation = judged.entry.evaluation
    told, metric = groups_of(root, judged)
    groups = told.groups if told else ()
    model = _read(judged, "train", "model/model.json")
    return Facts(
        title=study.title,
        study=run.study,
        model=run.model,
        family=trained.family,
        run=f"run {run.key} (MLflow {run.run_id})" if run.run_id else "the present results of the working tree",
        revision=f"Commit {judged.files.revision}." if judged.files.revision else "Not pinned by a commit yet.",
        when=f"{datetime.fromtimestamp(run.started / 1000, UTC):%Y-%m-%d %H:%M} UTC" if run.started else "now",
        source=_source(_read(judged, "ingest", "provenance.json")),
        question=_question(study),
        cohort=_cohort(study),
        predictors=tuple(f"{name}{f' ({of.unit})' if of.unit else ''}" for name, of in judged.schema.features.items()),
        protected=_protected(study),
        read=f"{flow.read:,} rows read, {flow.gone:,} left out, {flow.samples:,} kept of {flow.patients:,} patients.",
        flow=tuple((why, f"{rows:,}") for why, rows in flow.left),
        parts=_parts(flow, said),
        gaps=_gaps(said),
        scaling=f"Numbers: {said.get('normalize.numeric', '–')}; levels: {said.get('normalize.categorical', '–')}; "
        "fitted on training rows only.",
        balance=f"Imbalance: {said.get('balance.method', 'none')}, in training rows only.",
        training=_training(run.model, said, trained.epochs),
        threshold=_threshold(model, said),
        calibration=_calibration(evaluation, model),
        numbers="" if trained.numbers is None else f"It holds {trained.numbers:,} numbers.",
        answer=FIGURES[evaluation.task].answer(evaluation),
        metrics=tuple((METRICS[name].label, str(value)) for name, value in evaluation.metrics.items()),
        metric=METRICS[metric].label,
        groups=tuple((f"{of.column} {of.name}", f"{of.rows:,}", str(of.values[run.name])) for of in groups),
        certificate=f"Leak certificate {judged.certificate.verdict}: {judged.certificate.sentence}.",
        reproduce=f"medloop reproduce {run.key}/{run.model} runs it again." if run.key else "",
        software=_software(run.tags, model),
    )  # fmt: skip


def _read(of: Judged, stage: str, name: str) -> Any:
    found = of.files.paths(stage, [name])
    return read_json(found[name]) if found else {}


def _flow(of: Judged) -> Participants:
    return participants(
        _read(of, "ingest", "provenance.json"),
        _read(of, "clean", "ledger.json"),
        of.certificate.model_dump(mode="json"),
        _read(of, "balance", "report.json"),
    )


def _source(provenance: Mapping[str, Any]) -> str:
    named = [str(provenance[key]) for key in ("kind", "name", "version", "member", "path") if provenance.get(key)]
    digest = str(provenance.get("sha256") or "")[:16]
    return f"Source: {' '.join(named) or 'as the study declares it'}{f', SHA-256 {digest}…' if digest else ''}."


def _question(study: Study) -> str:
    target, column = study.target, study.columns.get(study.target.column)
    name, unit, classes = target.column, (column.unit or "") if column else "", ", ".join(target.classes)
    told: dict[Task, str] = {
        "classes": f"Predicts {name}: {classes}" + f"; positive is “{target.positive}”" * bool(target.positive),
        "ordinal": f"Predicts {name}, in order: {classes}",
        "regression": f"Predicts {name}, a number{f' in {unit}' if unit else ''}",
        "survival": f"Predicts {name}, the time until {target.event} is “{target.positive}”, and the risk of that by "
        f"{target.horizon or 0:g} {unit}".rstrip(),
        "multilabel": f"Predicts which of these are “{target.positive}”: {', '.join(target.columns)}",
        "forecasting": f"Predicts the next {target.horizon or 0:g} values of {target.channel} in {name}",
        "tagging": f"Finds where texts name what, and tells which of these it is: {classes}",
    }
    return f"{told[target.task]}."


def _cohort(study: Study) -> str:
    told = []
    for name, of in study.cohort.items():
        said = of.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
        told.append(f"{name} {', '.join(f'{key} {_plain(value)}' for key, value in said.items())}")
    return f"Cohort: {'; '.join(told)}." if told else "Cohort: all rows."


def _plain(value: object) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)


def _protected(study: Study) -> str:
    told = [f"{name} ({of.how})" for name, of in study.protect.items()]
    return f"Columns that may identify people: {', '.join(told)}." if told else ""


def _parts(flow: Participants, said: Mapping[str, str]) -> str:
    parts = ", ".join(f"{part.name.lower()} {part.rows:,}" for part in flow.parts)
    return f"Rows by part: {parts}; split by patient ({said.get('split.method', 'as declared')})."


def _gaps(said: Mapping[str, str]) -> str:
    kinds = ("numeric", "categorical", "ordinal", "datetime", "sequence")
    told = [f"{kind}: {said[f'impute.{kind}']}" for kind in kinds if f"impute.{kind}" in said]
    marks = "; gaps are marked by columns of their own" if said.get("impute.indicators") == "true" else ""
    return f"Gaps are filled by {', '.join(told)}{marks}; learnt from training rows only." if told else ""


def _training(model: str, said: Mapping[str, str], epochs: str) -> str:
    """What shaped the training; the loop's settings only where there were epochs."""
    loop = ("optimizer", "learning_rate", "batch_size", "loss") if epochs else ()
    keys = [f"train.{key}" for key in (*loop, "seed")]
    own = [key for key in said if key.startswith(f"{model}.")]
    told = [f"{key.partition('.')[2].replace('_', ' ')} {said[key]}" for key in (*keys, *own) if key in said]
    chosen = f"; epoch {epochs} was kept, by the validation rows" if epochs else ""
    return f"Trained with {', '.join(told)}{chosen}." if told else ""


def _threshold(model: Mapping[str, Any], said: Mapping[str, str]) -> str:
    value = model.get("threshold")
    if not isinstance(value, float):
        return ""
    by = said.get("train.threshold")
    return f"Threshold {value:.3f}, chosen on validation rows{f' by {by}' if by and by != 'null' else ''}."


def _calibration(evaluation: Any, model: Mapping[str, Any]) -> str:
    told = getattr(evaluation, "calibration", None)
    verdict = getattr(told, "verdict", "")
    how = (model.get("calibration") or {}).get("method", "none")
    return f"Recalibration: {how}. Probabilities are {verdict}." if verdict else ""


def _software(tags: Mapping[str, str], model: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in (model.get("versions") or {}).items())
    lock = tags.get("medloop.environment_sha256", "")[:16]
    return f"Software: {versions or 'as locked'}{f'; lock {lock}…' if lock else ''}."


def draw_card(reference: str, html: Path | None, text: Path | None) -> None:
    """`medloop card`: the draft in the terminal, or as files."""
    root = find_root()
    servers.prepare_environment(root)
    for path in (html, text):
        if path and not path.resolve().parent.is_dir():
            raise MedloopError("there is no such folder", where=str(path.resolve().parent), mend="make it first")
    with tracking.answering(root), console.console.status("drafting"):
        known = facts(root, reference)
    for path, write in ((html, page), (text, markdown)):
        if path:
            write_text(path, write(known))
            console.console.print(f"[green]✓[/] {path}")
    if not html and not text:
        console.console.print(markdown(known), markup=False, soft_wrap=True)
    told = ", ".join(f"{count} {what}" for what, count in known_share(known).items())
    console.show_facts({"TRIPOD+AI": f"of 27 items {told}; what a person must fill in is marked"})
