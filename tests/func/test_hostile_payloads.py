"""Archives, XML, patterns, cells and queries made to do harm, through the real command: refused, nothing written."""

import io
import pickle
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipelines.sources import inflation, query
from tests.planted import Medloop, Planted, at_most, picture
from tests.workspace import Workspace

SCANS = {f"{'yes' if n % 3 == 0 else 'no'}/s{n:02d}.png": n for n in range(12)}


def archived(extra: dict[str, bytes] | None = None) -> bytes:
    """A zip of a picture a row, in a folder a class, and what else there is."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in ({name: picture(n) for name, n in SCANS.items()} | (extra or {})).items():
            archive.writestr(name, data)
    return file.getvalue()


def tarred(name: str = "", type_: bytes = tarfile.REGTYPE, link: str = "", mode: str = "w") -> bytes:
    """The same as a tar, with one member more."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for path, number in SCANS.items():
            member = tarfile.TarInfo(path)
            member.size = len(picture(number))
            archive.addfile(member, io.BytesIO(picture(number)))
        if name:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = type_, link
            archive.addfile(member)
    return file.getvalue()


def linked() -> bytes:
    file = io.BytesIO(archived())
    member = zipfile.ZipInfo("no/link.png")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(member, "/etc/passwd")
    return file.getvalue()


def with_entry(at: int, kind: str, value: int) -> bytes:
    """The zip whose first member's entry in the directory holds this value at this place."""
    data = bytearray(archived())
    struct.pack_into(kind, data, data.index(b"PK\x01\x02") + at, value)
    return bytes(data)


def lying() -> bytes:
    """A zip whose member says that it unpacks to one byte."""
    data = bytearray(with_entry(24, "<I", 1))
    struct.pack_into("<I", data, 22, 1)
    return bytes(data)


ARCHIVES: dict[str, tuple[bytes, str]] = {
    "a path that leads out, zip": (archived({"../out.png": picture(50)}), "leads out"),
    "an absolute path, zip": (archived({"/tmp/medloop-out.png": picture(50)}), "leads out"),
    "a path of another system, zip": (archived({"no\\..\\..\\out.png": picture(50)}), "leads out"),
    "a path that leads out, tar": (tarred("no/../../out.png"), "leads out"),
    "a symbolic link, zip": (linked(), "a link or device: no/link.png"),
    "a symbolic link, tar": (tarred("no/link.png", tarfile.SYMTYPE, "/etc/passwd"), "a link or device: no/link.png"),
    "a hard link, tar": (tarred("no/link.png", tarfile.LNKTYPE, "yes/s00.png"), "a link or device: no/link.png"),
    "a device, tar": (tarred("no/zero.png", tarfile.CHRTYPE), "a link or device: no/zero.png"),
    "encrypted": (with_entry(8, "<H", 1), "encrypted"),
    "cut short, zip": (archived()[:-40], "damaged"),
    "cut short, tgz": (tarred(mode="w:gz")[:-40], "damaged"),
    "cut short, tar": (tarred()[:-12000], "damaged"),
    "a size that is not true": (lying(), "damaged"),
    "a bomb, zip": (with_entry(24, "<I", 3 << 30), "far more"),
    "a bomb of many small ones, zip": (archived({f"no/z{n}.png": bytes(90_000) for n in range(50)}), "far more"),
    "a bomb, tgz": (zlib.compress(bytes(6_000_000), wbits=31), "far more"),
}


