"""Where a retraining's verdict is kept: what a person is told is a file that is there."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows import retrain
from flows.champion import Compared
from flows.promotion import Version
from flows.verdict import _by_kind, evidence
from pipelines.bootstrap import Interval
from pipelines.gate import Criterion, GateParams, Rows
from pipelines.paired import Paired


def test_a_verdict_that_is_told_again_names_the_file_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEDLOOP_HOME", raising=False)
    told: list[str] = []
    monkeypatch.setattr(retrain, "_tell", lambda root, gate, path: told.append(path.name))
    monkeypatch.setattr(retrain.notifying, "tell", lambda root, notice: told.append(notice.kind))
    settings: Any = SimpleNamespace(name="study", gate=GateParams())
    champion = Version(number="1", run_id="run1", tags={"medloop.model": "mlp"})
    found = {"what": "bmi", "then": None, "now": "not named"}  # not in the order of the alphabet
    failed = Criterion(name="schema", state="failed", sentence="changed", evidence={"differences": [found]})
    compared = Compared(criteria=[failed], differences={})
    first, again = (retrain._conclude(tmp_path, settings, champion, None, compared, "blocked-1") for _ in range(2))
    assert evidence(tmp_path, first).is_file() and evidence(tmp_path, again).is_file()
    assert again == first
    assert len(told) == 2  # the file and the notice, of the first alone


def test_a_figure_of_few_rows_says_so() -> None:
    gain = Interval(value=0.0, low=None, high=None)
    told = Paired(metric="auroc", first=1.0, second=1.0, gain=gain, p=None, test="")
    gate: Any = SimpleNamespace(differences={"frozen": [told], "new": [told]})
    frozen, new = _by_kind(gate, Rows(frozen=190, new=2, patients=192, left_out=0))
    assert frozen == {"on frozen rows": "AUROC 1.000 after 1.000"}
    assert new == {"on new rows": "AUROC 1.000 after 1.000 (2 rows are too few to tell)"}
