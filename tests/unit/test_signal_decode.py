import io
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import MedloopError
from contracts.payloads import Payloads
from contracts.study import Column
from pipelines.signal.decode import conform_signals, decode_signals
from pipelines.signal.resample import resample
from pipelines.sources.raw import Opened, UnreachableError

SEQUENCE = Column(type="sequence")


def files(**held: bytes) -> Opened:
    named = {name.replace("__", "."): data for name, data in held.items()}

    def opened(name: str) -> bytes:
        if name not in named:
            raise MedloopError("there is no such file")
        return named[name]

    return opened


def npy(steps: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, steps, allow_pickle=True)
    return buffer.getvalue()


def record(folder: Path, name: str, steps: np.ndarray, *, rate: float = 100, unit: str = "mV") -> dict[str, bytes]:
    import wfdb

    names = ["I", "II"]
    wfdb.wrsamp(name, rate, [unit] * 2, names, p_signal=steps, fmt=["16"] * 2, write_dir=str(folder))
    return {f"{name}__{kind}": (folder / f"{name}.{kind}").read_bytes() for kind in ("hea", "dat")}


def waves(seconds: float = 2, rate: float = 100) -> np.ndarray:
    at = np.arange(int(seconds * rate)) / rate
    return np.stack([np.sin(2 * np.pi * 3 * at), np.cos(2 * np.pi * 3 * at)], axis=1)


def test_a_wfdb_record_is_read_in_physical_units_with_its_gaps(tmp_path: Path) -> None:
    steps = waves()
    steps[10:15, 1] = np.nan
    opened = files(**record(tmp_path, "a", steps))
    for name in ("a", "a.hea", "a.dat"):
        decoded = decode_signals([name], opened, SEQUENCE)
        assert not decoded.faults
        np.testing.assert_allclose(decoded.payloads[0], steps, atol=1e-3)
        assert np.isnan(decoded.payloads[0][10:15, 1]).all()
        assert decoded.payloads.values.dtype == np.float32
        assert decoded.facts["rate"] == 100
        assert decoded.facts["units"] == {"I": "mV", "II": "mV"}


def test_every_truncation_of_a_record_is_a_fault_or_the_whole(tmp_path: Path) -> None:
    held = record(tmp_path, "a", waves())
    for cut in (0, 1, 17, 200, 399):
        decoded = decode_signals(["a"], files(a__hea=held["a__hea"], a__dat=held["a__dat"][:cut]), SEQUENCE)
        assert list(decoded.faults) == [0]
        assert decoded.payloads[0].shape == (0, 0)
    for cut in range(0, len(held["a__hea"]), 7):
        decode_signals(["a"], files(a__hea=held["a__hea"][:cut], a__dat=held["a__dat"]), SEQUENCE)


def test_a_header_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    asked = []
    header = b"a 1 100 10\n../../etc/passwd 16 200/mV 16 0 0 0 0 I\n"

    def opened(name: str) -> bytes:
        asked.append(name)
        return header if name == "folder/a.hea" else b"\0" * 20

    assert list(decode_signals(["folder/a"], opened, SEQUENCE).faults) == [0]
    assert all(".." not in name for name in asked)


def test_unequal_rates_are_an_error_that_a_declared_rate_mends(tmp_path: Path) -> None:
    held = record(tmp_path, "a", waves(rate=100)) | record(tmp_path, "b", waves(rate=250), rate=250)
    with pytest.raises(MedloopError, match=r"100 Hz in 1 \(as a\), 250 Hz in 1 \(as b\)\n.*rate: 250"):
        decode_signals(["a", "b"], files(**held), SEQUENCE)
    decoded = decode_signals(["a", "b"], files(**held), Column(type="sequence", rate=100))
    assert [len(decoded.payloads[at]) for at in (0, 1)] == [200, 200]
    assert decoded.facts["resampled"] == 1
    np.testing.assert_allclose(decoded.payloads[0][20:180], decoded.payloads[1][20:180], atol=0.02)


def test_unequal_units_are_an_error(tmp_path: Path) -> None:
    held = record(tmp_path, "a", waves()) | record(tmp_path, "b", waves(), unit="uV")
    with pytest.raises(MedloopError, match="channel I is in one unit"):
        decode_signals(["a", "b"], files(**held), SEQUENCE)


def test_text_has_names_moments_and_gaps() -> None:
    data = b"time,pulse,spo2\n3,61,\n1,60,97\n2,-999,98\n"
    decoded = decode_signals(["a.csv"], files(a__csv=data), Column(type="sequence", missing=(-999,)))
    assert decoded.payloads.channels == ("pulse", "spo2")
    np.testing.assert_array_equal(decoded.payloads[0], [[60, 97], [np.nan, 98], [61, np.nan]])
    np.testing.assert_array_equal(decoded.payloads.moments(0), [1, 2, 3])


