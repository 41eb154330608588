"""Promotion and rollback: which registered version is the champion, and who decided that, and why.

MLflow's alias is the truth, and moving it is one call. The versions that were champions are a tag of the registered
model, written before the alias moves there: a version that the alias never reached is cut off when it is read.
"""

import getpass
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from contracts.errors import MedloopError
from contracts.names import check_name
from flows import bundle, journal, references, tracking
from flows.home import scratch
from flows.tracking import CHALLENGER, CHAMPION

What = Literal["promoted", "rolled back", "kept", "asked", "blocked"]
Grounds = tuple[str, str, str, str | None]
HISTORY, DECISION = "medloop.champions", "medloop.decision."
TIME = f"{DECISION}%Y%m%dT%H%M%S%fZ"  # of a decision: its tag


@dataclass(frozen=True, kw_only=True)
class Version:
    """A registered version, with what is told of the run that it came of."""

    number: str
    run_id: str
    tags: Mapping[str, str]

    @property
    def model(self) -> str:
        """The name that the study gives the model."""
        return self.tags.get("medloop.model", "")


def version(mlflow: Any, study: str, number: str) -> Version:
    """Raises MedloopError when there is none of this number."""
    known = {str(one.version): one for one in mlflow.search_model_versions(f"name = '{study}'")}
    if number not in known:
        there = ", ".join(sorted(known, key=int)) or "none"
        raise MedloopError(
            f"{study} has no registered version {number}",
            where="MLflow's registered models",
            mend=f"one of: {there}" if known else f"medloop run {study} registers one whose certificate is clean",
        )
    run_id = str(known[number].run_id)
    return Version(number=number, run_id=run_id, tags=mlflow.get_run(run_id).data.tags)


def aliases(mlflow: Any, study: str) -> dict[str, str]:
    """The version of each alias; empty where nothing of this name is registered."""
    found = mlflow.search_registered_models(f"name = '{study}'")
    return {name: str(number) for name, number in found[0].aliases.items()} if found else {}


def champion(mlflow: Any, study: str) -> Version | None:
    """The champion; None where there is none yet."""
    number = aliases(mlflow, study).get(CHAMPION)
    return version(mlflow, study, number) if number else None


def pins(root: Path, chosen: Version) -> list[str]:
    """The key and commits that pin runs which gave this very model: MLflow knows the first, journals those of here."""
    told = [chosen.tags.get(f"medloop.{what}", "") for what in ("run", "experiment")]
    own = [run.experiment for run in journal.all_journals(root) if chosen.run_id in run.mlflow_runs.values()]
    return list(dict.fromkeys(filter(None, [*told, *own])))


def history(mlflow: Any, study: str) -> list[str]:
    """The versions that were champions, the present one last."""
    registered = mlflow.get_registered_model(study)
    return up_to_now(json.loads(registered.tags.get(HISTORY, "[]")), str(registered.aliases[CHAMPION]))


def up_to_now(kept: Sequence[str], now: str) -> list[str]:
    """What was kept, cut off after the champion of now; one that was set by other hands is put at the end."""
    if now not in kept:
        return [*kept, now]
    last = len(kept) - 1 - list(reversed(kept)).index(now)
    return list(kept[: last + 1])


