"""DICOM files written by pydicom: their pictures and their headers."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from contracts.errors import MedloopError
from contracts.study import Column
from pipelines.image.decode import decode_images
from pipelines.image.dicom import identifying_headers

DEEP = Column(type="image")


def dicom(values: np.ndarray, *, bits: int = 12, syntax: str = ExplicitVRLittleEndian, **attributes: object) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["a"])
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.Rows, dataset.Columns = values.shape[-2:] if values.shape[-1] != 3 else values.shape[:2]
    dataset.SamplesPerPixel = 3 if values.shape[-1] == 3 else 1
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if dataset.SamplesPerPixel == 3 else "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * values.itemsize, bits, bits - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.PixelData = values.tobytes()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def read(column: Column, *files: bytes):
    return decode_images([str(at) for at in range(len(files))], lambda name: files[int(name)], column)


RAW = np.array([[0, 1000], [2000, 4095]], dtype=np.uint16)


def test_all_stored_bits_spread_over_sixteen() -> None:
    assert read(DEEP, dicom(RAW)).payloads.values[0, 0].tolist() == [[0, 16004], [32007, 65535]]
    signed = (RAW.astype(np.int32) - 2048).astype(np.int16)
    assert (read(DEEP, dicom(signed)).payloads.values == read(DEEP, dicom(RAW)).payloads.values).all()


def test_eight_bits_go_by_the_window_after_the_rescale() -> None:
    told = {"RescaleSlope": 1, "RescaleIntercept": -1000, "WindowCenter": [500.5, 0], "WindowWidth": [1001, 1]}
    eight = Column(type="image", depth=8)
    assert read(eight, dicom(RAW, **told)).payloads.values[0, 0].tolist() == [[0, 0], [255, 255]]
    exact = {**told, "WindowCenter": 0, "WindowWidth": 2000, "VOILUTFunction": "LINEAR_EXACT"}
    assert read(eight, dicom(RAW, **exact)).payloads.values[0, 0].tolist() == [[0, 128], [255, 255]]


def test_monochrome1_is_inverted_where_declared_and_may_not_be_mixed() -> None:
    low = dicom(RAW, PhotometricInterpretation="MONOCHROME1")
    inverted = read(Column(type="image", monochrome1="invert"), low, dicom(RAW)).payloads.values
    assert (inverted[0] == 65535 - inverted[1]).all()
    with pytest.raises(MedloopError) as told:
        read(DEEP, low, dicom(RAW))
    assert "`monochrome1: invert`" in told.value.mend


def test_colour() -> None:
    rgb = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert (read(DEEP, dicom(rgb, bits=8)).payloads.values[0] == np.moveaxis(rgb, 2, 0)).all()


def test_faults_are_told() -> None:
    whole = dicom(RAW)
    frames = dicom(np.stack([RAW, RAW]), NumberOfFrames=2)
    deflated = dicom(RAW, syntax=DeflatedExplicitVRLittleEndian)
    many = dicom(RAW, Rows=60000, Columns=60000)
    faults = read(DEEP, whole, whole[:-4], frames, many, whole[:200], deflated).faults
    assert faults[1] == "truncated DICOM"
    assert faults[2] == "a DICOM of 2 frames, one was expected"
    assert "pixels claimed" in faults[3]
    assert "deflated" in faults[5]
    assert sorted(faults) == [1, 2, 3, 4, 5]


def test_headers_that_identify_are_listed_by_keyword_also_inside_sequences() -> None:
    inner = Dataset()
    inner.ReferringPhysicianName = "Miller^Ann"
    told = dicom(
        RAW,
        PatientName="Doe^John",
        PatientID="A-17",
        PatientBirthDate="19540203",
        StudyDate="20200101",
        InstitutionName="St. Mary",
        StudyInstanceUID=generate_uid(entropy_srcs=["s"]),
        AccessionNumber="",
        BurnedInAnnotation="YES",
        RequestAttributesSequence=Sequence([inner]),
        Manufacturer="ACME",
    )
    assert identifying_headers(told) == [
        "BurnedInAnnotation",
        "InstitutionName",
        "PatientBirthDate",
        "PatientID",
        "PatientName",
        "ReferringPhysicianName",
        "RequestAttributesSequence",
        "StudyDate",
        "UIDs",
    ]


def test_private_attributes_are_one() -> None:
    held = pydicom.dcmread(io.BytesIO(dicom(RAW)))
    block = held.private_block(0x0011, "ACME", create=True)
    block.add_new(0x01, "LO", "Doe")
    block.add_new(0x02, "LO", "John")
    file = io.BytesIO()
    held.save_as(file)
    assert identifying_headers(file.getvalue()) == ["PrivateAttributes"]


@pytest.mark.filterwarnings("ignore:Invalid value for VR DA")
def test_dummies_identify_nobody() -> None:
    dataset = {"PatientName": "ANONYMOUS", "PatientID": "Anonymized^7", "PatientBirthDate": "00000000"}
    assert identifying_headers(dicom(RAW, **dataset)) == []
    assert identifying_headers(dicom(RAW, PatientName="Anon^Nguyen")) == ["PatientName"]


def test_a_file_that_says_that_it_is_de_identified_is_believed_but_for_burned_in_text() -> None:
    told = {"PatientName": "Doe^John", "PatientIdentityRemoved": "YES", "BurnedInAnnotation": "YES"}
    assert identifying_headers(dicom(RAW, **told)) == ["BurnedInAnnotation"]


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"\x08\0\0\0 no DICOM", b"\0" * 128 + b"DICM\xff\xff"])
def test_other_files_have_no_headers(data: bytes) -> None:
    assert identifying_headers(data) == []


def test_no_header_reaches_log_or_screen(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    odd = dicom(RAW, PatientID="A-17").replace(b"A-17", b"\xffSEC")
    identifying_headers(odd)
    read(DEEP, odd)
    assert "SEC" not in caplog.text + "".join(capfd.readouterr())