def test_one_channel_alone_needs_no_separator() -> None:
    decoded = decode_signals(["a.csv"], files(a__csv=b"ecg\r\n1\r\n\r\n3.5\r\n"), SEQUENCE)
    assert decoded.payloads.channels == ("ecg",)
    np.testing.assert_array_equal(decoded.payloads[0], [[1], [np.nan], [3.5]])


def test_even_moments_are_resampled_and_uneven_ones_a_fault() -> None:
    even = b"time\tx\n0\t0\n0.5\t1\n1\t2\n1.5\t3\n"
    uneven = b"time\tx\n0\t0\n0.1\t1\n1\t2\n"
    column = Column(type="sequence", rate=4)
    decoded = decode_signals(["e", "u.tsv", "e.tsv"], files(e__tsv=even, u__tsv=uneven), column)
    assert "not equally far apart" in decoded.faults[1]
    assert len(decoded.payloads[2]) == 8
    assert decoded.payloads.times is None


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (npy(np.array([{"a": 1}], dtype=object)), "no whole array"),
        (npy(np.zeros((3, 2)))[:-5], "no whole array"),
        (npy(np.zeros((2, 2, 2))), "steps × channels"),
        (npy(np.array([["a"]])), "steps × channels"),
        (npy(np.zeros((0, 2))), "no steps"),
        (npy(np.array([[np.inf]])), "infinite"),
        (b"", "empty"),
        (b"\x00\x01\x02", "NUL"),
        (b"x,y\n1,secret\n", "channel y holds text at step 1"),
        (b"1.5,2.5\n1,2\n", "no names of channels"),
    ],
)
def test_what_cannot_be_read_is_a_fault_of_its_file_alone(data: bytes, told: str) -> None:
    held = {"bad__bin": data, "good__npy": npy(np.ones((3, 2)))}
    decoded = decode_signals(["bad.bin", "good.npy", "none.npy"], files(**held), SEQUENCE)
    assert list(decoded.faults) == [0, 2]
    assert told in decoded.faults[0]
    assert "secret" not in decoded.faults[0]
    np.testing.assert_array_equal(decoded.payloads[1], np.ones((3, 2)))


def test_a_source_that_does_not_answer_is_no_fault_of_the_file() -> None:
    def opened(name: str) -> bytes:
        raise UnreachableError("no answer")

    with pytest.raises(UnreachableError):
        decode_signals(["a.npy"], opened, SEQUENCE)


def test_declared_channels_select_name_and_miss() -> None:
    held = {
        "a__csv": b"x,y,z\n1,2,3\n",
        "b__csv": b"z,x\n3,1\n",
        "c__csv": b"y\n2\n",
        "d__npy": npy(np.array([[3, 1]])),
    }
    names = ["a.csv", "b.csv", "c.csv", "d.npy"]
    decoded = decode_signals(names, files(**held), Column(type="sequence", channels=("z", "x")))
    assert [decoded.payloads[at].tolist() for at in (0, 1, 3)] == [[[3, 1]]] * 3
    assert "no channel z, x" in decoded.faults[2]
    with pytest.raises(MedloopError, match=r"channels: \[x, z\]"):
        decode_signals(["a.csv", "b.csv"], files(**held), SEQUENCE)


def test_the_same_channels_in_another_order_are_the_same() -> None:
    held = {"a__csv": b"x,y\n1,2\n", "b__csv": b"y,x\n2,1\n"}
    for names in (["a.csv", "b.csv"], ["b.csv", "a.csv"]):
        decoded = decode_signals(names, files(**held), SEQUENCE)
        assert decoded.payloads.channels == ("x", "y")
        assert [decoded.payloads[at].tolist() for at in (0, 1)] == [[[1, 2]]] * 2


def test_resampling_keeps_out_what_the_new_rate_cannot_hold_and_keeps_gaps() -> None:
    at = np.arange(1000) / 500
    steps = (np.sin(2 * np.pi * 5 * at) + np.sin(2 * np.pi * 180 * at))[:, None]  # 180 Hz would look like 20 Hz
    steps[400:600] = np.nan
    new = resample(steps, 500, 100)
    expected = np.sin(2 * np.pi * 5 * np.arange(200) / 100)[:, None]
    assert np.abs(new - expected)[10:70].max() < 0.05
    assert np.isnan(new[80:120]).all() and not np.isnan(new[:80]).any()


def test_held_arrays_take_declared_names_or_are_selected() -> None:
    plain = Payloads(values=np.arange(12.0).reshape(2, 3, 2))
    named = conform_signals(plain, Column(type="sequence", channels=("x", "y")), name="ecg")
    assert named.channels == ("x", "y")
    np.testing.assert_array_equal(named[1], plain.values[1])
    assert named.values.dtype == np.float32
    assert conform_signals(named, Column(type="sequence", channels=("y",)), name="ecg")[0].tolist() == [[1], [3], [5]]
    with pytest.raises(MedloopError, match=r"channels z are declared"):
        conform_signals(named, Column(type="sequence", channels=("z",)), name="ecg")
