"""Labels other than classes, through the real command: from init to predictions."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from tests.func.conftest import Outcome
from tests.workspace import Workspace, patients


def test_a_number_is_drafted_run_and_predicted_with_an_interval(
    workspace: Workspace, medloop: Callable[..., Outcome]
) -> None:
    data = patients().drop(columns="ill")
    data["pressure"] = (80 + 0.6 * data["age"].astype(float) + pd.Series(range(len(data))) % 11).round(1).astype(str)
    workspace.write_data(data)
    drafted = medloop(workspace, "init", "patients.csv", "--target", "pressure", "--group", "patient", "--name", "bp")
    assert drafted.code == 0, drafted.printed
    assert "task: regression" in (workspace.root / "studies" / "bp.yaml").read_text()
    (workspace.root / "studies" / "bp.yaml").unlink()

    def of_pressure(study: dict) -> None:
        study["target"] = {"column": "pressure", "task": "regression"}
        study["columns"]["pressure"] = {"type": "numeric", "unit": "mmHg", "range": [40, 300]}
        study["models"] = {"ridge": {}, "boosting": {}}

    workspace.write_study(lambda study: (of_pressure(study), study.update(balance={"method": "smote"})), "pressure")
    refused = medloop(workspace, "run", "pressure")
    assert refused.code != 0
    assert "method: smote does not fit the task regression" in refused.text
    workspace.write_study(of_pressure, "pressure")
    ran = medloop(workspace, "run", "pressure")
    assert ran.code == 0, ran.printed
    assert "ridge is best: MAE " in ran.text
    workspace.write_data(data.drop(columns="pressure").head(20))
    assert medloop(workspace, "predict", "pressure", "patients.csv", "--out", "scores.csv").code == 0
    scores = pd.read_csv(workspace.root / "scores.csv")
    assert list(scores) == ["row", "id", "predicted", "low", "high", "reason"]
    assert scores["predicted"].between(scores["low"], scores["high"]).all()
    assert (scores["predicted"] - data["pressure"].astype(float).head(20)).abs().mean() < 10


def test_a_time_to_an_event_is_run_and_told_as_risk_and_median(
    workspace: Workspace, medloop: Callable[..., Outcome]
) -> None:
    data = patients().drop(columns="ill")
    until = 60 * np.exp(-(data["age"].astype(float) - 55) / 14) * np.random.default_rng(0).exponential(size=len(data))
    left = 6 + np.arange(len(data)) % 50
    data["months"], data["died"] = np.minimum(until, left).round(1).astype(str), np.where(until <= left, "yes", "no")
    workspace.write_data(data)

    def of_death(study: dict) -> None:
        study["target"] = {"column": "months", "event": "died", "classes": ["no", "yes"], "positive": "yes"}
        study["target"] |= {"horizon": 24, "task": "survival"}
        study["columns"]["months"] = {"type": "numeric", "unit": "months", "range": [0, 120]}
        study["models"] = {"cox": {}}

    workspace.write_study(lambda study: (of_death(study), study.update(models={"logistic": {}})), "deaths")
    refused = medloop(workspace, "run", "deaths")
    assert refused.code != 0
    assert "the label of this study asks for survival" in refused.text
    assert "cox" in refused.text
    workspace.write_study(lambda study: (of_death(study), study["target"].update(horizon=0.2)), "deaths")
    early = medloop(workspace, "run", "deaths")
    assert early.code != 0 and "by the horizon of 0.2 months the event happened in" in early.text
    assert "impute@" not in early.text, "told before anything is learnt"
    workspace.write_study(of_death, "deaths")
    ran = medloop(workspace, "run", "deaths")
    assert ran.code == 0, ran.printed
    assert "cox stands alone: Concordance 0." in ran.text
    workspace.write_data(data.drop(columns=["months", "died"]).head(20))
    assert medloop(workspace, "predict", "deaths", "patients.csv", "--out", "scores.csv").code == 0
    scores = pd.read_csv(workspace.root / "scores.csv")
    assert list(scores)[:5] == ["row", "id", "predicted", "median", "survival=2.4"]
    assert (scores["predicted"] + scores["survival=24"] - 1).abs().max() < 1e-9
    assert scores["predicted"].corr(data["age"].astype(float).head(20)) > 0.5


def notes(rows: int = 120) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Texts that name a drug and its dose in one of several sentences, and as many that do not; where they do."""
    random, texts, marks = np.random.default_rng(0), [], []
    for row in range(rows):
        drug, dose = random.choice(["aspirin", "digoxin", "heparin"]), f"{random.integers(1, 900)} mg"
        before = " ".join(random.choice(["seen", "today", "well", "again", "slept", "walks"], 4 + row % 7))
        text = f"{before}; takes {drug}, {dose}, since May." if row % 2 else f"{before}; no {drug} of {dose} since May."
        texts.append(f"  {text}")
        for word, label in ((drug, "drug"), (dose, "dose")) if row % 2 else ():
            start = texts[-1].index(word)
            marks.append([f"n{row:03d}", start, start + len(word), label])
    ids = [f"n{row:03d}" for row in range(rows)]
    return pd.DataFrame({"id": ids, "text": texts}), pd.DataFrame(marks, columns=["id", "start", "end", "label"])


def test_entities_are_read_from_a_table_of_spans_found_and_told_by_their_characters(
    workspace: Workspace, medloop: Callable[..., Outcome]
) -> None:
    texts, marks = notes()
    texts.to_csv(workspace.root / "notes.csv", index=False)
    marks.to_csv(workspace.root / "marks.csv", index=False)

    def of_drugs(study: dict) -> None:
        select = '(SELECT json_group_array(json_array(start, "end", label)) FROM marks WHERE marks.id = notes.id)'
        tables = {name: {"kind": "file", "path": f"{name}.csv"} for name in ("notes", "marks")}
        study["source"] = {"kind": "query", "tables": tables, "query": f"SELECT id, text, {select} AS spans FROM notes"}
        study.update(id="id", group=None, columns={"text": {"type": "text"}}, protect={}, models={"windows": {}})
        study["target"] = {"column": "spans", "task": "tagging", "classes": ["drug", "dose"]}

    workspace.write_study(lambda study: (of_drugs(study), study.update(models={"mlp": {}})), "drugs")
    refused = medloop(workspace, "run", "drugs")
    assert refused.code != 0
    assert "choose a model that fits: rnn, transformer, windows" in refused.text
    workspace.write_study(of_drugs, "drugs")
    ran = medloop(workspace, "run", "drugs")
    assert ran.code == 0, ran.printed
    assert "windows stands alone: F1 0.9" in ran.text or "windows stands alone: F1 1.000" in ran.text
    kept = [path for path in (workspace.root / "data" / "drugs" / "evaluate").rglob("*") if path.is_file()]
    assert kept
    assert not any(word in path.read_bytes() for path in kept for word in (b"aspirin", b"digoxin", b"slept"))
    texts.head(20).to_csv(workspace.root / "new.csv", index=False)
    told = medloop(workspace, "predict", "drugs", "new.csv", "--out", "found.csv")
    assert told.code == 0, told.printed
    found = pd.read_csv(workspace.root / "found.csv")
    assert list(found) == ["row", "id", "start", "end", "label", "probability", "reason"]
    assert set(found["id"]) == set(texts["id"].head(20))
    true = {tuple(mark) for mark in marks[marks["id"] < "n020"].to_numpy().tolist()}
    said = {(row.id, int(row.start), int(row.end), row.label) for row in found.dropna(subset="start").itertuples()}
    assert len(said & true) > 0.8 * len(true | said)
