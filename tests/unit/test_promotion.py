"""Promotion and rollback against a registry in memory: history, records, refusals, crashes between two calls."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.errors import MedloopError
from flows import promotion, references, tracking
from flows.promotion import decisions, history, promote, rollback, up_to_now
from flows.retrain import Side, _served_before
from flows.store import write_json

MANIFEST = {"sha256": {"a.json": hashlib.sha256(b"{}").hexdigest()}}


class Registry:
    """What promotion asks of an MLflow client: versions 1 to 3 of `study`, each of the run of its number."""

    def __init__(self) -> None:
        self.aliases: dict[str, str] = {"champion": "1", "challenger": "2"}
        self.tags: dict[str, str] = {}
        self.of_version: dict[str, dict[str, str]] = {number: {} for number in "123"}
        self.certificates = dict.fromkeys("123", "clean")

    def search_registered_models(self, clause: str) -> list[Any]:
        return [SimpleNamespace(aliases=dict(self.aliases))] if clause == "name = 'study'" else []

    def get_registered_model(self, study: str) -> Any:
        return SimpleNamespace(tags=self.tags, aliases=self.aliases)

    def search_model_versions(self, clause: str) -> list[Any]:
        return [SimpleNamespace(version=n, run_id=f"run{n}", tags=tags) for n, tags in self.of_version.items()]

    def get_model_version(self, study: str, number: str) -> Any:
        return SimpleNamespace(tags=self.of_version[number])

    def get_run(self, run_id: str) -> Any:
        number = run_id[-1]
        sealed = hashlib.sha256(json.dumps(MANIFEST, sort_keys=True).encode()).hexdigest()
        tags = {
            "medloop.model": "mlp",
            "medloop.certificate": self.certificates[number],
            "medloop.manifest_sha256": sealed,
        }
        return SimpleNamespace(data=SimpleNamespace(tags=tags))

    def set_registered_model_tag(self, study: str, key: str, value: str) -> None:
        self.tags[key] = value

    def set_model_version_tag(self, study: str, number: str, key: str, value: str) -> None:
        self.of_version[number][key] = value

    def set_registered_model_alias(self, study: str, alias: str, number: str) -> None:
        self.aliases[alias] = number

    def delete_registered_model_alias(self, study: str, alias: str) -> None:
        del self.aliases[alias]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry()

    def fetch(root: Path, run_id: str, folder: Path) -> Path:
        (folder / "a.json").write_text("{}")
        write_json(folder / "manifest.json", MANIFEST)
        return folder

    monkeypatch.setattr(tracking, "client", lambda root: made)
    monkeypatch.setattr(references, "fetch_model", fetch)
    return made


def test_the_challenger_is_promoted_and_served_before_along_history(registry: Registry, tmp_path: Path) -> None:
    assert promote(tmp_path, "study", None, "better")[1] == "1"
    assert registry.aliases == {"champion": "2"}
    assert promote(tmp_path, "study", "3", "")[1] == "2"
    assert history(registry, "study") == ["1", "2", "3"]
    assert [rollback(tmp_path, "study", "alarms")[1] for _ in range(2)] == ["3", "2"]
    assert registry.aliases == {"champion": "1"}
    with pytest.raises(MedloopError, match="version 1 is the first champion of study that is known"):
        rollback(tmp_path, "study", "")


def test_every_decision_is_kept_with_who_when_and_why(registry: Registry, tmp_path: Path) -> None:
    promote(tmp_path, "study", None, "better", evidence={"file": "KEY.json"})
    rollback(tmp_path, "study", "alarms")
    first, second = decisions(registry, "study", "2")
    assert (first["what"], first["why"], first["evidence"]) == ("promoted", "better", {"file": "KEY.json"})
    assert (second["what"], second["why"]) == ("rolled back", "alarms")
    assert first["who"] and first["when"].startswith("20")
    (back,) = decisions(registry, "study", "1")
    assert (back["what"], back["why"]) == ("promoted", "version 2 was rolled back: alarms")


def test_the_same_again_changes_nothing(registry: Registry, tmp_path: Path) -> None:
    promote(tmp_path, "study", "2", "")
    kept = (dict(registry.aliases), dict(registry.tags), len(registry.of_version["2"]))
    for number in ("2", None):
        assert promote(tmp_path, "study", number, "")[1] is None
    assert (registry.aliases, registry.tags, len(registry.of_version["2"])) == kept


@pytest.mark.parametrize("verdict", ["suspect", "leak"])
def test_a_certificate_that_is_not_clean_is_refused(registry: Registry, tmp_path: Path, verdict: str) -> None:
    registry.certificates["2"] = verdict
    with pytest.raises(MedloopError, match=f"leak certificate is {verdict} does not become champion"):
        promote(tmp_path, "study", "2", "")
    assert registry.aliases["champion"] == "1" and not registry.tags


def test_files_that_were_changed_are_refused(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: Callable[..., Path] = references.fetch_model

    def damaged(root: Path, run_id: str, folder: Path) -> Path:
        whole(root, run_id, folder)
        (folder / "a.json").write_text("[]")
        return folder

    def forged(root: Path, run_id: str, folder: Path) -> Path:
        damaged(root, run_id, folder)
        write_json(folder / "manifest.json", {"sha256": {"a.json": hashlib.sha256(b"[]").hexdigest()}})
        return folder

    for fetch, said in ((damaged, "not those that were recorded: a.json"), (forged, "manifest is not the one")):
        monkeypatch.setattr(promotion.references, "fetch_model", fetch)
        with pytest.raises(MedloopError, match=said):
            promote(tmp_path, "study", "2", "")
    assert registry.aliases["champion"] == "1"


def test_unknown_names_are_told(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(MedloopError, match="no registered version 9") as stopped:
        promote(tmp_path, "study", "9", "")
    assert stopped.value.mend == "one of: 1, 2, 3"
    for call in (lambda: promote(tmp_path, "other", None, ""), lambda: rollback(tmp_path, "other", "")):
        with pytest.raises(MedloopError, match="no model of other is registered"):
            call()
    with pytest.raises(MedloopError, match="study name is made of"):
        promote(tmp_path, "../x", None, "")


def test_a_crash_before_the_alias_moved_leaves_no_false_history(registry: Registry, tmp_path: Path) -> None:
    registry.tags[promotion.HISTORY] = '["1", "2"]'  # 2 was to become champion, and the process ended
    assert history(registry, "study") == ["1"]
    promote(tmp_path, "study", "3", "")
    assert rollback(tmp_path, "study", "")[0].number == "1"


@pytest.mark.parametrize("calls", [1, 2, 3, 4])
def test_a_decision_that_a_crash_cut_short_is_kept_once(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """Killed in turn before each of the calls that change something: the same command again does what is left."""

    def interrupted(work: Callable[[], object]) -> None:
        left = calls

        def call(do: Callable[..., None], *given: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
            do(*given)

        with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
            for name in ("set_registered_model_tag", "set_model_version_tag", "set_registered_model_alias"):
                patched.setattr(registry, name, partial(call, getattr(registry, name)))
            work()
        if left <= 0:
            work()

    interrupted(lambda: promote(tmp_path, "study", "2", "better"))
    assert [one["what"] for one in decisions(registry, "study", "2")] == ["promoted"]
    promote(tmp_path, "study", "3", "better")
    promote(tmp_path, "study", "2", "better")
    assert len(decisions(registry, "study", "2")) == 2, "another has been champion since"
    interrupted(lambda: rollback(tmp_path, "study", "alarms"))
    assert [one["what"] for one in decisions(registry, "study", "2")][2:] == ["rolled back"]
    assert [one["what"] for one in decisions(registry, "study", "3")] == ["promoted", "promoted"]
    assert registry.aliases["champion"] == "3", "and not one further, though the alias had moved before the kill"
    assert rollback(tmp_path, "study", "alarms")[0].number == "2", "another one goes on"


def test_what_was_done_by_hand_in_mlflow_is_put_on_record_once(registry: Registry, tmp_path: Path) -> None:
    registry.aliases["champion"] = "2"
    for _ in range(2):
        assert promote(tmp_path, "study", "2", "better")[1] is None
    assert [(one["what"], one["why"]) for one in decisions(registry, "study", "2")] == [("promoted", "better")]
    registry.aliases["champion"] = "3"
    registry.certificates["3"] = "leak"
    with pytest.raises(MedloopError, match="leak certificate is leak"):
        promote(tmp_path, "study", "3", "")


def test_the_last_decision_is_the_last_though_the_clock_was_set_back(registry: Registry, tmp_path: Path) -> None:
    registry.of_version["1"]["medloop.decision.20990101T000000000000Z"] = json.dumps(
        {"what": "promoted", "when": "2099-01-01", "who": "they", "why": "", "evidence": {}}
    )
    promote(tmp_path, "study", "2", "better")
    rollback(tmp_path, "study", "alarms")
    assert [one["what"] for one in decisions(registry, "study", "1")] == ["promoted", "promoted"]
    assert [key for tags in registry.of_version.values() for key in tags if key < "medloop.decision.2099"] == []


def test_what_a_person_served_before_no_gate_promotes_again(registry: Registry, tmp_path: Path) -> None:
    challenger = Side(version="2", run_id="run2", model="mlp")
    assert _served_before(tmp_path, "study", challenger) == []
    promote(tmp_path, "study", "2", "")
    rollback(tmp_path, "study", "alarms")
    (criterion,) = _served_before(tmp_path, "study", challenger)
    assert criterion.state == "failed" and criterion.sentence.endswith(": alarms")
    promote(tmp_path, "study", "2", "a person changed their mind")
    promote(tmp_path, "study", "3", "")
    (criterion,) = _served_before(tmp_path, "study", challenger)
    assert criterion.state == "open", "it gave way to another: a person decides"


def test_history_follows_the_alias() -> None:
    assert up_to_now([], "1") == ["1"]
    assert up_to_now(["1", "2", "3"], "2") == ["1", "2"]
    assert up_to_now(["1", "2", "1"], "1") == ["1", "2", "1"]
    assert up_to_now(["1", "2"], "7") == ["1", "2", "7"], "set by other hands"
