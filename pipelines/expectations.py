"""Great Expectations, kept to what is needed: rules in, the rows that break them out. Nothing is stored or sent."""

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from contracts.study import Bound, Frozen

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.datasource.fluent.interfaces import Batch
    from great_expectations.expectations.expectation import Expectation

# Only row numbers are asked for: no value leaves the table.
_ROWS_ONLY = {"result_format": "COMPLETE", "exclude_unexpected_values": True, "include_unexpected_rows": False}
_ONE_AT_A_TIME = threading.Lock()  # its context is the whole process's


class Rule(Frozen):
    """What every filled cell of a column must be: within bounds, one of a set; or whether it is filled.

    Unset parts ask nothing; exactly one kind is set. `filled` True: no cell is missing; False: all are.
    """

    column: str
    low: Bound = None
    high: Bound = None
    among: tuple[str, ...] = ()
    filled: bool | None = None


def failing_rows(table: pd.DataFrame, rules: Sequence[Rule]) -> list[list[int]]:
    """By rule, the positions of the rows of `table` that break it, ascending.

    All rules are asked first for yes or no (about 6 ms each), then the few that are broken for their rows.
    """
    found: list[list[int]] = [[] for _ in rules]
    if not rules or table.empty:
        return found
    columns = list(dict.fromkeys(rule.column for rule in rules))
    # Great Expectations reads some characters of a name, such as $, as its own.
    alias = {name: f"c{i}" for i, name in enumerate(columns)}
    with _ONE_AT_A_TIME:
        batch = _batch(table[columns].rename(columns=alias).reset_index(drop=True).rename_axis(index="row"))
        asked = [_expectation(rule, alias[rule.column], i) for i, rule in enumerate(rules)]
        broken = sorted(_number(r) for r in _results(batch, asked, "BOOLEAN_ONLY") if not r.success)
        for result in _results(batch, [asked[i] for i in broken], _ROWS_ONLY):
            found[_number(result)] = sorted(result.result["unexpected_index_list"][0]["row"])
    return found


def _batch(table: pd.DataFrame) -> "Batch":
    # It says hundreds of things at level INFO, which is where a scheduler sets the root.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars={"globally": False},
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    asset = context.data_sources.add_pandas("memory").add_dataframe_asset("table")
    return asset.add_batch_definition_whole_dataframe("whole").get_batch(batch_parameters={"dataframe": table})


def _results(
    batch: "Batch", expectations: "Sequence[Expectation]", result_format: Any
) -> "list[ExpectationValidationResult]":
    import great_expectations as gx

    if not expectations:
        return []
    suite = gx.ExpectationSuite("declared columns", expectations=list(expectations))
    results: list[ExpectationValidationResult] = batch.validate(suite, result_format=result_format).results
    return results


def _number(result: "ExpectationValidationResult") -> int:
    number: int = result.expectation_config.meta["rule"]
    return number


def _expectation(rule: Rule, column: str, number: int) -> "Expectation":
    from great_expectations import expectations as gxe

    meta = {"rule": number}
    if rule.among:
        return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(rule.among), meta=meta)
    if rule.filled is not None:
        filled = gxe.ExpectColumnValuesToNotBeNull if rule.filled else gxe.ExpectColumnValuesToBeNull
        return filled(column=column, meta=meta)
    return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=rule.low, max_value=rule.high, meta=meta)
