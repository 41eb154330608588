"""Reads params.yaml and studies/NAME.yaml into frozen, typed settings; says which key is wrong and which was meant."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from contracts.errors import MedloopError, masked
from contracts.names import check_name, nearest
from contracts.study import Study
from flows.notices import NotifyParams
from flows.policy import SECTION as KEEP
from flows.schedule import SECTION as SCHEDULE
from flows.schedule import declared
from flows.studies import PARAMS, read_yaml, study_file, study_names
from flows.task_settings import refuse_unfit, suited, task_of
from models.params import TrainParams
from pipelines.audit import AuditParams
from pipelines.balance import BalanceParams
from pipelines.clean import CleanParams
from pipelines.compare import CompareParams
from pipelines.drift import DriftParams
from pipelines.explain import ExplainParams
from pipelines.gate import GateParams
from pipelines.impute import ImputeParams
from pipelines.ingest import IngestParams
from pipelines.normalize import NormalizeParams
from pipelines.results import EvaluateParams
from pipelines.sources import Source
from pipelines.split import SplitParams
from pipelines.validate import ValidateParams


class Settings(BaseModel):
    """A study's declaration and every stage's settings: params.yaml, overridden by the study's own file.

    `train` is checked and stays plain; `models` too, unchecked: their types lie beside torch, which is slow to import.
    A model may have a `train` of its own, whose values go before the study's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: Study
    source: Source
    ingest: IngestParams
    validation: ValidateParams = Field(alias="validate")
    clean: CleanParams
    split: SplitParams
    impute: ImputeParams
    normalize: NormalizeParams
    balance: BalanceParams
    audit: AuditParams
    train: dict[str, Any]
    models: dict[str, dict[str, Any]] = Field(min_length=1)
    explain: ExplainParams
    evaluate: EvaluateParams
    compare: CompareParams
    gate: GateParams
    drift: DriftParams
    notify: NotifyParams

    @model_validator(mode="after")
    def _groups(self) -> Self:
        columns = self.study.features()
        for name, cuts in self.gate.subgroups.items():
            kind = columns[name].type if name in columns else "no declared feature"
            if kind not in ("categorical", "ordinal", "numeric"):
                raise ValueError(f"gate.subgroups: {name} is {kind}{nearest(name, columns)}")
            if (kind == "numeric") != bool(cuts):
                wanted = "cut at numbers, {age: [40, 65]}" if kind == "numeric" else "not cut, {sex: []}"
                raise ValueError(f"gate.subgroups: {name} is {kind}, and so it is {wanted}")
        unknown = next((name for name in self.drift.leave_out if name not in columns), None)
        if unknown:
            raise ValueError(f"drift.leave_out: {unknown} is no declared feature{nearest(unknown, columns)}")
        return self

    @cached_property
    def name(self) -> str:
        """The study's name, which is its file's."""
        return self.study.name

    def training(self, model: str) -> dict[str, Any]:
        """How a model is trained: as the study says, but for what the model's own `train` does."""
        return {**self.train, **self.models[model].get("train", {})}

    def architecture(self, model: str) -> dict[str, Any]:
        """The settings of a model's family."""
        return {key: value for key, value in self.models[model].items() if key != "train"}


NO_STAGE = (
    "gate",
    "drift",
    "notify",
)  # sections that no stage reads, which a study need not name: DVC does not look for them
LARGEST = 2**63  # what 64 bits hold
SECTIONS = tuple(f.alias or name for name, f in Settings.model_fields.items() if name not in ("study", "source"))
PAGES = {"train": "training", "models": "model", "gate": "retraining", "drift": "drift", "notify": "notifications"}
DECLARATION = tuple(name for name in Study.model_fields if name != "name")


def load(root: Path, name: str) -> Settings:
    """The settings of one study.

    Raises MedloopError naming the file, the key and the nearest valid key.
    """
    path = study_file(root, name)
    if not path.is_file():
        known = study_names(root)
        raise MedloopError(
            f"there is no study {name}{nearest(name, known)}", where=str(path), mend=f"one of: {', '.join(known)}"
        )
    own, shared = read_yaml(path), read_yaml(root / PARAMS)
    _require_sections(own, path)
    _refuse_unknown(shared, ("default_study", "search", KEEP, *SECTIONS), root / PARAMS)
    _refuse_unknown(own, (*DECLARATION, "source", SCHEDULE, *SECTIONS), path)
    declared(own, path)
    task = task_of(own)
    merged = {section: _section(section, suited(task, shared), own, path) for section in SECTIONS}
    for section, values in merged.items():
        _refuse_unusable(values, path, section)
    parse_config(TrainParams, shared.get("train") or {}, f"{root / PARAMS}, train")
    parse_config(TrainParams, merged["train"], f"{path}, train")
    for model, values in merged["models"].items():
        check_name(model, what="model", where=f"{path}, models")
        parse_config(TrainParams, {**merged["train"], **values.get("train", {})}, f"{path}, models.{model}.train")
    declaration = {key: own[key] for key in DECLARATION}
    try:
        settings = Settings(study=Study(name=name, **declaration), source=own["source"], **merged)
    except ValidationError as error:
        raise _explained(error, path, own, root / PARAMS) from None
    trainings = {f"models.{model}.train": settings.training(model) for model in settings.models}
    for key, values in {**merged, **trainings}.items():
        refuse_unfit(task, key, values, path)
    return settings


