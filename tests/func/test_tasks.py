"""Labels other than classes, through the real command: from init to predictions."""

from collections.abc import Callable

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
