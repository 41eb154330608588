"""What the files of a folder, or those that a table's cells name, seem to be: pictures, recordings or reports."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from contracts.errors import MedloopError, listed
from contracts.payloads import Payloads
from contracts.study import Column
from pipelines.draft_label import MOST_CLASSES
from pipelines.guess import Guess, TextSeries
from pipelines.image.decode import ENDINGS as PICTURES
from pipelines.image.dicom import is_dicom, read_dicom, unquoted
from pipelines.image.picture import Picture
from pipelines.image.picture import UnreadableError as UnreadablePicture
from pipelines.image.raster import read_raster
from pipelines.signal.files import Recording, read_recording
from pipelines.signal.files import UnreadableError as UnreadableRecording
from pipelines.sources.raw import Opened, Raw

KINDS = {
    **dict.fromkeys(set(PICTURES) - {"npy"}, "image"),
    **dict.fromkeys(("hea", "csv", "tsv", "npy"), "sequence"),
    **dict.fromkeys(("txt", "xml"), "text"),
}
LEAVES = {"image": "picture", "sequence": "recording", "text": "report"}
SEEN = 40  # files that are opened
SIZES = (32, 64, 128, 224)
TINT = 2  # of 255: a grey picture that was saved in colours

FORMS = "the form of the pictures: size, colour and depth are what the model sees"
DICOM = (
    "DICOM: decide on depth (8 goes by each file's window, 16 keeps all), on monochrome1, and under `protect` on "
    "headers that identify; init looks neither into headers nor for text burned into pixels"
)
ABSENT = "files that cells name and that do not lie beside the table: left out until `folder` under source says where"
RATES = "recordings: the sampling rate, the channels taken, and what is plausible (clean.sequences)"
REPORTS = "reports: read some; names in them stop the run until `protect` says redact or why they may stay"


def kind_of(files: Sequence[str]) -> str | None:
    """image, sequence or text, by most endings; None where most files are of no kind that a study takes."""
    kinds = Counter(KINDS.get(_ending(file)) for file in files)
    return max(kinds, key=lambda kind: kinds[kind]) if kinds else None


def pattern_of(paths: Sequence[str], target: str, group: str | None) -> tuple[str, dict[str, Guess]]:
    """The pattern of `files` that most payload files fit, and the folders in it that are neither label nor patient.

    The label is the folder of the fewest names, 2 to 20; `group` that of the most among the others.
    Raises MedloopError where no folder can be the label.
    """
    fitting = [path for path in paths if _ending(path) in KINDS]
    if not fitting:
        raise MedloopError(f"no picture, recording or report is among {listed(paths, 4) or 'no files'}")
    ending = Counter(PurePosixPath(path).suffix for path in fitting).most_common(1)[0][0]
    split = [path.split("/") for path in fitting if path.endswith(ending)]
    depth = Counter(map(len, split)).most_common(1)[0][0]
    levels = [set(level) for level in list(zip(*(parts for parts in split if len(parts) == depth), strict=True))[:-1]]
    varied = [at for at, level in enumerate(levels) if len(level) > 1]
    label = min((at for at in varied if len(levels[at]) <= MOST_CLASSES), key=lambda at: len(levels[at]), default=None)
    if label is None:
        raise MedloopError(
            f"the label {target} was sought in the names of folders, and no level of folders has 2 to {MOST_CLASSES}",
            mend="put the files of each class into a folder of its own, or give a table beside the files instead, "
            "a row a file: its path, its label, its patient",
        )
    names = _names([at for at in varied if at != label], levels, group) | {label: target}
    folders = [f"{{{names[at]}}}" if at in names else min(level) for at, level in enumerate(levels)]
    leaf = LEAVES[KINDS[ending[1:].lower()]]
    leaf = "name" if leaf in names.values() else leaf
    others = {
        name: Guess(drop=f"{len(levels[at]):,} folders: a site, a patient? name it so, and use it or leave it out")
        for at, name in names.items()
        if name not in (target, group)
    }
    return "/".join([*folders, f"{{{leaf}}}{ending}"]), others


def _names(rest: list[int], levels: list[set[str]], group: str | None) -> dict[int, str]:
    """By position the names of folders that are not the label's."""
    patient = max(rest, key=lambda at: len(levels[at]), default=None) if group else None
    return {at: str(group) if at == patient else f"folder{at + 1}" for at in rest}


def guess_payloads(raw: Raw) -> dict[str, Guess]:
    """By column that refers to payloads, what they seem to be: those of the source, and files that cells name."""
    held = {name: _held(payloads) for name, payloads in raw.payloads.items()}
    named = {name: _named(raw, raw.table[name]) for name in raw.table.columns if name not in held and name != "@row"}
    return held | {name: guess for name, guess in named.items() if guess}


