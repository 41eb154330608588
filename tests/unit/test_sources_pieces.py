"""A source in pieces: what the whole reading gives, or the same error, whatever the size of a piece."""

import codecs
import gzip
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import MedloopError
from pipelines.sources import FileSource, Raw, read, read_pieces
from pipelines.sources.file_pieces import CHUNK, gunzipped
from tests.unit.sources import npy

NOWHERE = Path("/nowhere")


def whole(source: FileSource) -> Raw | str:
    try:
        return read(source, root=NOWHERE, cache=NOWHERE)
    except MedloopError as error:
        return str(error)


def joined(source: FileSource, block: int) -> Raw | str:
    try:
        pieces = list(read_pieces(source, root=NOWHERE, cache=NOWHERE, block=block))
    except MedloopError as error:
        return str(error)
    assert not any(piece.provenance for piece in pieces[:-1])
    return Raw(
        table=pd.concat([piece.table for piece in pieces], ignore_index=True),
        quarantine=pd.concat([piece.quarantine for piece in pieces], ignore_index=True),
        provenance=pieces[-1].provenance,
    )


def check(path: Path, block: int, **layout: object) -> Raw | str:
    """The whole reading, once it is the same as that in pieces."""
    source = FileSource.model_validate({"path": str(path), **layout})
    expected, got = whole(source), joined(source, block)
    if isinstance(expected, str) or isinstance(got, str):
        assert got == expected
        return expected
    pd.testing.assert_frame_equal(got.table, expected.table)
    pd.testing.assert_frame_equal(got.quarantine, expected.quarantine)
    assert got.provenance == expected.provenance
    assert list(got.provenance) == list(expected.provenance)
    return expected


line_ends = st.sampled_from(["\n", "\r\n", "\r", "\n\n"])
cells = st.one_of(st.text('ab1,."\né\u4e2d\r', max_size=5), st.sampled_from(["1,5", "1.234", '"a\nb"', '""', "7", ""]))
quoted = st.text('a"\n,\r', max_size=6).map(lambda text: '"' + text.replace('"', '""') + '"')
rows = st.lists(st.one_of(cells, quoted, quoted), min_size=1, max_size=3).map(",".join)
regular = st.tuples(quoted, st.sampled_from(["7", "", "1.5"]), st.sampled_from(["a", '"1,5"', '"1.234"'])).map(",".join)


@st.composite
def texts(draw: st.DrawFn) -> str:
    end = draw(line_ends)
    lines = draw(st.one_of(st.lists(rows, max_size=8), st.lists(regular, min_size=1, max_size=12)))
    return draw(st.sampled_from(["", "\n", " \n"])) + end.join(["x,y,z", *lines]) + draw(st.sampled_from(["", end]))


@settings(max_examples=200)
@given(
    texts(),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1", "gbk"]),
    st.sampled_from([None, "utf-16-be", "gbk", "utf-16", "utf-32"]),
    st.binary(max_size=2),
    st.integers(0, 60),
    st.sampled_from([1, 2, 3, 7, 20, 64]),
    st.sampled_from([{"ragged": "quarantine"}, {"ragged": "fail"}]),
    st.sampled_from([None, ".", ","]),
    st.booleans(),
)
def test_a_text_in_pieces_is_the_text_or_the_same_error(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    encoding: str,
    declared: str | None,
    noise: bytes,
    at: int,
    block: int,
    ragged: dict[str, str],
    decimal: str | None,
    zipped: bool,
) -> None:
    data = text.encode(encoding, "replace")
    data = data[: len(data) - at] + noise + data[len(data) - at :] if at < 50 else data
    path = tmp_path_factory.getbasetemp() / "pieces.csv"
    path.write_bytes(gzip.compress(data) if zipped else data)
    of = declared if (declared and encoding.startswith(declared[:3])) or at % 7 == 0 else None
    check(path, block, separator=",", encoding=of, decimal=decimal, **ragged)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def pieces(path: Path, block: int, **layout: object) -> list[Raw]:
    source = FileSource.model_validate({"path": str(path), **layout})
    return list(read_pieces(source, root=NOWHERE, cache=NOWHERE, block=block))


def test_a_long_file_comes_in_pieces_of_about_the_block(tmp_path: Path) -> None:
    body = "".join(f'{i},"a ""word"", and\nanother {i % 7}",{i * 0.5}\n' for i in range(60_000))
    path = write(tmp_path / "t.csv", b"id,note,size\n" + body.encode())
    found = pieces(path, 1 << 18)
    assert len(found) == pytest.approx(path.stat().st_size / (1 << 18), abs=1.5)
    assert max(len(piece.table) for piece in found[1:]) < 10_000
    assert isinstance(check(path, 1 << 18), Raw)


def test_a_small_file_is_one_piece(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", b"a,b\n1,2\n")
    assert len(pieces(path, 8)) == len(pieces(path, 7)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        b'1,"open\n2,3\n',  # never closed
        b'1,"a"b\n2,3\n',
        b"1,2,3\n",
        b"1,\0\n",
        b"1,\xff\n",
        b"1,\xff\n2,\0\n",
        b'1,"a"b\n1,\xff\n',
        b"1,\xc4\xe3\xba\xc3\n",
        b"1,\xe4",
    ],
)
def test_a_fault_far_into_a_file_is_told_as_of_the_whole(fault: bytes, tmp_path: Path) -> None:
    line = b"1234567,some text\n"
    path = write(tmp_path / "t.csv", b"a,b\n" + line * 12_000 + fault + line * 5_000)
    told = check(path, 1 << 16)
    assert isinstance(told, str)
    assert "line 1200" in told or "lines (and their cells) 12002 (3)" in told


