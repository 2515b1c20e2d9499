"""The one bridge to Great Expectations: rules in, counts out.

Belongs here: building a suite per frame, validating it once, and reading counts from the answer. Does not belong here:
what the rules are (`rules`), where frames come from (`frames`), Dagster.

Invariants
1. No value of a row leaves this module: results are asked for with no sample of unexpected values, exceptions of Great
   Expectations (which may quote a value) are counted and dropped, its loggers are silent while it runs.
2. A missing table or column, or values that cannot be compared, fail their rules; they never raise.
3. Nothing is written, and no frame is kept: the context is ephemeral, and its one data source, which holds on to the
   last frame that it was given, is given an empty one after each run.
4. An empty table passes: no row breaks a rule. Its columns are judged all the same.

Great Expectations takes 3 to 8 seconds to import, so it is imported when the first rules run.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from referral_pipeline.quality.rule import Rule
from referral_pipeline.quality.rules import rules_for_table

if TYPE_CHECKING:
    import pandas as pd

_COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0}
_LOGGER = "great_expectations"
_one_at_a_time = threading.RLock()  # the context and its data source are shared by the process


@dataclass(frozen=True)
class RuleResult:
    """What one rule found. Counts only: `failed_rows` of `total_rows` (rows of the rule's frame)."""

    rule: Rule
    passed: bool
    failed_rows: int
    total_rows: int
    message: str


def run_rules(frames: Callable[[str], pd.DataFrame], table: str) -> list[RuleResult]:
    """Judge every rule of `table`, in the order of the rules.

    `frames` answers a DataFrame by frame name (`quality.frames.frame_for` bound to a warehouse); a frame without
    columns is a table that does not exist. Each frame is read once, validated once and let go.
    """
    by_frame: dict[str, list[Rule]] = {}
    for rule in rules_for_table(table):
        by_frame.setdefault(rule.frame, []).append(rule)
    results: dict[str, RuleResult] = {}
    for name, rules in by_frame.items():
        results.update((result.rule.name, result) for result in _judge(frames(name), rules))
    return [results[rule.name] for rule in rules_for_table(table)]


def _judge(frame: pd.DataFrame, rules: Sequence[Rule]) -> list[RuleResult]:
    total = len(frame)
    results: list[RuleResult] = []
    answerable: list[Rule] = []
    for rule in rules:
        missing = [column for column in rule.expectation.columns if column not in frame.columns]
        if not missing:
            answerable.append(rule)
        elif len(frame.columns) == 0:
            results.append(_unanswered(rule, total, f"table {rule.table} is missing"))
        else:
            results.append(_unanswered(rule, total, f"{_needs(missing)} missing from {rule.table}"))
    if answerable:
        answers = _validate(frame, answerable)
        results += [_read(rule, answers.get(rule.name), frame) for rule in answerable]
    return results


def _needs(missing: Sequence[str]) -> str:
    return f"column {missing[0]} is" if len(missing) == 1 else f"columns {', '.join(missing)} are"


def _unanswered(rule: Rule, total: int, reason: str) -> RuleResult:
    return RuleResult(rule, False, total, total, f"{rule.name}: could not be judged, {reason}. Mend: {rule.mend}")


def _read(rule: Rule, answer: Mapping[str, Any] | None, frame: pd.DataFrame) -> RuleResult:
    """Turn one answer of Great Expectations into counts; an answer without counts means it could not compare."""
    total = len(frame)
    failed = None if answer is None else answer["result"].get("unexpected_count")
    if answer is None or failed is None:
        columns = ", ".join(rule.expectation.columns)
        return _unanswered(rule, total, f"the values of {columns} are of mixed or unexpected types")
    if answer["success"]:
        return RuleResult(rule, True, 0, total, f"{rule.name}: {total} {rule.unit} passed.")
    details = f" {_misfits(frame)}." if rule.view == "columns" else ""
    message = f"{rule.name}: {failed} of {total} {rule.unit} failed.{details} Mend: {rule.mend}"
    return RuleResult(rule, False, int(failed), total, message)


def _misfits(columns: pd.DataFrame) -> str:
    """Which columns are not as declared: names and kinds, which are no data of anybody."""
    wrong = columns[columns["found"] != columns["expected"]]
    return "; ".join(
        f"{name} is {found}" + ("" if found == "missing" else f" and should be {expected}")
        for name, expected, found in wrong[["column_name", "expected", "found"]].itertuples(index=False, name=None)
    )


def _validate(frame: pd.DataFrame, rules: Sequence[Rule]) -> dict[str, Mapping[str, Any]]:
    """Validate a frame against a suite of the rules; success and counts by rule name."""
    with _one_at_a_time, _silence():
        whole = _whole_frame()
        import great_expectations as gx
        from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

        suite = gx.ExpectationSuite(
            name=rules[0].frame,
            expectations=[
                ExpectationConfiguration(
                    type=rule.expectation.type, kwargs=dict(rule.expectation.kwargs), meta={"rule": rule.name}
                ).to_domain_obj()
                for rule in rules
            ],
        )
        try:
            batch = whole.get_batch(batch_parameters={"dataframe": _comparable(frame)})
            answer = batch.validate(suite, result_format=_COUNTS_ONLY)
        finally:
            # Frames of one asset have one id, so the next that is loaded takes the place of the last.
            nothing = whole.get_batch(batch_parameters={"dataframe": frame.iloc[:0, :0]})
            nothing.validate(gx.ExpectationSuite(name="nothing"))
        return {
            one.expectation_config.meta["rule"]: {"success": bool(one.success), "result": one.result}
            for one in answer.results
        }


def _comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """UTC instants without their zone: comparing bare arrays of zoned ones is deprecated since pandas 3.1."""
    zoned = frame.select_dtypes("datetimetz")
    return frame.assign(**{str(column): zoned[column].dt.tz_convert(None) for column in zoned.columns})


@cache
def _whole_frame() -> Any:
    """The definition by which the process hands over each frame, in an ephemeral context of its own.

    One for all: each data source, asset or definition that is added or deleted writes the context's whole configuration
    anew, 15 ms each time. No progress bars, no usage statistics, no files.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read at import by releases that still report usage
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas(name="tables").add_dataframe_asset(name="frame")
    return asset.add_batch_definition_whole_dataframe("whole")


@contextmanager
def _silence() -> Generator[None]:
    """Keep Great Expectations from logging: its errors quote values. Its level is put back afterwards."""
    logger = logging.getLogger(_LOGGER)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)  # its modules have no level of their own and follow
    try:
        yield
    finally:
        logger.setLevel(level)
