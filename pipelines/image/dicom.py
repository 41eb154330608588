"""DICOM: the picture in it, and which of its headers may identify people."""

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.image.picture import Picture, UnreadableError, check_pixels

if TYPE_CHECKING:
    from pydicom import Dataset

DEFLATED = b"1.2.840.10008.1.2.1.99"
GROUPS = (b"\x02\0", b"\x08\0", b"\0\x02", b"\0\x08")  # with which a file without a preamble begins
MOMENTS_AND_NAMES = ("DA", "DT", "TM", "PN")
TABLE = """
    AccessionNumber AcquisitionComments AcquisitionProtocolDescription AdditionalPatientHistory AdmissionID
    AdmittingDiagnosesCodeSequence AdmittingDiagnosesDescription Allergies BranchOfService CameraOwnerName CassetteID
    ClinicalTrialCoordinatingCenterName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID
    ClinicalTrialSiteName ClinicalTrialSponsorName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID
    CommentsOnThePerformedProcedureStep ConsultingPhysicianIdentificationSequence CountryOfResidence
    CurrentPatientLocation DerivationDescription DetectorID DeviceSerialNumber DischargeDiagnosisDescription
    EthnicGroup FillerOrderNumberImagingServiceRequest FrameComments GPSAreaInformation GPSLatitude GPSLongitude
    GantryID GeneratorID IconImageSequence IdentifyingComments ImageComments ImagingServiceRequestComments
    InstitutionAddress InstitutionCodeSequence InstitutionName InstitutionalDepartmentName InsurancePlanIdentification
    InterpretationText IssuerOfAdmissionID IssuerOfPatientID LensSerialNumber MedicalAlerts MedicalRecordLocator
    MilitaryRank ModifiedAttributesSequence Occupation OperatorIdentificationSequence OrderCallbackPhoneNumber
    OrderEntererLocation OriginalAttributesSequence OtherPatientIDs OtherPatientIDsSequence OverlayData
    PatientAddress PatientAge PatientComments PatientID PatientInstitutionResidence PatientInsurancePlanCodeSequence
    PatientPrimaryLanguageCodeSequence PatientReligiousPreference PatientSex PatientSexNeutered PatientSize
    PatientState PatientTelecomInformation PatientTelephoneNumbers PatientTransportArrangements PatientWeight
    PerformedLocation PerformedProcedureStepDescription PerformedProcedureStepID PerformedStationAETitle
    PerformedStationName PerformingPhysicianIdentificationSequence PersonAddress PersonIdentificationCodeSequence
    PersonTelephoneNumbers PhysiciansOfRecordIdentificationSequence PlacerOrderNumberImagingServiceRequest PlateID
    PregnancyStatus PreMedication ProtocolName ReasonForStudy ReasonForTheImagingServiceRequest
    ReasonForTheRequestedProcedure ReasonForVisit ReferencedPatientPhotoSequence ReferencedPatientSequence
    ReferringPhysicianAddress ReferringPhysicianIdentificationSequence ReferringPhysicianTelephoneNumbers
    RegionOfResidence RequestAttributesSequence RequestedProcedureComments RequestedProcedureDescription
    RequestedProcedureID RequestedProcedureLocation RequestingService ResponsibleOrganization ResultsComments
    ScheduledProcedureStepDescription ScheduledProcedureStepID ScheduledProcedureStepLocation
    ScheduledStationAETitle ScheduledStationName ScheduledStudyLocation SeriesDescription ServiceEpisodeDescription
    ServiceEpisodeID SmokingStatus SourceSerialNumber SpecialNeeds SpecimenIdentifier StationName StudyComments
    StudyDescription StudyID TextComments TextString TimezoneOffsetFromUTC TopicAuthor TopicKeywords TopicSubject
    TopicTitle VerifyingOrganization VisitComments
"""
REMOVED = frozenset(TABLE.split())
DUMMY = re.compile(
    r"|ANON(YM[A-Z]*)?(PATIENT)?\d*|DEIDENTIFIED|REMOVED|REDACTED|NONE|NULL|UNKNOWN|NA|X+|0+[DWMY]?|1900010[01]|00010101"
)


@contextmanager
def unquoted() -> Iterator[None]:
    """Keeps what pydicom and Pillow warn of, quoting headers, from the log and the screen."""
    logger = logging.getLogger("pydicom")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def is_dicom(data: bytes) -> bool:
    """Whether the bytes are a DICOM file: by its preamble, or without one by its first element."""
    return data[128:132] == b"DICM" or (data.startswith(GROUPS) and _headers(data) is not None)


def read_dicom(data: bytes, *, windowed: bool) -> Picture:
    """The picture of a DICOM file of one frame, scaled to the whole range of 8 or 16 bits.

    windowed: 8 bits by the file's own first VOI window, after rescale slope and intercept (PS3.3 C.11.2.1.2); without
        a window, and where False, the range is that which BitsStored allows, so that files stay comparable (a rescale
        then changes nothing but its sign), and more than 8 bits become 16. VOI lookup tables are not applied.
    Pixel spacing plays no part. Raises UnreadableError.
    """
    import pydicom

    if DEFLATED in data[:2048]:
        raise UnreadableError("a deflated DICOM, whose size cannot be known beforehand: save it without deflation")
    try:
        return _picture(pydicom.dcmread(io.BytesIO(data), force=True), windowed)
    except (UnreadableError, MemoryError):
        raise
    except Exception as error:  # pydicom raises anything on damaged bytes, and quotes them
        raise UnreadableError(_told(error)) from None