def test_a_quote_never_closed_is_not_held_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.sources.delimited_pieces.LONGEST", 1 << 17)
    path = write(tmp_path / "t.csv", b'a,b\n1,"2\n' + b"1,2\n" * (1 << 18))
    with pytest.raises(MedloopError, match=r"one that opens here does not[\s\S]*line 2"):
        pieces(path, 1 << 16)


@pytest.mark.parametrize("encoding", ["utf-16", "gbk"])
def test_characters_of_several_bytes_are_not_cut(encoding: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ("编号,名\n" + "1,中文\n2,字\n" * 300).encode(encoding))
    raw = check(path, 64, encoding="gbk" if encoding == "gbk" else None)
    assert isinstance(raw, Raw)


@pytest.mark.parametrize("decimal", [None, ".", ","])
@pytest.mark.parametrize("late", ["1,5", "x", "2"])
def test_a_decimal_comma_is_settled_by_all_rows(decimal: str | None, late: str, tmp_path: Path) -> None:
    text = "a;b\n" + "1.234;5\n" * 10_000 + f"{late};5\n" * 15_000 + "1.234;1,5\n"
    assert len(pieces(write(tmp_path / "t.csv", text.encode()), 1 << 15, decimal=".")) > 1
    told = check(tmp_path / "t.csv", 1 << 15, decimal=decimal)
    assert isinstance(told, str) == (decimal is None and late == "1,5") or late == "1,5"


def test_a_folder_of_files_comes_in_pieces(tmp_path: Path) -> None:
    for name, count in (("a.csv", 9), ("b.csv", 40_000), ("c.csv", 5)):
        write(tmp_path / name, b"x,y\n" + b"1,2\n" * count + b"1\n")
    pd.DataFrame({"y": ["1"] * 9, "x": ["0"] * 9}).to_parquet(tmp_path / "d.parquet")
    assert len(pieces(tmp_path, 1 << 16, ragged="quarantine")) > 2
    assert isinstance(check(tmp_path, 1 << 16, ragged="quarantine"), Raw)
    write(tmp_path / "e.csv", b"x,z\n1,2\n")
    assert "lacks y and adds z" in str(check(tmp_path, 1 << 16, ragged="quarantine"))
    write(tmp_path / "f.csv", b'x,y\n"')
    assert "one that opens here" in str(check(tmp_path, 1 << 16, ragged="quarantine"))


def test_a_folder_of_many_small_files_comes_in_pieces(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / f"{number:02}.csv", b"x,y\n" + b"1,2\n" * 1000)
    assert 2 < len(pieces(tmp_path, 1 << 14)) <= 20
    assert isinstance(check(tmp_path, 1 << 14), Raw)


def test_parquet_comes_in_pieces(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": range(5000), "f": [0.1, None] * 2500, "t": ["é", ""] * 2500})
    frame["c"] = frame["t"].astype("category")
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=700)
    assert len(pieces(tmp_path / "t.parquet", 4096)) > 5
    check(tmp_path / "t.parquet", 4096)
    frame["o"] = [None] * 4000 + [[1]] * 1000
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=700)
    assert "row 4001" in str(check(tmp_path / "t.parquet", 4096))
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    data[4000:9000] = bytes(5000)
    write(tmp_path / "t.parquet", bytes(data))
    assert "damaged" in str(check(tmp_path / "t.parquet", 4096))


@pytest.mark.parametrize("data", [npy([1, "a"]), b"SQLite format 3\0" + bytes(99), gzip.compress(npy([1, "a"]))])
def test_what_is_no_table_is_refused_alike(data: bytes, tmp_path: Path) -> None:
    assert isinstance(check(write(tmp_path / "t.csv", data), 8), str)


def test_members_of_gzip_are_unpacked_as_of_the_whole(tmp_path: Path) -> None:
    two = gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"") + gzip.compress(b"3,4\n" * 200_000) + bytes(9)
    for data in (two, two[:-11], two[:30], two + b"more", gzip.compress(two)):
        check(write(tmp_path / "t.csv.gz", data), 1 << 16)
    assert len(pieces(write(tmp_path / "t.csv.gz", two), 1 << 16)) > 4


def test_a_bomb_is_refused_on_its_way() -> None:
    packed = gzip.compress(bytes(5 * CHUNK))
    chunks = gunzipped(iter([packed[:90], packed[90:]]), limit=3 * CHUNK, where="t.gz")
    with pytest.raises(MedloopError, match="far more"):
        sum(len(chunk) for chunk in chunks)


def test_a_long_reading_tells_how_far_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", b"a,b\n" + b"1,two\n".rjust(200) * 20_000)
    said: list[str] = []
    source = FileSource(path=str(path))
    for _ in read_pieces(source, root=NOWHERE, cache=NOWHERE, block=1 << 17, tell=said.append):
        pass
    assert re.fullmatch(r"100% of the source read, to row \d+ of t\.csv", said[-1])
    assert 2 < len(said) < 20


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", codecs.BOM_UTF8 + b"a,b\n" + b"1,2\n" * 40)
    raw = check(path, 16)
    assert isinstance(raw, Raw)
    assert list(raw.table) == ["@row", "a", "b"]