@pytest.mark.parametrize("fault", ARCHIVES)
def test_32_an_odd_archive_is_refused_whole(
    fault: str, workspace: Workspace, medloop: Medloop, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted, (data, words) = Planted(workspace, "image"), ARCHIVES[fault]
    planted.folder.mkdir()
    planted.declare(of_files("{ill}/{record}.png"))
    (planted.folder / "scans.zip").write_bytes(archived())
    assert medloop(workspace, "stage", "ingest", "planted").code == 0
    (planted.folder / "scans.zip").write_bytes(data)
    monkeypatch.setattr(inflation, "BOMB_BYTES", 1_000_000)
    before = everything(workspace.root)
    outcome = medloop(workspace, "stage", "ingest", "planted")
    assert outcome.code == 1
    assert words in outcome.text, outcome.text
    assert "scans.zip" in outcome.text and "mend" in outcome.text
    assert everything(workspace.root) == before
    assert not Path("/tmp/medloop-out.png").exists()


def everything(root: Path) -> dict[str, bytes]:
    """All files of the workspace, and beside it, but for Git's."""
    files = (path for path in root.parent.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {str(path): path.read_bytes() for path in files if "__pycache__" not in path.parts}


def of_files(pattern: str, **layout: object) -> Callable[[dict], None]:
    """A study of the pictures in an archive."""

    def change(study: dict) -> None:
        study |= {"source": {"kind": "file", "path": "planted/scans.zip", "files": pattern, **layout}, "group": None}
        study["columns"] = {"file": {"type": "image"}} | {name: {"type": "text"} for name in layout.get("fields", {})}
        study["protect"] = {}

    return change


def test_32_an_archive_in_an_archive_is_not_unpacked(workspace: Workspace, medloop: Medloop) -> None:
    planted = Planted(workspace, "image")
    planted.folder.mkdir()
    planted.declare(of_files("{ill}/{record}.png"))
    (planted.folder / "scans.zip").write_bytes(archived({"no/nested.png": archived()}))
    outcome = medloop(workspace, "stage", "ingest", "planted")
    assert outcome.code == 1
    assert "no/nested.png (no image: the first bytes are of a ZIP archive)" in outcome.text


def array(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values), allow_pickle=True)
    return file.getvalue()


def model() -> bytes:
    """What torch writes (.pt)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    return file.getvalue()


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("HACKED"),)


@pytest.mark.parametrize("kind", ["image", "sequence", "text"])
def test_46_what_can_run_code_is_no_payload(kind: str, workspace: Workspace, medloop: Medloop) -> None:
    planted, end = Planted(workspace, kind), Planted(workspace, kind).name(0)[2:]
    pickled = pickle.dumps(Evil())
    files = {f"pickle{end}": pickled, "pickle.npy": pickled, "objects.npy": array([Evil()])}
    files |= {f"joblib{end}": zlib.compress(pickled), f"model{end}": model()}
    planted.write(files)
    planted.declare(at_most(0.9))
    assert medloop(workspace, "stage", "ingest", "planted").code == 0
    reasons = planted.read("ingest", "quarantine.parquet")["reason"]
    assert [reason.partition(":")[0] for reason in reasons] == list(files)
    assert not list(workspace.root.rglob("HACKED"))


@pytest.mark.parametrize("kind", ["image", "sequence", "text"])
def test_47_a_cell_cannot_lead_out_of_its_folder(kind: str, workspace: Workspace, medloop: Medloop) -> None:
    planted = Planted(workspace, kind)
    secret = workspace.root / planted.name(99)
    planted.write({})
    secret.write_bytes((planted.folder / planted.name(0)).read_bytes())
    (planted.folder / f"link{secret.suffix}").symlink_to(secret)
    named = [
        f"../{secret.name}",
        str(secret),
        f"link{secret.suffix}",
        f"$(touch HACKED){secret.suffix}",
        "; touch HACKED",
    ]
    planted.write({}, rows=16, cells=dict(enumerate([*named, "{0}", ".", f"{planted.name(9)}/x"])))
    planted.declare(at_most(0.9))
    outcome = medloop(workspace, "stage", "ingest", "planted")
    assert outcome.code == 0, outcome.text
    reasons = planted.read("ingest", "quarantine.parquet")["reason"].tolist()
    assert len(reasons) == 8
    assert [word in reason for word, reason in zip(["leads out"] * 3, reasons, strict=False)] == [True] * 3
    assert not list(workspace.root.rglob("HACKED"))


PATTERNS = {
    "{ill}/{record}.png; touch HACKED": "no file matches",
    "$(touch HACKED)/{record}.png": "no file matches",
    "{ill}/{record!r}.png": "declares",
    "{}/{record}.png": "placeholder",
    "{ill}/{record.__class__}.png": "does not have",
    "../{ill}/{record}.png": "counts from its folder",
    "/etc/{record}": "counts from its folder",
    "{ill}/{record": "in braces",
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_47_an_odd_pattern_of_files_is_refused(pattern: str, workspace: Workspace, medloop: Medloop) -> None:
    planted = Planted(workspace, "image")
    planted.folder.mkdir()
    (planted.folder / "scans.zip").write_bytes(archived())
    planted.declare(of_files(pattern))
    outcome = medloop(workspace, "stage", "ingest", "planted")
    assert outcome.code == 1
    assert PATTERNS[pattern] in outcome.text, outcome.text
    assert not planted.data().exists() and not list(workspace.root.rglob("HACKED"))


@pytest.mark.parametrize("xpath", ["//[", "document('/etc/passwd')", "lower-case(//a)", "//svg:a", "re:test(//a, 'b')"])
def test_47_an_xpath_that_is_none_is_refused(xpath: str, workspace: Workspace, medloop: Medloop) -> None:
    planted = Planted(workspace, "image")
    planted.declare(of_files("{ill}/{record}.png", fields={"finding": xpath}))
    outcome = medloop(workspace, "stage", "ingest", "planted")
    assert outcome.code == 1
    assert "fields.finding: no XPath" in outcome.text, outcome.text
    assert "planted.yaml, source.fields" in outcome.text and "mend" in outcome.text


LAUGHS = b'<!DOCTYPE r [<!ENTITY a "ha">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
)
XML = {
    "no/laughs.png": LAUGHS + b"]><r>&j;</r>",
    "no/external.png": b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>',
    "no/parameter.png": b'<!DOCTYPE r [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><r>x</r>',
}


def test_46_entities_in_xml_are_not_read(workspace: Workspace, medloop: Medloop) -> None:
    planted = Planted(workspace, "text")
    planted.folder.mkdir()

    def change(study: dict) -> None:
        of_files("{ill}/{record}.png", fields={"finding": "string(/r)"})(study)
        study["columns"].pop("file")
        study["drop"] = {"file": "the path"}

    planted.declare(change)
    reports = {name: f"<r>finding of {n}</r>".encode() for name, n in SCANS.items()}
    (planted.folder / "scans.zip").write_bytes(archived(reports | XML))
    begun = time.monotonic()
    outcome = medloop(workspace, "stage", "ingest", "planted")
    assert outcome.code == 0, outcome.text
    assert time.monotonic() - begun < 5
    reasons = planted.read("ingest", "quarantine.parquet")["reason"].tolist()
    assert [reason.partition(":")[0] for reason in reasons] == sorted(XML)
    assert len(planted.read("ingest", "table.parquet")) == len(SCANS)
    assert "root:" not in planted.read("ingest", "table.parquet").to_csv()


QUERIES = {
    "DELETE FROM visits": "one SELECT",
    "SELECT * FROM visits; DROP TABLE visits": "one SELECT",
    "WITH x AS (SELECT 1) DELETE FROM visits": "not authorized",
    "ATTACH 'stolen.db' AS stolen": "one SELECT",
    "PRAGMA writable_schema = 1": "one SELECT",
    "SELECT * FROM pragma_database_list": "not authorized",
    "SELECT load_extension('evil.so') FROM visits": "not authorized",
    "SELECT writefile('HACKED', 'x') FROM visits": "no such function",
    "SELECT * FROM visits WHERE age = readfile('/etc/passwd')": "no",
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n": "takes more than",
    "SELECT zeroblob(2000000000) AS age FROM visits": "too big",
    "SELECT regexp_extract(age, '(', 0) AS age FROM visits": "query fails",
}


@pytest.mark.parametrize("asked", QUERIES)
def test_47_a_query_reads_and_ends(
    asked: str, workspace: Workspace, medloop: Medloop, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = Planted(workspace, "text")
    planted.folder.mkdir()
    planted.write_table(["clear"] * 12)
    tables = {"visits": {"kind": "file", "path": "planted/table.csv"}}
    planted.declare(lambda s: s.update(source={"kind": "query", "tables": tables, "query": asked}))
    monkeypatch.setattr(query, "LIMIT_SECONDS", 0.2)
    before = everything(workspace.root)
    outcome = medloop(workspace, "stage", "ingest", "planted")
    assert outcome.code == 1
    assert QUERIES[asked] in outcome.text, outcome.text
    assert everything(workspace.root) == before