def _told(error: Exception) -> str:
    message = str(error).lower()
    if "unable to decompress" in message or "unable to decode" in message or "missing dependencies" in message:
        return "a DICOM in a compression that is not read, as JPEG lossless or JPEG-LS: save it uncompressed"
    short = isinstance(error, EOFError) or any(word in message for word in ("truncated", "less than", "expected end"))
    return "truncated DICOM" if short else "damaged DICOM"


def _picture(dataset: "Dataset", windowed: bool) -> Picture:
    from pydicom.pixels import apply_color_lut, pixel_array

    if "PixelData" not in dataset:
        raise UnreadableError("a DICOM without pixel data")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise UnreadableError(f"a DICOM of {frames} frames, one was expected")
    check_pixels(int(dataset.Rows) * int(dataset.Columns))
    values = pixel_array(dataset)
    kind = dataset.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        return Picture(values=np.moveaxis(_shifted(apply_color_lut(values, dataset), 16), 2, 0), format="DICOM")
    if values.ndim == 3:
        return Picture(values=np.moveaxis(_shifted(values, dataset.BitsStored), 2, 0), format="DICOM")
    window = _window(dataset) if windowed else None
    grey = _by_window(values, dataset, window) if window else _by_bits(values, dataset)
    return Picture(values=grey[None], format="DICOM", monochrome1=kind == "MONOCHROME1")


def _shifted(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """Colours as they are in 8 bits, or spread over 16."""
    if values.dtype == np.uint8:
        return values
    return _spread(values / (2**bits - 1), 16)


def _by_bits(values: NDArray[Any], dataset: "Dataset") -> NDArray[Any]:
    bits = int(dataset.BitsStored)
    lowest = -(2 ** (bits - 1)) if dataset.PixelRepresentation else 0
    share = (values.astype(np.float64) - lowest) / (2**bits - 1)
    if float(dataset.get("RescaleSlope") or 1) < 0:
        share = 1 - share
    return _spread(share, 8 if bits <= 8 else 16)


def _window(dataset: "Dataset") -> tuple[float, float] | None:
    """Centre and width of the first window; None where there is none that is usable."""
    centre, width = (dataset.get(name) for name in ("WindowCenter", "WindowWidth"))
    first = [value[0] if hasattr(value, "__len__") and len(value) else value for value in (centre, width)]
    if first[0] is None or first[1] is None or "" in first or float(first[1]) <= 0:
        return None
    return float(first[0]), float(first[1])


def _by_window(values: NDArray[Any], dataset: "Dataset", window: tuple[float, float]) -> NDArray[Any]:
    from pydicom.pixels import apply_rescale

    centre, width = window
    rescaled = apply_rescale(values, dataset).astype(np.float64)
    match dataset.get("VOILUTFunction"):
        case "SIGMOID":
            return _spread(1 / (1 + np.exp(-4 * (rescaled - centre) / width)), 8)
        case "LINEAR_EXACT":
            return _spread((rescaled - centre) / width + 0.5, 8)
        case _:
            return _spread((rescaled - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5, 8)


def _spread(share: NDArray[np.float64], depth: int) -> NDArray[Any]:
    whole: type[np.uint8 | np.uint16] = np.uint8 if depth == 8 else np.uint16
    spread: NDArray[Any] = np.rint(share.clip(0, 1) * np.iinfo(whole).max).astype(whole)
    return spread


def identifying_headers(data: bytes) -> list[str]:
    """The keywords of a DICOM file's attributes that may identify people, sorted; none of another file.

    They are the main ones of those that DICOM PS3.15 Annex E, table E.1-1, Basic Application Level Confidentiality
    Profile, removes, blanks or replaces, at any depth, as far as they hold something: all names, dates and times by
    their kind (as the annex's note 4 allows), `REMOVED`, all instance UIDs as "UIDs", private and curve groups as
    "PrivateAttributes". Dummies such as ANONYMOUS hold nothing, and a file that says PatientIdentityRemoved YES is
    believed. "BurnedInAnnotation" is listed wherever it says YES.
    """
    if data[128:132] != b"DICM" and not data.startswith(GROUPS):
        return []
    with unquoted():
        return _listed(_headers(data))


def _listed(dataset: "Dataset | None") -> list[str]:
    if dataset is None:
        return []
    found = {"BurnedInAnnotation"} if dataset.get("BurnedInAnnotation") == "YES" else set[str]()
    if dataset.get("PatientIdentityRemoved") != "YES":
        found |= {name for element in dataset.iterall() if (name := _identifying(element))}
    return sorted(found)


def _headers(data: bytes) -> "Dataset | None":
    """All attributes before the pixels; None when the bytes are no DICOM file."""
    import pydicom

    if DEFLATED in data[:2048]:
        return None
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)
        list(dataset.iterall())
    except Exception:  # pydicom raises anything on damaged bytes; decoding tells
        return None
    return dataset if "SOPClassUID" in dataset or "Rows" in dataset else None


def _identifying(element: Any) -> str | None:
    """Under which name an attribute is listed; None for one that tells nobody's identity."""
    if element.is_empty or _is_dummy(element):
        return None
    if element.tag.is_private or 0x5000 <= element.tag.group < 0x5100:
        return "PrivateAttributes"
    if element.VR == "UI":
        return "UIDs" if element.keyword.endswith(("InstanceUID", "FrameOfReferenceUID")) else None
    if element.VR in MOMENTS_AND_NAMES or element.keyword in REMOVED:
        return str(element.keyword)
    return None


def _is_dummy(element: Any) -> bool:
    if element.VR == "SQ":
        return False
    values = element.value if element.VM > 1 else [element.value]
    return all(DUMMY.fullmatch(re.sub(r"[^A-Z0-9]", "", str(value).upper())) for value in values)
