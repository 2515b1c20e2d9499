# ruff: noqa: S608 - names in these queries are constants of these modules
"""Splink at work on the units: training and scoring, quietly and the same every time.

Belongs here: the calls of Splink. Does not belong here: levels and start values (probable_model), what a score means
(probable_odds), the table of pairs (probable).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from duckdb import DuckDBPyConnection

from referral_pipeline.identity import probable_model as model
from referral_pipeline.identity.probable_odds import all_pairs, joined_pairs, refined_by
from referral_pipeline.identity.probable_units import SCRATCH, Units

SEED = 20_240_229
SAMPLED_PAIRS = 2e6
_MOST_ROUNDS = 5
_SETTLED_BITS = 0.1
TRAINING_PAIRS = 1e6
_LEAST_TRAINING_PAIRS = 50
_DUPLICATES_PER_RECORD = 0.2
_KEEP_ALL_UP_TO = 100_000
LOWEST_WEIGHT = -7.0
"""In large data pairs below (a probability of 0.8 %) are not even written down."""


@contextmanager
def quiet() -> Generator[None]:
    """Nothing of Splink's own reporting: its warnings quote SQL, and what it has to say is in the report."""
    logger = logging.getLogger("splink")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def linker_for(connection: DuckDBPyConnection, units: Units, settings: Any, *, over: str = "unit") -> Any:
    """A Splink linker over the units, with our frequencies. The current schema must be that of the units."""
    from splink import DuckDBAPI, Linker

    api = DuckDBAPI(connection=connection)
    linker = Linker(api.register(over), settings, log_level=None, validate_settings=False)
    for column in units.frequencies:
        linker.table_management.register_term_frequency_lookup(api.register(f"tf_{column}"), column)
    return linker


def train_and_score(connection: DuckDBPyConnection, units: Units) -> tuple[model.Trained, str]:
    """Train and score; answers the model and the table of scored pairs of different persons."""
    start = model.comparisons(units)
    if units.units < model.MINIMUM_UNITS:
        trained = model.Trained(start, min(0.5, _DUPLICATES_PER_RECORD / max(units.units - 1, 1)), (), {})
    else:
        trained = train(connection, units, start)
    rules = [f"l.{block} = r.{block} AND l.person_no <> r.person_no" for block in units.blocks.values()]
    is_large = units.units > _KEEP_ALL_UP_TO
    scored = _predict(connection, units, trained, rules, lowest=LOWEST_WEIGHT if is_large else None)
    # In large data a random sample holds next to no pairs of one person: there is nothing to free u of.
    for _ in range(0 if is_large or not trained.passes else _MOST_ROUNDS):
        refined = refined_by(connection, f"{SCRATCH}.{scored}", trained).match
        better = replace(trained, comparisons=model.corrected(start, trained.learnt, refined), prior=refined)
        if _is_settled(trained, better):
            break
        trained = better
        scored = _predict(connection, units, trained, rules, lowest=None)
    return trained, f"{SCRATCH}.{scored}"


def _predict(
    connection: DuckDBPyConnection, units: Units, trained: model.Trained, rules: Sequence[str], *, lowest: float | None
) -> str:
    linker = linker_for(connection, units, model.settings(trained.comparisons, trained.prior, rules))
    found = linker.inference.predict(threshold_match_weight=lowest, warning_mode="never")
    return str(found.physical_name)


def _is_settled(trained: model.Trained, better: model.Trained) -> bool:
    """Whether no weight would change: in large data the random sample holds next to no duplicates."""
    return all(
        abs(math.log2(new.u / old.u)) < _SETTLED_BITS
        for one, two in zip(trained.comparisons, better.comparisons, strict=True)
        for old, new in zip(one.levels, two.levels, strict=True)
    )


def train(connection: DuckDBPyConnection, units: Units, start: Sequence[model.Comparison]) -> model.Trained:
    """What these units teach: u by a seeded random sample, m by EM over every blocking that has pairs enough."""
    prior = _first_prior(connection, units)
    rules = [f"l.{block} = r.{block}" for block in units.blocks.values()]
    passes = {
        words: rule
        for words, rule in model.training_rules(units).items()
        if _one(connection, f"SELECT count(*) FROM counted l JOIN counted r ON {rule} AND l.unit_id < r.unit_id")
        >= _LEAST_TRAINING_PAIRS
    }
    linker = linker_for(connection, units, model.settings(start, prior, rules), over="counted")
    linker.training.estimate_u_using_random_sampling(
        max_pairs=SAMPLED_PAIRS, seed=SEED, min_count_per_level=None, num_chunks=1
    )
    for rule in passes.values():
        linker.training.estimate_parameters_using_expectation_maximisation(
            rule, estimate_without_term_frequencies=True, max_pairs=TRAINING_PAIRS
        )
    learnt = _learnt(linker.misc.save_model_to_json())
    return model.Trained(model.corrected(start, learnt, prior), prior, tuple(passes), learnt)


def _learnt(saved: dict[str, Any]) -> dict[str, list[tuple[float | None, float | None]]]:
    return {
        comparison["output_column_name"]: [
            (level.get("m_probability"), level.get("u_probability"))
            for level in comparison["comparison_levels"]
            if not level.get("is_null_level")
        ]
        for comparison in saved["comparisons"]
    }


def _first_prior(connection: DuckDBPyConnection, units: Units) -> float:
    """Pairs that the rules joined or that agree in name and one thing more, as a share of all pairs."""
    name = units.blocks["full name"]
    same = " OR ".join(
        f"l.{column} = r.{column}" for column in ("local", "phone", *(extra.column for extra in units.extras))
    )
    pairs = _one(
        connection,
        f"""
        SELECT count(*) FROM counted l JOIN counted r ON l.unit_id < r.unit_id AND l.{name} = r.{name}
            AND l.person_no <> r.person_no AND ({same})
        """,
    )
    return min(0.5, (pairs + joined_pairs(connection) + 1) / all_pairs(connection) / 0.7)


def _one(connection: DuckDBPyConnection, sql: str) -> Any:
    return connection.execute(sql).fetchall()[0][0]
