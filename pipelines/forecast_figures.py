"""What the pages of results say and show of forecasts: what is said of a number, and each value ahead alone."""

from pipelines.number_figures import answer as number_answer
from pipelines.number_figures import counts, overlay
from pipelines.number_figures import sections as number_sections
from pipelines.page import section
from pipelines.result_tables import cell
from pipelines.tasks.forecasting import METRICS as OWN
from pipelines.tasks.forecasting import ForecastEvaluation
from pipelines.tasks.regression import METRICS

__all__ = ["answer", "counts", "overlay", "sections"]


def answer(evaluation: ForecastEvaluation) -> str:
    """What the model is worth, in a sentence."""
    return f"{number_answer(evaluation)} MASE {evaluation.metrics['mase']}: {_against(evaluation)}."


def sections(evaluation: ForecastEvaluation) -> list[str]:
    """Those of a number, of by how much values differ from the last known one, and a table by value ahead."""
    told = "Predicted and observed are by how much a value differs from the last known one"
    metrics, *figures = number_sections(evaluation)
    return [metrics, section("By value ahead", f"The next value first. {told}", _steps(evaluation)), *figures]


def _against(evaluation: ForecastEvaluation) -> str:
    of = evaluation.metrics["mase"]
    if of.high is not None and of.high < 1:
        return "closer than the last known value going on"
    if of.low is not None and of.low > 1:
        return "further off than the last known value going on"
    return "not shown to be closer than the last known value going on"


def _steps(evaluation: ForecastEvaluation) -> str:
    named = {**METRICS, **OWN}
    head = "".join(f"<th>{metric.label}</th>" for metric in named.values())
    lines = "".join(
        f"<tr><td>{place}</td>{''.join(f'<td class=number>{cell(of[name])}</td>' for name in named)}</tr>"
        for place, of in enumerate(evaluation.steps, start=1)
    )
    return f"<table><tr><th>value</th>{head}</tr>{lines}</table>"
