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
