"""Values as the pages show them. Whatever a run is called, it is shown as plain text of a bearable length."""

import unicodedata
from datetime import UTC, datetime

from flows.board.runs import HIGH, LOW, Number, Row
from flows.board.view import SCORE

LONGEST = 120
HEADS = {"study": "Study", "model": "Model", "run": "Run", "started": "Started", "status": "State"}
PARTS = ("test_", "validation_", "fold_")
COSTS = {
    "cost_bytes": "Bytes kept",
    "cost_parameters": "Numbers kept",
    "cost_train_seconds": "Seconds to train",
    "cost_predict_seconds_per_1000_rows": "Seconds to predict 1,000 rows",
}


def plain(text: object, most: int = LONGEST) -> str:
    """A text of any origin on one line: signs that steer a terminal or the direction of writing are shown as ␣."""
    clipped = str(text)[: most + 1]
    safe = "".join("␣" if unicodedata.category(sign) in ("Cc", "Cf", "Cs") else sign for sign in clipped)
    return safe if len(safe) <= most else f"{safe[: most - 1]}…"


def figure(value: float) -> str:
    """Three decimals, or as many figures as an odd size needs; a count as it is."""
    if abs(value) >= 1e300:  # how MLflow keeps infinity
        return "∞" if value > 0 else "−∞"
    if 1 < value < 1e12 and value == int(value):
        return f"{value:,.0f}"
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:.3f}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def number(value: Number) -> str:
    """`0.871`, or of several `0.871 ± 0.004`."""
    return figure(value.value) + (f" ± {figure(value.deviation)}" if value.deviation is not None else "")


def around(value: Number) -> str:
    """Its interval, or of how many it is the mean."""
    if value.low is not None and value.high is not None:
        return f"{figure(value.low)} to {figure(value.high)}"
    return f"n = {value.count}" if value.count > 1 else ""


def label(metric: str) -> str:
    """What a metric is called, by the key that it is recorded under."""
    from pipelines.tasks import METRICS

    if metric in COSTS:
        return COSTS[metric]
    part = next((part for part in PARTS if metric.startswith(part)), "")
    known = METRICS.get(metric.removeprefix(part))
    what = "" if part in ("test_", "") else f", {part.rstrip('_')}"
    if known:
        return f"{known.label}{what}"
    return plain(f"{metric.removeprefix(part).replace('_', ' ').capitalize()}{what}" if part else metric, 60)


def lower_is_better(metric: str) -> bool:
    """Whether less of it is better; of what is not known, no."""
    from pipelines.tasks import METRICS

    known = METRICS.get(next((metric.removeprefix(part) for part in PARTS if metric.startswith(part)), metric))
    return bool(known and not known.higher_is_better)


def head(column: str, metric: str = "") -> str:
    """What a column is called. metric: that of the study, where all runs are of one."""
    prefix, _, key = column.partition(".")
    if column == SCORE:
        return label(metric) if metric else "Main metric"
    return HEADS.get(column) or (label(key) if prefix == "metrics" else plain(key, 60))


def cell(row: Row, column: str, *, alone: bool = False) -> tuple[str, str]:
    """What a row shows in a column, and what stands behind it in small. alone: all rows are of one study."""
    prefix, _, key = column.partition(".")
    metric = row.score if column == SCORE else key
    if prefix in ("metrics", SCORE):
        found = row.numbers.get(metric)
        name = f"{label(metric)} " if column == SCORE and not alone else ""
        return (number(found), f"{name}{around(found)}") if found else ("", "")
    values = row.values.get(column, [])
    return plain(", ".join(values[:3])), f"{len(values)} values" if len(values) > 3 else ""


def day(milliseconds: int | None) -> str:
    """A moment, UTC."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M}" if milliseconds else ""


def is_end(metric: str) -> bool:
    """Whether a metric is the end of another's interval."""
    return metric.endswith((LOW, HIGH))