def promote(
    root: Path,
    study: str,
    number: str | None,
    why: str,
    *,
    by: str = "",
    evidence: Mapping[str, str] | None = None,
) -> tuple[Version, str | None]:
    """Makes a version, by default the challenger, the champion; it and the number of the one before.

    Given the champion itself, or none where there is no challenger, None is told, and nothing changed, but that what
    other hands did in MLflow's pages is put on record. Raises
    MedloopError for an unknown study or version, a certificate that is not clean, or files that are not those recorded.
    """
    mlflow = tracking.client(root)
    named = _known(mlflow, study)
    asked = number or named.get(CHALLENGER) or named.get(CHAMPION)
    if asked is None:
        raise MedloopError(f"{study} has no challenger", mend=f"name a version: medloop promote {study} VERSION")
    chosen = version(mlflow, study, asked)
    if named.get(CHAMPION) == asked:
        if not _on_record(mlflow, study, asked):
            _check(root, study, chosen)
            mlflow.set_registered_model_tag(study, HISTORY, json.dumps(history(mlflow, study)))
            record(mlflow, study, asked, "promoted", why, by=by, evidence=evidence or _gate(chosen))
        _clear_challenger(mlflow, study, asked)
        return chosen, None
    _check(root, study, chosen)
    before = history(mlflow, study) if CHAMPION in named else []
    mlflow.set_registered_model_tag(study, HISTORY, json.dumps([*before, asked]))
    record(mlflow, study, asked, "promoted", why, by=by, evidence=evidence or _gate(chosen))
    mlflow.set_registered_model_alias(study, CHAMPION, asked)
    _clear_challenger(mlflow, study, asked)
    return chosen, before[-1] if before else ""


def rollback(root: Path, study: str, why: str) -> tuple[Version, str]:
    """Makes the champion before this one the champion again; it and the number of the one that it replaces.

    Raises MedloopError for an unknown study, or when there is none before, or its files are not those recorded.
    """
    mlflow = tracking.client(root)
    before, now = _cut_short(mlflow, study) or _last_two(mlflow, study)
    chosen = version(mlflow, study, before)
    _check(root, study, chosen)
    record(mlflow, study, before, "promoted", f"version {now} was rolled back{': ' * bool(why)}{why}", newest=2)
    record(mlflow, study, now, "rolled back", why, newest=2)
    mlflow.set_registered_model_alias(study, CHAMPION, before)
    mlflow.set_registered_model_tag(study, HISTORY, json.dumps(history(mlflow, study)))
    _clear_challenger(mlflow, study, before)
    return chosen, now


def _cut_short(mlflow: Any, study: str) -> tuple[str, str] | None:
    """The same of a rollback that was killed when the alias had moved, and its history was not written yet."""
    now = _known(mlflow, study).get(CHAMPION, "")
    kept = json.loads(mlflow.get_registered_model(study).tags.get(HISTORY, "[]"))
    after = kept[len(up_to_now(kept, now)) :]
    last = [(number, grounds[0]) for number, grounds in _newest(_known_decisions(mlflow, study), 1)]
    return (now, after[0]) if after and last == [(after[0], "rolled back")] else None


def _last_two(mlflow: Any, study: str) -> tuple[str, str]:
    """The champion before this one, and this one."""
    known = history(mlflow, study) if CHAMPION in _known(mlflow, study) else []
    if len(known) < 2:
        first = (
            f"version {known[0]} is the first champion of {study} that is known" if known else "there is no champion"
        )
        raise MedloopError(
            f"{first}: there is none to go back to",
            where="MLflow's registered models",
            mend=f"medloop promote {study} VERSION",
        )
    return known[-2], known[-1]


def record(
    mlflow: Any,
    study: str,
    number: str,
    what: What,
    why: str,
    *,
    by: str = "",
    evidence: Mapping[str, str] | None = None,
    newest: int = 1,
) -> None:
    """Keeps a decision with the version that it is of: what, when, by whom, why, on which evidence.

    One that is among the newest so many of the study was cut short before it was carried out, and is kept once.
    """
    when = datetime.now(UTC)
    said: dict[str, Any] = {"what": what, "when": when.isoformat(timespec="seconds"), "who": by or who(), "why": why}
    said["evidence"] = dict(evidence or {})
    known = _known_decisions(mlflow, study)
    if (number, _grounds(said)) not in _newest(known, newest):
        last = datetime.strptime(known[0][0], TIME) if known else when
        at = max(when, last.replace(tzinfo=UTC) + timedelta(microseconds=1))  # a clock may have been set back
        mlflow.set_model_version_tag(study, number, f"{at:{TIME}}", json.dumps(said, ensure_ascii=False))


