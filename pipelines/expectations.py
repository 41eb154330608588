"""Great Expectations, kept to what is needed: checks in, the names of the rows that fail out. Nothing is stored or sent."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from contracts.study import Bound, Frozen

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.datasource.fluent.interfaces import Batch
    from great_expectations.expectations.expectation import Expectation

# Only names of rows are asked for: no value leaves the table.
_ROWS_ONLY = {"result_format": "COMPLETE", "exclude_unexpected_values": True, "include_unexpected_rows": False}


class Rule(Frozen):
    """What every filled cell of a column must be: within bounds, one of a set, unique; or whether it is filled.

    Unset parts ask nothing; exactly one kind is set. `filled` True: no cell is missing; False: all are.
    """

    column: str
    low: Bound = None
    high: Bound = None
    among: tuple[str, ...] = ()
    unique: bool = False
    filled: bool | None = None


def failing_rows(table: pd.DataFrame, rules: Sequence[Rule]) -> list[list[Hashable]]:
    """By rule, the index labels of the rows of `table` that break it, in order.

    All rules are asked first for yes or no (about 5 ms each), then the few that are broken for their rows.
    """
    if not rules or table.empty:
        return [[] for _ in rules]
    columns = list(dict.fromkeys(rule.column for rule in rules))
    # Great Expectations reads some characters of a name, such as $, as its own.
    alias = {name: f"c{i}" for i, name in enumerate(columns)}
    batch = _batch(table[columns].rename(columns=alias).rename_axis(index="row"))
    asked = [_expectation(rule, alias[rule.column], i) for i, rule in enumerate(rules)]
    broken = [r for r in _validate(batch, asked, "BOOLEAN_ONLY").results if not r.success]
    found: list[list[Hashable]] = [[] for _ in rules]
    if broken:
        numbers = {r.expectation_config.meta["rule"] for r in broken}
        for result in _validate(batch, [asked[i] for i in sorted(numbers)], _ROWS_ONLY).results:
            found[result.expectation_config.meta["rule"]] = result.result["unexpected_index_list"][0]["row"]
    return found


def _batch(table: pd.DataFrame) -> "Batch":
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


def _validate(
    batch: "Batch", expectations: "Sequence[Expectation]", result_format: Any
) -> "ExpectationSuiteValidationResult":
    import great_expectations as gx

    suite = gx.ExpectationSuite("declared columns", expectations=list(expectations))
    return batch.validate(suite, result_format=result_format)


def _expectation(rule: Rule, column: str, number: int) -> "Expectation":
    from great_expectations import expectations as gxe

    meta = {"rule": number}
    if rule.among:
        return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(rule.among), meta=meta)
    if rule.unique:
        return gxe.ExpectColumnValuesToBeUnique(column=column, meta=meta)
    if rule.filled is not None:
        filled = gxe.ExpectColumnValuesToNotBeNull if rule.filled else gxe.ExpectColumnValuesToBeNull
        return filled(column=column, meta=meta)
    return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=rule.low, max_value=rule.high, meta=meta)
