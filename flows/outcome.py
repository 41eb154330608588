"""What is shown when a study has run: its leaderboard, what validation found, the certificate, what is too good."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import listed
from flows import console
from flows.home import data_folder
from flows.store import read_json
from flows.studies import PARAMS, read_yaml, study_file

if TYPE_CHECKING:
    from pipelines.compare import Leaderboard

# From here on it is worth asking whether a column gives the label away; few models of patients are so good.
NEARLY_PERFECT = {
    "r2": ("R²", 0.98),
    "auroc": ("AUROC", 0.98),
    "qwk": ("kappa", 0.98),
    "concordance": ("concordance", 0.9),
}
TOLD = 3
OFF = 0.5  # of the share that was asked of a part


def show_result(root: Path, study: str) -> None:
    """The leaderboard with its verdict, what validation found, the certificate."""
    from pipelines.compare import Leaderboard, table

    board = Leaderboard.model_validate(read_json(data_folder(root, study, "compare") / "leaderboard.json"))
    certificate = read_json(data_folder(root, study, "audit") / "certificate.json")
    checked = read_json(data_folder(root, study, "validate") / "verdict.json")
    header, *rows = table(board)
    found = len(checked["findings"])
    console.show_leaderboard(f"{study}: {board.verdict}", header, rows)
    console.show_facts(
        {
            "validation": f"{checked['verdict']}: {found} finding{'s' * (found != 1)}, "
            f"{(data_folder(root, study, 'validate') / 'docs.html').relative_to(root)}",
            "certificate": f"{certificate['verdict']}: {certificate['sentence']}",
            **lopsided(root, study),
            **too_good(root, study, board),
            "figures": (data_folder(root, study, "compare") / "leaderboard.html").relative_to(root),
        }
    )


def show_parts(root: Path, studies: Sequence[str], since: float) -> None:
    """Of a run that failed: parts far from what was asked, where it made them; a class may be missing for that."""
    for study in studies:
        file = data_folder(root, study, "split") / "split.json"
        if file.is_file() and file.stat().st_mtime >= since:
            console.show_facts(lopsided(root, study))


def lopsided(root: Path, study: str) -> dict[str, str]:
    """Parts far from the shares that were asked, as where one text stands in most rows: it counts as one patient."""
    told = read_json(data_folder(root, study, "split") / "split.json")
    rows = sum(told["sizes"].values())
    if told["method"] not in ("stratified", "patient") or not rows:
        return {}
    # Not by flows.settings, which imports pandas: a run with nothing to do shows its parts in half a second.
    asked = {**(read_yaml(root / PARAMS)["split"] or {}), **(read_yaml(study_file(root, study))["split"] or {})}
    off = [
        f"{part} has {told['sizes'][part] / rows:.0%} of the rows instead of {asked[part]:.0%}"
        for part in ("validation", "test")
        if part in asked and abs(told["sizes"][part] / rows - asked[part]) > OFF * asked[part]
    ]
    why = "a patient's rows stay together, and rows with nearly the same text or picture count as one patient's"
    return {"parts": f"{listed(off)}: {why} (data/{study}/clean/ledger.json)"} if off else {}


def too_good(root: Path, study: str, board: "Leaderboard") -> dict[str, str]:
    """A nearly perfect model, and what it leans on: the certificate looks at one column at a time."""
    for row in board.rows:
        for metric, (name, limit) in NEARLY_PERFECT.items():
            told = row.metrics.get(metric)
            if told is None or told.value is None or (told.value if told.low is None else told.low) < limit:
                continue
            columns = _leans_on(root, study, row.model)
            known = f"it leans most on {columns}: make sure that" if columns else "make sure that all it reads"
            asked = "is known when the model will be asked" if not columns else "these are known when it will be asked"
            return {"too good?": f"{row.model} has {name} {told.value:.3f}; {known} {asked}"}
    return {}


def _leans_on(root: Path, study: str, model: str) -> str:
    file = data_folder(root, study, "explain") / model / "explanation.json"
    found: list[Any] = read_json(file)["importances"] if file.is_file() else []
    shown = [part["columns"] for part in found if (part["rise"]["low"] or 0) > 0]
    return listed([name for columns in shown[:TOLD] for name in columns][:TOLD])