def _known_decisions(mlflow: Any, study: str) -> list[tuple[str, str, str]]:
    """The tag, the version and what is told of each of the study's decisions, the newest first."""
    versions = mlflow.search_model_versions(f"name = '{study}'")
    tags = [(key, str(one.version), told) for one in versions for key, told in one.tags.items()]
    return sorted((tag for tag in tags if tag[0].startswith(DECISION)), reverse=True)


def _newest(known: Sequence[tuple[str, str, str]], most: int) -> list[tuple[str, Grounds]]:
    """The version and the grounds of the newest decisions."""
    return [(number, _grounds(json.loads(told))) for _, number, told in known[:most]]


def _grounds(said: Mapping[str, Any]) -> Grounds:
    """What makes two decisions the same; of the evidence its name, which is made of what it says but for the time."""
    return said["what"], said["who"], said["why"], said["evidence"].get("file")


def decisions(mlflow: Any, study: str, number: str) -> list[dict[str, Any]]:
    """What was decided of a version, the latest last."""
    tags = mlflow.get_model_version(study, number).tags
    return [json.loads(tags[key]) for key in sorted(tags) if key.startswith(DECISION)]


def _on_record(mlflow: Any, study: str, number: str) -> bool:
    """Whether the last decision of a version is that it serves."""
    told = [one["what"] for one in decisions(mlflow, study, number) if one["what"] in ("promoted", "rolled back")]
    return told[-1:] == ["promoted"]


def _gate(chosen: Version) -> dict[str, str]:
    """What the gate said of it, for a person's decision rests on that."""
    names = {"gate": "medloop.gate", "file": "medloop.gate_file", "sha256": "medloop.gate_sha256"}
    return {name: chosen.tags[tag] for name, tag in names.items() if tag in chosen.tags}


def _known(mlflow: Any, study: str) -> dict[str, str]:
    """The study's aliases. Raises MedloopError when no model is registered for it."""
    found = aliases(mlflow, check_name(study, what="study"))
    if not found:
        raise MedloopError(
            f"no model of {study} is registered",
            where="MLflow's registered models",
            mend=f"medloop run {study}, which registers a model whose leak certificate is clean",
        )
    return found


def _check(root: Path, study: str, chosen: Version) -> None:
    """Raises MedloopError when a version must not serve."""
    where = f"{study} version {chosen.number}"
    verdict = chosen.tags.get("medloop.certificate", "absent")
    if verdict != "clean":
        raise MedloopError(
            f"a model whose leak certificate is {verdict} does not become champion",
            where=where,
            mend="mend the leak, or accept what is suspected with a reason (audit.accept), and run again",
        )
    with scratch(root) as folder:
        fetched(root, chosen, folder)


def fetched(root: Path, chosen: Version, folder: Path) -> Path:
    """A version's files. Raises MedloopError when they are not those that its run recorded."""
    found = references.fetch_model(root, chosen.run_id, folder)
    bundle.verify(found, f"version {chosen.number}, MLflow run {chosen.run_id}")
    recorded = chosen.tags.get("medloop.manifest_sha256")
    if bundle.seal(found) != recorded:
        told = "is not the one that its run recorded" if recorded else "was not recorded by its run"
        raise MedloopError(
            f"the model's manifest {told}, so nobody can tell whether its files are the run's",
            where=f"version {chosen.number}, MLflow run {chosen.run_id}",
            mend="do not use it; a later version takes its place by: medloop promote STUDY VERSION",
        )
    return found


def _clear_challenger(mlflow: Any, study: str, number: str) -> None:
    """A champion is no challenger."""
    if aliases(mlflow, study).get(CHALLENGER) == number:
        mlflow.delete_registered_model_alias(study, CHALLENGER)


def who() -> str:
    """The person at the keyboard."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
