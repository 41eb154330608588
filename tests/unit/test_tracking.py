"""What MLflow is told."""

from pathlib import Path

import pytest

from contracts.errors import MedloopError
from flows import tracking
from flows.home import home


def test_a_damaged_database_is_an_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MEDLOOP_HOME"):
        monkeypatch.delenv(name, raising=False)
    database = home(tmp_path) / "mlflow" / "mlflow.db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"no database" * 1000)
    with pytest.raises(MedloopError, match="file is not a database") as stopped:
        tracking.client(tmp_path)
    assert stopped.value.where == str(database)
