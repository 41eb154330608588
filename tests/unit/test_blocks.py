"""The stages clean to normalize write of a table in blocks what they write of it in one piece, here or on a cluster."""

import hashlib
import importlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts.errors import MedloopError
from contracts.study import Condition
from flows.blocks import CLUSTER, ahead, open_table, workers
from flows.settings import load
from flows.stages import Context
from flows.store import read_table, write_blocks, write_json, write_payloads, write_table
from pipelines.table import Held, Table, patient_numbers
from tests.workspace import REPOSITORY, Workspace

STAGES = ("clean", "split", "impute", "normalize")
TABLES = (
    *(f"clean/{name}" for name in ("samples", "quarantine")),
    "split/split",
    "impute/samples",
    *(f"normalize/{part}" for part in ("train", "validation", "test")),
)
FITTED = (
    *(f"clean/{name}" for name in ("schema", "ledger")),
    *(f"impute/{name}" for name in ("imputer", "missingness")),
    "split/split",
    "normalize/normalizer",
)


def raw(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    moment = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D")
    table = pd.DataFrame(
        {
            "record": [f"{i:05d}" for i in range(rows)],
            "patient": [f"p{i:03d}" for i in rng.integers(0, rows // 2, rows)],
            "at": moment.strftime("%Y-%m-%d"),
            "age": rng.normal(55, 14, rows).round(0).astype(str),
            "glucose": np.exp(rng.normal(4.6, 0.5, rows)).round(1).astype(str),
            "sex": rng.choice(["f", "m"], rows),
            "grade": rng.choice(["I", "II", "III"], rows),
            "born": rng.choice(["1960-02-01", "1971-11-30", "1950-06-15"], rows),
            "empty": "",
            "ill": rng.choice(["no", "yes", "yes", ""], rows, p=[0.5, 0.3, 0.17, 0.03]),
        }
    )
    holed = ["age", "glucose", "sex", "grade", "born"]
    table[holed] = table[holed].mask(rng.random((rows, len(holed))) < 0.15, "")
    table.loc[rows // 3, "age"] = "unknown"
    table = pd.concat([table, table.iloc[::37]], ignore_index=True)
    return table.assign(**{"@row": np.arange(2, len(table) + 2)})


COLUMNS = {
    "at": {"type": "datetime"},
    "age": {"type": "numeric", "range": [0, 90]},
    "glucose": {"type": "numeric"},
    "sex": {"type": "categorical"},
    "grade": {"type": "ordinal", "levels": ["I", "II", "III"]},
    "born": {"type": "datetime"},
    "empty": {"type": "numeric"},
}
WAYS: dict[str, dict[str, Any]] = {
    "as given": {},
    "by the mean of rows without outliers": {
        "impute": {"numeric": "mean", "categorical": "most_frequent", "outliers": "iqr", "fences": 1.5},
        "normalize": {"numeric": "power", "categorical": "ordinal"},
    },
    "of patients without ids, some of the commonest": {
        "id": None,
        "cohort": {"sex": {"most": {"f": 150}}, "glucose": {"max": 400}},
        "clean": {"unreadable": "missing", "drop_rows_above": 0.5},
    },
    "with texts, whose near copies are looked for among all rows": {
        "columns": COLUMNS | {"grade": {"type": "text"}},
        "clean": {"unreadable": "quarantine", "near_duplicates": "keep"},  # "II" is near "II"
    },
    "at once": {
        "impute": {"numeric": "mice", "ordinal": "forward", "datasets": 2},
        "normalize": {"numeric": "patient", "categorical": "target", "min_count": 5},
    },
}


@pytest.fixture(autouse=True)
def _no_block_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that each is read each time, as those of a table larger than memory are."""
    monkeypatch.setattr("flows.blocks.HELD", 1)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return made(tmp_path, {})


def made(root: Path, way: dict[str, Any]) -> Context:
    root.mkdir(exist_ok=True)
    shutil.copyfile(REPOSITORY / "params.yaml", root / "params.yaml")
    (root / "studies").mkdir()
    changed = {"time": "at", "columns": COLUMNS, "protect": {}, "clean": {"unreadable": "quarantine"}} | way
    Workspace(root).write_study(lambda study: study.update(changed))
    context = Context(root=root, settings=load(root, "tiny"), say=lambda text: None)
    write_payloads(context.folder("ingest") / "payloads", {})
    write_json(context.folder("ingest") / "declaration.json", context.settings.study)
    for stage in ("ingest", "validate"):
        write_table(context.folder(stage) / "quarantine.parquet", pd.DataFrame({"@row": ["7"], "reason": ["odd"]}))
    return context


def run(context: Context, table: pd.DataFrame, size: int) -> None:
    parts = [table[at : at + size] for at in range(0, len(table), size)]
    write_blocks(context.folder("ingest") / "table.parquet", parts)
    for stage in STAGES:
        importlib.import_module(f"flows.stages.{stage}").run(context)


def written(context: Context) -> dict[str, Any]:
    tables = {name: read_table(_at(context, name, "parquet")) for name in TABLES}
    return tables | {f"{name}.json": _at(context, name, "json").read_text() for name in FITTED}


def _at(context: Context, name: str, ending: str) -> Path:
    stage, file = name.split("/")
    return context.folder(stage) / f"{file}.{ending}"


def assert_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    for name, one in first.items():
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, second[name], obj=name)
        else:
            assert one == second[name], name


@pytest.mark.parametrize("way", WAYS)
def test_the_stages_write_the_same(way: str, tmp_path: Path) -> None:
    whole, parted = (made(tmp_path / name, WAYS[way]) for name in ("whole", "parted"))
    run(whole, raw(), 10**6)
    run(parted, raw(), 90)
    assert_same(written(whole), written(parted))
    assert (whole.folder("normalize") / "train.parquet").is_file()
    assert len(open_table(parted.folder("clean") / "samples.parquet").blocks) == (1 if "texts" in way else 5)
    run(parted, raw(), 10**6)  # a smaller source leaves no block behind
    assert_same(written(whole), written(parted))


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        yield cluster.scheduler_address


def test_a_cluster_writes_the_same_bytes(tmp_path: Path, cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = (made(tmp_path / name, {}) for name in ("here", "there"))
    run(here, raw(), 90)
    monkeypatch.setenv(CLUSTER, cluster)
    run(there, raw(), 90)
    assert hashes(there) == hashes(here)


def hashes(context: Context) -> dict[str, str]:
    files = sorted(p for stage in STAGES for p in context.folder(stage).rglob("*") if p.is_file())
    return {str(p.relative_to(context.root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_an_error_of_a_worker_comes_back_as_itself(
    context: Context, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CLUSTER, cluster)
    with pytest.raises(MedloopError, match="the cohort asks for numbers in age") as raised:
        study = context.settings.study.model_copy(update={"cohort": {"age": Condition(min=18)}})
        write_json(context.folder("ingest") / "declaration.json", study)
        run(context, raw(), 90)
    assert "like 'xxxxxxx'" in raised.value.where


def test_a_cluster_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLUSTER, "tcp://127.0.0.1:9")
    monkeypatch.setattr("flows.blocks.PATIENCE", "1s")
    with pytest.raises(MedloopError, match="cannot be reached"), workers():
        pass


def test_rows_are_chosen_and_ordered_over_blocks(tmp_path: Path) -> None:
    table = raw(50).drop(columns="@row").assign(**{"@id": lambda t: t.index.map("{:02d}".format)})[::-1]
    table = table.reset_index(drop=True)
    write_blocks(tmp_path / "t.parquet", [table[:20], table[20:20], table[20:]])
    parted, kept = open_table(tmp_path / "t.parquet"), np.arange(len(table)) % 3 == 0
    assert len(parted) == len(table)
    expected = table[kept].sort_values("@id", ignore_index=True)
    pd.testing.assert_frame_equal(parted.where(kept).ordered("@id").read(), expected)
    pd.testing.assert_series_equal(
        parted.where(kept).where(kept[kept])["age"], table.loc[kept, "age"].reset_index(drop=True)
    )
    at = np.array([3, 19, 20, 48])
    pd.testing.assert_frame_equal(parted.take(at, ["age", "@id"]), table.loc[at, ["age", "@id"]].reset_index(drop=True))


def test_as_many_blocks_stay_in_memory_as_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = raw()
    write_blocks(tmp_path / "t.parquet", [table.iloc[at : at + 90] for at in range(0, len(table), 90)])
    kinds = [type(block).__name__ for block in open_table(tmp_path / "t.parquet").blocks]
    assert kinds == ["Stored"] * len(kinds)
    first = read_table(tmp_path / "t.parquet" / "00000.parquet").memory_usage(deep=True).sum()
    monkeypatch.setattr("flows.blocks.HELD", int(first))
    kinds = [type(block).__name__ for block in open_table(tmp_path / "t.parquet").blocks]
    assert kinds == ["Held"] + ["Stored"] * (len(kinds) - 1)
    monkeypatch.setattr("flows.blocks.HELD", 10**9)
    opened = open_table(tmp_path / "t.parquet")
    assert {type(block).__name__ for block in opened.blocks} == {"Held"}
    pd.testing.assert_frame_equal(opened.read(), table)


def test_patients_have_the_same_numbers_in_blocks_of_whatever_kind() -> None:
    names = pd.Series([f"p{i}" for i in [3, 1, 1, 2, 3, 0]], dtype="str")
    coded = pd.Categorical(names[2:5], categories=["never", "p3", "p2", "p1"])
    cells: list[Any] = [names[:2].array, coded, names[5:].array]
    numbers = patient_numbers(Table(tuple(Held(pd.DataFrame({"@group": some})) for some in cells)))
    assert (pd.factorize(numbers)[0] == pd.factorize(names)[0]).all()


def test_the_next_piece_is_made_while_one_is_used_and_its_fault_is_told() -> None:
    made = threading.Event()

    def pieces() -> Iterator[str]:
        yield "first"
        made.set()
        yield "second"
        raise MedloopError("the third cannot be read")

    found = ahead(pieces())
    assert next(found) == "first" and made.wait(5)
    assert next(found) == "second"
    with pytest.raises(MedloopError, match="the third cannot be read"):
        next(found)
