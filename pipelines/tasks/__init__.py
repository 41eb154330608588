"""What evaluation knows of each task: its metrics, what they are ranked by, which settings of the steps fit it.

A module of the task's name here makes its evaluation; that of classes lies in `pipelines.evaluate`.
"""

from collections.abc import Mapping

from contracts.tasks import Task
from pipelines import evaluate, metrics
from pipelines.metrics import Metric
from pipelines.results import Result
from pipelines.tasks import forecasting, multilabel, ordinal, regression, survival, tagging

METRICS: dict[str, Metric] = {
    **metrics.METRICS,
    **ordinal.METRICS,
    **regression.METRICS,
    **survival.METRICS,
    **forecasting.METRICS,
    **tagging.METRICS,
}
RESULTS: dict[Task, type[Result]] = {
    "classes": evaluate.Evaluation,
    "ordinal": ordinal.OrdinalEvaluation,
    "regression": regression.NumberEvaluation,
    "forecasting": forecasting.ForecastEvaluation,
    "survival": survival.SurvivalEvaluation,
    "multilabel": multilabel.LabelsEvaluation,
    "tagging": tagging.TagsEvaluation,
}
# By task, section and setting of the steps, the values that fit, the usual one first; unnamed ones fit all.
SETTINGS: Mapping[Task, Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "classes": {"compare": {"metric": tuple(metrics.METRICS)}},
    "ordinal": {"compare": {"metric": ordinal.RANKING}},
    "regression": {"balance": {"method": ("none",)}, "compare": {"metric": regression.RANKING}},
    "forecasting": {"balance": {"method": ("none",)}, "compare": {"metric": forecasting.RANKING}},
    "survival": {"balance": {"method": ("none",)}, "compare": {"metric": survival.RANKING}},
    "multilabel": {"balance": {"method": ("none",)}, "compare": {"metric": multilabel.RANKING}},
    "tagging": {
        "normalize": {"tokens": ("words",)},
        "balance": {"method": ("none",)},
        "compare": {"metric": tagging.RANKING},
    },
}
