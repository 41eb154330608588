"""model/, normalize/{validation.parquet, payloads, normalizer.json} → explanation.json, explanation.html"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.examples import Examples, Form
from contracts.tasks import Task
from flows.arrays import examples
from flows.stages import Context
from flows.store import read_json, read_payloads, read_table, write_json, write_text
from models import calibration, family, hazards
from models.store import Trained, load
from models.tasks import multilabel, tagging
from pipelines.explain import (
    Attributed,
    ExplainParams,
    Explanation,
    Importance,
    attributed,
    class_map,
    importances,
    sampled,
)
from pipelines.explanation_page import explanation_page, told
from pipelines.importance import Exchange, Losses
from pipelines.text.tokens import RESERVED, Vocabulary, readable

Group = NDArray[Any]


def run(context: Context) -> str:
    """Says what one model leans on, by validation rows; it sees neither training nor test rows."""
    from threadpoolctl import threadpool_limits

    folder, ready, params = context.model_folder("explain"), context.folder("normalize"), context.settings.explain
    trained = load(context.model_folder("train") / "model")
    validation = read_table(ready / "validation.parquet")
    at = sampled(len(validation), params.rows, params.seed)
    payloads = {name: of.take(at) for name, of in read_payloads(ready / "payloads" / "validation").items()}
    rows, group = examples(validation.iloc[at], payloads), validation["@group"].to_numpy()[at]
    network = family.is_network(family.load(trained.family))  # imports torch, whose threads can be limited then only
    with threadpool_limits(1):  # the same bits on every machine, and no slower on batches as small
        found = _explained(str(context.model), trained, rows, group, params)
        if network and found.patients >= params.min_patients:
            found = _looked_into(found, trained, rows, group, ready)
    write_json(folder / "explanation.json", found)
    write_text(folder / "explanation.html", explanation_page(found, context.settings.study.title))
    return told(found)


def _explained(model: str, trained: Trained, rows: Examples, group: Group, params: ExplainParams) -> Explanation:
    """What every model tells: which columns it is worse without."""
    inputs, reads, losses = trained.inputs, family.load(trained.family).READS, _losses(trained, rows)
    sources = inputs.sources or inputs.columns
    read = [*(sources if "table" in reads else []), *(n for n, of in inputs.payloads.items() if of.kind in reads)]
    patients = len(np.unique(group))
    ranked: list[Importance] = []
    asked = 0
    if patients > 1 and inputs.task != "tagging":  # another's text has other words, of which no tag is known
        exchange = Exchange(losses=losses, examples=rows, sources=sources)
        ranked, asked = importances(exchange, list(dict.fromkeys(read)), group, params)
    return Explanation(
        model=model,
        rows=len(rows),
        patients=patients,
        loss=round(float(losses(rows).mean()), 6),
        asked=asked,
        importances=tuple(ranked),
        params=params,
    )


def _losses(trained: Trained, rows: Examples) -> Losses:
    """Of a number the squared error, of a course and of several labels −log likelihood; of classes the log loss of
    probabilities brought to what comes true of these.

    Class weights and the like shift them, and the shift would count as error.
    """
    assert rows.target is not None
    if trained.inputs.task in OWN_LOSSES:
        return partial(OWN_LOSSES[trained.inputs.task], trained)
    mend = calibration.fit(trained.predict(rows), rows.target, "platt")

    def losses(scored: Examples) -> NDArray[np.float64]:
        probability = calibration.apply(mend, trained.predict(scored))
        own = probability[np.arange(len(scored)), scored.target]
        return np.asarray(-np.log(np.maximum(own, 1e-15)), dtype=np.float64)

    return losses


def _squares(trained: Trained, scored: Examples) -> NDArray[np.float64]:
    assert scored.target is not None
    raw = trained.predict(scored, raw=True)
    return np.asarray(((raw - scored.target.reshape(raw.shape)) ** 2).mean(axis=1), dtype=np.float64)


def _courses(trained: Trained, scored: Examples) -> NDArray[np.float64]:
    assert scored.target is not None
    return hazards.losses(trained.predict(scored, raw=True), scored.target, trained.inputs.cuts)


def _answers(trained: Trained, scored: Examples) -> NDArray[np.float64]:
    return multilabel.losses(trained.predict(scored), scored, trained.inputs)


def _tags(trained: Trained, scored: Examples) -> NDArray[np.float64]:
    return tagging.losses(trained.predict(scored), scored)


OWN_LOSSES: dict[Task, Callable[[Trained, Examples], NDArray[np.float64]]] = {
    "regression": _squares,
    "forecasting": _squares,
    "survival": _courses,
    "multilabel": _answers,
    "tagging": _tags,
}
UNITS: dict[Task, str] = {
    "regression": "standard deviations of the label",
    "forecasting": "standard deviations of the label, the mean over the values ahead",
    "survival": "log-odds of the event in an interval",
    "multilabel": "log-odds, the mean over the labels",
    "tagging": "log-odds of the called tags against none, the sum over a text",
}


def _looked_into(found: Explanation, trained: Trained, rows: Examples, group: Group, ready: Path) -> Explanation:
    """With what gradients and attention tell of a network."""
    from models.explain import class_maps
    from models.explain_attention import rollout

    assert rows.target is not None
    few, labels = _first(rows, found.params.gradient_rows), trained.inputs.classes or ["all rows"]
    of_class = rows.target if trained.inputs.classes else np.zeros(len(rows), dtype=np.int64)
    maps = class_maps(trained, rows, of_class)
    return found.model_copy(
        update={
            "maps": {
                name: tuple(
                    class_map(of[of_class[at] == c], group[at][of_class[at] == c], label, found.params)
                    for c, label in enumerate(labels)
                )
                for name, (at, of) in maps.items()
            },
            "attributed": _attributed(trained, few, group[: len(few)], found.params, ready),
            "rollout": {name: round(float(of.mean()), 6) for name, of in rollout(trained, few).items()},
        }
    )


def _first(rows: Examples, most: int) -> Examples:
    at = np.arange(min(most, len(rows)))
    assert rows.target is not None
    return Examples(table=rows.table[at], payloads=rows.payloads, at=at, target=rows.target[at])


def _attributed(
    trained: Trained, rows: Examples, group: Group, params: ExplainParams, ready: Path
) -> Attributed | None:
    """Integrated gradients: of two classes towards the positive one, of more towards each row's own."""
    from models.explain import integrated_gradients

    inputs = trained.inputs
    assert rows.target is not None
    towards = np.full(len(rows), inputs.positive) if len(inputs.classes) < 3 else rows.target
    if len(np.unique(group)) < params.min_patients:
        return None
    found = integrated_gradients(trained, rows, towards, steps=params.steps)
    if found is None:
        return None
    return attributed(
        **vars(found),
        sources=inputs.sources or inputs.columns,
        channels={name: _channels(form) for name, form in inputs.of_kind("sequence").items()},
        vocabulary=_words(ready) if found.tokens else {},
        unit=UNITS.get(inputs.task, "log-odds"),
        group=group,
        params=params,
    )


def _channels(form: Form) -> list[str]:
    return [*form.channels, "time since the step before"][: form.width]


def _words(ready: Path) -> dict[str, dict[int, str]]:
    """The known tokens of each column of texts, by number."""
    told = read_json(ready / "normalizer.json")["payloads"]["vocabularies"]
    known = {name: Vocabulary.model_validate(of) for name, of in told.items()}
    return {name: {n: readable(of, [n]) for n in range(RESERVED, of.count)} for name, of in known.items()}
