"""Faults planted in files of pictures, recordings and texts, through the real command: told by name, or set aside."""

import io
import json
import struct
import zlib
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageOps

from tests.planted import Medloop, Planted, as_csv, at_most, picture, ran, reasons, recording, saved, stopped
from tests.unit.test_image_dicom import dicom
from tests.workspace import Workspace

RAW = np.arange(480, dtype=np.uint16).reshape(20, 24)
FITTING = ("split", "impute", "normalize", "balance", "audit")


def huge() -> bytes:
    """A picture whose header claims 60,000 x 60,000 pixels."""
    data = picture(1)
    header = struct.pack(">II", 60_000, 60_000) + data[24:29]
    return data[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + data[33:]


BAD = {
    "image": {
        "cut.png": (picture(1)[:-60], "truncated PNG"),
        "cut.jpg": (picture(2, kind="JPEG")[:-200], "truncated JPEG"),
        "cut.dcm": (dicom(RAW)[:-100], "truncated DICOM"),
        "empty.png": (b"", "empty"),
        "absent.png": (None, "no file absent.png"),
        "prose.png": (b"Jane Doe has pain", "no image"),
        "table.png": (recording(1), "no image"),
        "huge.png": (huge(), "too many pixels"),
    },
    "sequence": {
        "cut.npy": (b"\x93NUMPY\x01\x00v\x00", "no whole array"),
        "empty.csv": (b"", "empty"),
        "absent.csv": (None, "no file absent.csv"),
        "words.csv": (b"ax,ay\n1,2\nMueller,3\n", "channel ax holds text at step 2"),
        "nameless.csv": (b"61.5,2\n62.5,3\n", "no names of channels"),
        "nul.csv": (b"ax,ay\n1,\x002\n", "NUL"),
        "infinite.csv": (b"ax,ay\n1,1e300\n", "infinite"),
        "comma.csv": (b"ax;ay\n61,5;2,5\n62,5;3,5\n", "decimal point"),
        "picture.csv": (picture(1), "NUL"),
        "bad.hea": (b"bad 2 100 80\n../../x 16 100 16 0 0 0 0 ax\n", "no whole record"),
    },
    "text": {
        "latin.txt": ("Größe, Jane Doe".encode("latin-1"), "not UTF-8 at byte 2"),
        "nul.txt": (b"Jane\0Doe", "NUL"),
        "long.txt": (b"Jane Doe " * 450_000, "longer than"),
        "absent.txt": (None, "no file absent.txt"),
    },
}


@pytest.mark.parametrize("kind", BAD)
def test_30_unreadable_files_are_set_aside_by_name_or_stop_the_run(
    kind: str, workspace: Workspace, medloop: Medloop
) -> None:
    planted, bad = Planted(workspace, kind), BAD[kind]
    planted.write({}, rows=20)
    planted.declare()
    ran(workspace, medloop, "ingest")
    planted.write({name: data for name, (data, _) in bad.items()}, rows=20)
    told = stopped(
        workspace, medloop, f"{len(bad)} of 20 files", "max_unreadable", f"column {planted.column}", next(iter(bad))
    )
    planted.declare(at_most(0.6))
    ran(workspace, medloop, "ingest", "validate", "clean")
    found = reasons(planted)
    for reason, (name, (_, words)) in zip(found, bad.items(), strict=True):
        assert reason.startswith(f"{name}: ") and words in reason, reason
    assert not any(value in told + str(found) for value in ("Jane", "Mueller", "61", "Gr\xf6"))
    samples = planted.read("clean", "samples.parquet")
    assert samples["@id"].tolist() == [f"r{number:03d}" for number in range(len(bad), 20)]
    (line,) = [c for c in json.loads(planted.data("clean", "ledger.json").read_text()) if c["rows"]]
    assert (line["rule"], line["rows"]) == ("set aside before", len(bad))


def test_30_a_wrong_ending_is_counted_and_read_by_the_first_bytes(workspace: Workspace, medloop: Medloop) -> None:
    planted = Planted(workspace, "image")
    planted.write({"a.jpg": picture(0), "b.dcm": picture(1)})
    planted.declare()
    ran(workspace, medloop, "ingest")
    facts = json.loads(planted.data("ingest", "provenance.json").read_text())["decoded"]["scan"]
    assert (facts["misnamed"], facts["unreadable"], facts["formats"]) == (2, 0, {"PNG": 12})


MIXED: dict[str, tuple[dict[str, bytes], dict[str, object], str]] = {
    "size": ({"odd.png": picture(0, (30, 30))}, {"size": [20, 24]}, "[30, 30] in 1 (as odd.png)"),
    "colour": ({"odd.png": picture(0, mode="RGB")}, {"colour": "grey"}, "rgb in 1 (as odd.png)"),
    "depth": ({"odd.png": picture(0, mode="I;16")}, {"depth": 8}, "16 in 1 (as odd.png)"),
    "monochrome1": (
        {f"{n}.dcm": dicom(RAW + n, PhotometricInterpretation=f"MONOCHROME{1 + n % 2}") for n in range(12)},
        {"monochrome1": "invert"},
        "MONOCHROME1) in 6 (as 0.dcm)",
    ),
}


@pytest.mark.parametrize("what", MIXED)
def test_31_22_pictures_that_differ_need_a_rule(what: str, workspace: Workspace, medloop: Medloop) -> None:
    files, rule, words = MIXED[what]
    planted = Planted(workspace, "image")
    planted.write({})
    planted.declare()
    ran(workspace, medloop, "ingest")
    planted.write(files)
    line = f"`{what}: {json.dumps(rule[what]).strip(chr(34))}`"
    stopped(workspace, medloop, words, "column scan", line)
    planted.declare(**rule)
    ran(workspace, medloop, "ingest")


DRIFTS: dict[str, tuple[dict[str, bytes], list[str]]] = {
    "from some": (
        {"odd.csv": recording(0, ("ax",))},
        ["[ax, ay] in 11 (as 01.csv), [ax] in 1 (as odd.csv)", "channels: [ax]"],
    ),
    "from all": ({f"{n:02d}.csv": recording(n, ("ax", "az")) for n in range(12)}, ["it has no channel ay", "12 of 12"]),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_22_a_channel_that_is_gone_stops_the_run(drift: str, workspace: Workspace, medloop: Medloop) -> None:
    files, words = DRIFTS[drift]
    declared = {"channels": ["ax", "ay"]} if drift == "from all" else {}
    planted = Planted(workspace, "sequence")
    planted.write({})
    planted.declare(**declared)
    ran(workspace, medloop, "ingest")
    planted.write(files)
    stopped(workspace, medloop, "column gait", *words)


def test_22_a_payload_column_that_is_gone_stops_the_run(workspace: Workspace, medloop: Medloop) -> None:
    planted = Planted(workspace, "image")
    planted.write({})
    planted.declare()
    ran(workspace, medloop, "ingest")
    table = planted.folder / "table.csv"
    pd.read_csv(table, dtype="str").rename(columns={"scan": "scans"}).to_csv(table, index=False)
    stopped(workspace, medloop, "column scan (did you mean scans?)")


def record(folder: Path, name: str, rate: float, unit: str = "mV") -> None:
    import wfdb

    steps = np.random.default_rng(int(name[1:])).normal(0, 1, (200, 1))
    wfdb.wrsamp(name, fs=rate, units=[unit], sig_name=["I"], p_signal=steps, fmt=["16"], write_dir=str(folder))


def test_unequal_sampling_rates_need_a_rate_and_units_must_agree(workspace: Workspace, medloop: Medloop) -> None:
    planted = Planted(workspace, "sequence")
    planted.write({})
    for number in range(12):
        record(planted.folder, f"w{number}", 100 if number < 9 else 250)
    planted.write_table([f"w{number}.hea" for number in range(12)])
    planted.declare()
    stopped(workspace, medloop, "100 Hz in 9 (as w0.hea), 250 Hz in 3 (as w9.hea)", "column gait", "rate: 100")
    planted.declare(rate=100)
    ran(workspace, medloop, "ingest")
    lengths = np.diff(np.load(planted.data("ingest", "payloads", "0.offsets.npy")))
    assert lengths.tolist() == [200] * 9 + [80] * 3
    record(planted.folder, "w3", 100, unit="uV")
    stopped(workspace, medloop, "channel I", "mV in 11 (as w0.hea), uV in 1 (as w3.hea)")


def test_flat_lines_gaps_and_short_recordings_are_told_and_go_by_the_rule(
    workspace: Workspace, medloop: Medloop
) -> None:
    planted = Planted(workspace, "sequence")
    run = pd.DataFrame({"ax": [np.nan] * 40 + [1.0, 2.0] * 20, "ay": np.arange(80.0)})
    planted.write(
        {
            "flat.csv": as_csv(pd.DataFrame({"ax": [1.0] * 80, "ay": [2.0] * 80})),
            "nothing.csv": b"ax,ay\n" + b",\n" * 80,
            "run.csv": as_csv(run),
            "short.csv": recording(5, steps=3),
        }
    )
    planted.declare()
    ran(workspace, medloop, "ingest", "validate", "clean")
    assert reasons(planted, "clean") == ["gait: no channel has any value"]
    changes = {c["rule"]: c for c in json.loads(planted.data("clean", "ledger.json").read_text())}
    assert (changes["never changes, left"]["rows"], changes["never changes, left"]["cells"]) == (1, 160)
    planted.declare(lambda s: s.update(clean={"sequences": {"gait": {"flat": 10, "shortest": 10}}}))
    ran(workspace, medloop, "ingest", "validate", "clean")
    nothing = "gait: no channel has any value"
    assert reasons(planted, "clean") == [nothing, nothing, "gait: 3 steps, 10 are the fewest"]
    assert len(planted.read("clean", "samples.parquet")) == 9
    cleaned = np.load(planted.data("clean", "payloads", "0.values.npy"))
    assert np.isnan(cleaned[160:200, 0]).all() and np.isfinite(cleaned[160:240, 1]).all()


def test_23_dicom_headers_are_blocked_until_kept_and_burned_in_text_still_is(
    workspace: Workspace, medloop: Medloop
) -> None:
    planted = Planted(workspace, "image")
    keep = {"keep": "only pixels are read; the headers stay in the source"}

    def files(burned: str) -> dict[str, bytes]:
        told = {"PatientName": "Doe^Jane", "BurnedInAnnotation": burned}
        return {f"{n}.dcm": dicom(RAW + n, **(told if n < 2 else {"PatientName": "Doe^Jane"})) for n in range(12)}

    planted.write(files("NO"))
    planted.declare()
    assert "Jane" not in stopped(workspace, medloop, "PatientName (12)", "protect: {scan: {keep: ")
    planted.declare(lambda study: study["protect"].update(scan=keep))
    ran(workspace, medloop, "ingest")
    assert b"Jane" not in b"".join(planted.outputs().values())
    planted.write(files("YES"))
    stopped(workspace, medloop, "burned into the pixels", "BurnedInAnnotation (2 files)")


def copies(data: bytes) -> dict[str, bytes]:
    """The same picture saved anew, brighter, and mirrored."""
    made = Image.open(io.BytesIO(data))
    return {
        "saved.jpg": saved(made, "JPEG"),
        "brighter.png": saved(ImageEnhance.Brightness(made).enhance(1.2)),
        "mirrored.png": saved(ImageOps.mirror(made)),
    }


def test_27_near_copies_of_a_picture_stay_together_or_are_a_leak(workspace: Workspace, medloop: Medloop) -> None:
    planted = Planted(workspace, "image")
    original = picture(99, (48, 40))
    pictures = {"original.png": original, **copies(original)}
    planted.write({**pictures, **{f"{n}.png": picture(n, (48, 40)) for n in range(len(pictures), 60)}}, rows=60)
    ids = [f"r{number:03d}" for number in range(60)]
    parts = ["train", "test", "validation", "test", *(["train"] * 5 + ["validation", "test"]) * 8]
    placed = pd.DataFrame({"id": ids, "part": parts}).to_csv(index=False).encode()
    (planted.folder / "split.csv").write_bytes(placed)
    planted.declare()
    ran(workspace, medloop, "ingest", "validate", "clean", *FITTING)
    samples = planted.read("clean", "samples.parquet")
    assert samples["@group"].value_counts().tolist() == [4] + [1] * 56
    split = planted.read("split", "split.parquet").set_index("@id")["@part"]
    assert len(set(split[ids[:4]])) == 1

    def apart(study: dict) -> None:
        study["clean"] = {"near_duplicates": "keep"}
        study["split"] = {"method": "file", "file": "planted/split.csv", "file_sha256": sha256(placed).hexdigest()}

    planted.declare(apart)
    ran(workspace, medloop, "clean", *FITTING[:-1])
    told = "scan of 4 rows nearly equal one of another part"
    stopped(workspace, medloop, told, "near_duplicates: group", stage="audit")
    accepted = {"accept": {"pictures and texts": "the phantom that every day begins with"}}
    planted.declare(lambda study: (apart(study), study.update(audit=accepted)))
    ran(workspace, medloop, "audit")