def _held(payloads: Payloads) -> Guess:
    kind = "image" if payloads.offsets is None and payloads.values.ndim == 4 else "sequence"
    return Guess(column=Column.model_validate({"type": kind}), matters=(FORMS if kind == "image" else RATES,))


def _named(raw: Raw, cells: TextSeries) -> Guess | None:
    """None where cells name no files."""
    files = [file for file in cells.str.strip().unique().tolist() if file]
    if raw.opened is None or kind_of(_spread(files)) is None:
        return None
    if not any(_is_there(raw.opened, file) for file in files[:5]):
        reason = "names of files? none of them lies beside the table: say `folder` under source"
        return Guess(drop=reason, matters=(ABSENT,))
    return guess_files(files, raw.opened)


def guess_files(files: Sequence[str], opened: Opened) -> Guess:
    """What a column whose cells name these files seems to be; some of them are opened."""
    seen = _spread(sorted(files))
    match kind_of(files):
        case "image":
            return _pictures(seen, opened)
        case "sequence":
            return _recordings(seen, opened)
        case _:
            xml = any(_ending(file) == "xml" for file in seen)
            note = "CHECK: XML is read as it stands; take its parts by `fields` under source" if xml else ""
            return Guess(column=Column(type="text", files=True), note=note, matters=(REPORTS,))


def _pictures(files: Sequence[str], opened: Opened) -> Guess:
    found = [picture for file in files if (picture := _picture(file, opened))]
    if not found:
        return Guess(drop="pictures? none of those looked at can be read", matters=(FORMS,))
    sizes = Counter(picture.values.shape[1:] for picture in found)
    (height, width), count = sizes.most_common(1)[0]
    edge = max((size for size in SIZES if size <= max(height, width)), default=SIZES[0])
    coloured = sum(_is_coloured(picture) for picture in found)
    dicom = any(picture.format == "DICOM" for picture in found)
    depth = 16 if not dicom and all(picture.depth == 16 for picture in found) else 8
    column = Column.model_validate(
        {
            "type": "image",
            "size": [edge, edge],
            "colour": "rgb" if 2 * coloured > len(found) else "grey",
            "depth": depth,
            "monochrome1": "invert" if any(picture.monochrome1 for picture in found) else None,
        }
    )
    note = f"of {len(found)} looked at, {count} have {height} by {width} pixels, {coloured} are coloured"
    return Guess(column=column, note=note, matters=(FORMS, *([DICOM] if dicom else [])))


def _picture(file: str, opened: Opened) -> Picture | None:
    try:
        data = opened(file)
        with unquoted():
            return read_dicom(data, windowed=True) if is_dicom(data) else read_raster(data)
    except (MedloopError, UnreadablePicture):
        return None


def _is_coloured(picture: Picture) -> bool:
    tint = np.ptp(picture.values.astype(np.int32), axis=0).mean()
    return picture.colour == "rgb" and bool(tint > TINT * 2 ** (picture.depth - 8))


def _recordings(files: Sequence[str], opened: Opened) -> Guess:
    found = [recording for file in files if (recording := _recording(file, opened))]
    if not found:
        return Guess(drop="recordings? none of those looked at can be read", matters=(RATES,))
    rates = Counter(recording.rate for recording in found if recording.rate)
    shared = [name for name in found[0].channels if all(name in recording.channels for recording in found)]
    differ = any(list(recording.channels) != shared for recording in found)
    timed = all(recording.times is not None for recording in found)
    untold = "the files hold moments" if timed else "CHECK: no file tells its rate, write it: rate: 100"
    note = f"channels {listed(shared)}; {f'{len(rates)} sampling rates' if len(rates) > 1 else '' if rates else untold}"
    column = Column(
        type="sequence",
        rate=rates.most_common(1)[0][0] if rates else None,
        channels=tuple(shared) if differ else (),
    )
    return Guess(column=column, note=note.rstrip("; "), matters=(RATES,))


def _recording(file: str, opened: Opened) -> Recording | None:
    try:
        return read_recording(file, opened, ())
    except (MedloopError, UnreadableRecording):
        return None


def _is_there(opened: Opened, file: str) -> bool:
    try:
        return bool(opened(file))
    except MedloopError:
        return False


def _spread(files: Sequence[str]) -> list[str]:
    """At most SEEN of the files, evenly far apart."""
    return [files[at * len(files) // SEEN] for at in range(SEEN)] if len(files) > SEEN else list(files)


def _ending(file: str) -> str:
    return PurePosixPath(file).suffix[1:].lower()


def leaf_first(table: pd.DataFrame, pattern: str) -> pd.DataFrame:
    """The table of files with the column of their own names first, where a draft looks for an id."""
    leaf = pattern.rpartition("{")[2].partition("}")[0]
    return table[["@row", leaf, *(name for name in table.columns if name not in ("@row", leaf))]]
