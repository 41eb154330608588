"""All columns that may give the label away: alone, by arithmetic, or as another time of the same follow-up."""

import numpy as np
import pandas as pd

from contracts.follow_up import followed
from contracts.tables import Schema
from pipelines.label_arithmetic import given_away
from pipelines.labels import graded
from pipelines.leaks import ORDERED, LeakParams, Suspect, answers_of, lower_bound, single_feature_suspects, suspect_of


def suspects_of(samples: pd.DataFrame, schema: Schema, params: LeakParams) -> list[Suspect]:
    """The suspects of samples with their labels; one entry a column, the plainest."""
    target, classes = graded(samples["@target"], schema)
    found = [suspect_of(name, "arithmetic", share, told) for name, (share, told) in given_away(samples, schema).items()]
    found += single_feature_suspects(samples, target, schema.model_copy(update={"classes": classes}), params)
    found += follow_up_suspects(samples, schema, params) if schema.task == "survival" else []
    plainest: dict[str, Suspect] = {}
    for suspect in found:
        plainest.setdefault(suspect.column, suspect)
    return list(plainest.values())


def follow_up_suspects(samples: pd.DataFrame, schema: Schema, params: LeakParams) -> list[Suspect]:
    """Columns that tell how long somebody was followed, which is known only when it is over.

    Asked of rows with the event alone: of all others the follow-up may end on one day, and so be told by its beginning.
    """
    from scipy.stats import kendalltau

    time, happened = followed(samples["@target"].to_numpy())
    found = []
    for name, column in schema.features.items():
        answers = answers_of(samples[name], column)
        at = happened & (answers >= 0)
        if column.type not in ORDERED or at.sum() < 2:
            continue
        concordance = (1 + abs(np.nan_to_num(kendalltau(answers[at], time[at]).statistic))) / 2
        bound = lower_bound(concordance, float(at.sum()))
        if bound >= params.auroc:
            told = f"alone, it tells how long those with the event were followed (concordance {concordance:.2f})"
            found.append(suspect_of(name, "value", bound, told))
    return found
