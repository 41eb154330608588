"""`medloop folds` by the real command: every development row predicted once, out of fold; all else as it was."""

import re
from pathlib import Path

import pandas as pd

from tests.func.test_sweep import Medloop, children, state
from tests.workspace import Workspace


def test_folds_are_tested_pooled_and_put_back_and_what_is_done_is_not_done_again(
    copy: Workspace, servers: Path, medloop: Medloop
) -> None:
    before, known = state(copy), children(servers, "folds")
    told = medloop(copy, "folds", "tiny", "--folds", "2", "--model", "logistic")
    assert told.code == 0, told.text
    assert "On development rows, out of fold, logistic" in told.text
    assert "certificates clean in all 2 folds" in told.text
    assert len(re.findall(r"✓ train@tiny-logistic", told.printed)) == 2
    assert children(servers, "folds") - known == 2
    assert state(copy) == before
    page = Path(told.printed.split("page ")[1].split()[0])
    assert "fold by fold" in page.read_text()
    pooled = pd.read_parquet(page.with_name("predictions.parquet"))
    parts = pd.read_parquet(copy.data("split", "split.parquet"))
    assert sorted(pooled["@id"]) == sorted(parts.loc[parts["@part"] != "test", "@id"])
    again = medloop(copy, "folds", "tiny", "--folds", "2", "--model", "logistic")
    assert "✓" not in again.printed
    assert again.text.split("On development")[1].split("predictions")[0] in told.text


def test_a_split_that_cannot_be_folded_is_told_at_once(copy: Workspace, medloop: Medloop) -> None:
    copy.write_study(lambda s: s.update(split={"method": "time"}))
    told = medloop(copy, "folds", "tiny")
    assert told.code == 1
    assert "regardless of time" in told.text