def _require_sections(own: Mapping[str, Any], path: Path) -> None:
    missing = [key for key in (*DECLARATION, "source", *SECTIONS) if key not in (*own, *NO_STAGE)]
    if missing:
        raise MedloopError(
            f"the study lacks {', '.join(missing)}",
            where=str(path),
            mend="name every section; an empty one takes the shared values: "
            + ", ".join(f"{m}: {{}}" for m in missing),
        )


def _refuse_unknown(found: Iterable[object], valid: Iterable[str], path: Path) -> None:
    choices = list(valid)
    for key in found:
        if key not in choices:
            raise MedloopError(
                f"unknown section {key}{nearest(str(key), choices)}",
                where=str(path),
                mend=f"one of: {', '.join(choices)}",
            )


def _section(name: str, shared: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The shared values, overridden by the study's; `models` keeps only those that the study names."""
    base = _mapping(shared.get(name), path.parents[1] / PARAMS, name)
    override = _mapping(own.get(name), path, name)
    if name != "models":
        return {**base, **override}
    return {
        model: _model(
            _mapping(base.get(model), path.parents[1] / PARAMS, f"models.{model}"),
            _mapping(values, path, f"models.{model}"),
            path,
            f"models.{model}",
        )
        for model, values in override.items()
    }


def _model(shared: dict[str, Any], own: dict[str, Any], path: Path, key: str) -> dict[str, Any]:
    """A model's shared settings, overridden by the study's, those of its training one by one."""
    trainings = [_mapping(settings.get("train"), path, f"{key}.train") for settings in (shared, own)]
    rest = {name: value for name, value in {**shared, **own}.items() if name != "train"}
    merged = {**trainings[0], **trainings[1]}
    return {**rest, "train": merged} if merged else rest


def _refuse_unusable(value: object, path: Path, key: str) -> None:
    """Raises MedloopError for a number that is none, is infinite or takes more than 64 bits, however deep it stands."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _refuse_unusable(inner, path, f"{key}.{name}")
    elif isinstance(value, int | float) and not (math.isfinite(value) and abs(value) < LARGEST):
        raise MedloopError(
            f"a number of usual size was expected; got {value}", where=f"{path}, {key}", mend="correct it"
        )


def _mapping(value: object, path: Path, name: str) -> dict[str, Any]:
    """A section's keys; an empty section has none."""
    if value is None or isinstance(value, dict):
        return value or {}
    raise MedloopError(
        f"a mapping of keys to values was expected; got {masked(value)!r}",
        where=f"{path}, {name}",
        mend=f"write {name.rpartition('.')[2]}: {{}} for the shared values",
    )


def _page(section: str) -> str:
    """Where the keys of a section, or of the study itself, are told."""
    if section in PAGES or section not in SECTIONS:
        return f"docs/{PAGES.get(section, 'study')}.md"
    return f"pipelines/{section}.py"


def _explained(error: ValidationError, path: Path, own: Mapping[str, Any], params: Path) -> MedloopError:
    """The first fault of a file: which key, what was expected, what came."""
    first = error.errors()[0]
    keys = [str(part) for part in first["loc"] if part != "study"]
    if keys[:1] == ["source"] and len(keys) > 1:
        del keys[1]  # the kind of source, which pydantic names between
    section = own.get(keys[0]) if keys else None
    in_own = not isinstance(section, dict) or keys[0] not in SECTIONS or len(keys) < 2 or keys[1] in section
    where = f"{path if in_own else params}, {'.'.join(keys) or 'the study'}"
    return MedloopError(
        _told(first, keys),
        where=where,
        mend=f"correct it; {_page(keys[0] if keys else '')} says what each key means",
    )


def _told(fault: Mapping[str, Any], keys: list[str]) -> str:
    if fault["type"] == "extra_forbidden":
        return f"unknown key {keys[-1]}{nearest(keys[-1], _valid_keys(keys[:-1]))}"
    return _with_value(fault)


def _with_value(fault: Mapping[str, Any]) -> str:
    """A setting is no patient's value, so what came is shown; an address to notify may be a secret."""
    message, came = str(fault["msg"]).removeprefix("Value error, "), fault.get("input")
    if fault["type"] in ("tuple_type", "list_type") and isinstance(came, str | int | float):
        return f"a list was expected: [{str(came)[:60]}]; got {str(came)[:60]!r}"
    return (
        message
        if isinstance(came, dict) or came is None or "notify" in fault["loc"]
        else f"{message}; got {str(came)[:60]!r}"
    )


def _valid_keys(keys: list[str]) -> list[str]:
    """The keys that a section knows, found by walking the settings' types."""
    annotation: Any = Settings
    for key in keys:
        fields = getattr(annotation, "model_fields", {})
        field = fields.get(key) or next((f for f in fields.values() if f.alias == key), None)
        annotation = field.annotation if field else annotation
    return list(getattr(annotation, "model_fields", {}))


def parse_config(config_type: type, values: Mapping[str, Any], where: str) -> Any:
    """A model's or the training's own settings, checked against their dataclass."""
    try:
        return TypeAdapter(config_type).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            problem = str(first["msg"]).removeprefix("Value error, ")
            raise MedloopError(problem, where=where, mend="correct the value") from None
        key = str(first["loc"][0])
        if first["type"] != "unexpected_keyword_argument":
            place = f"{where}.{key}" if key else where
            raise MedloopError(_with_value(first), where=place, mend="correct the value") from None
        known = [f.name for f in fields(config_type)]
        problem = f"unknown key {key}{nearest(key, known)}"
        raise MedloopError(problem, where=f"{where}.{key}", mend=f"one of: {', '.join(known)}") from None
