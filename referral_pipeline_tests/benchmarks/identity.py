"""Who is one person: how right the rules and the review list are, and what they cost.

Belongs here: `fake_1000` (public data of Splink's authors, beside this repository), synthetic records of
`identity_data`, sizes up to a million, Splink alone as the yardstick. Does not belong here: the synthetic people.

Pairs are pairs of records. Found are those within one person, and those in the review at the default threshold. Each
size is measured in a fresh process (`identity_task`), so that memory is its own.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from referral_pipeline.identity.probable import DEFAULT_THRESHOLD
from referral_pipeline.warehouse.trial import Trial, run_trial
from referral_pipeline_tests.benchmarks.identity_data import synthetic_records
from referral_pipeline_tests.benchmarks.result import Result

_REPOSITORY = Path(__file__).resolve().parents[2]
_REFERENCE = Path(os.environ.get("REFERENCE_DIR", _REPOSITORY.parent / "shared"))
_CURVE = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99)
_BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.01)
_UNTUNED_RECALL = 0.716
_LEAST_PRECISION = 0.99
_LEAST_MERGE_PRECISION = 0.999
_MOST_SECONDS, _MOST_SECONDS_ON_TOP, _MOST_GIB, _MOST_RATIO = 30.0, 3.0, 6.0, 1.2

Pair = tuple[str, str]


@dataclass
class _Told:
    """Figures as they come, and which bounds were missed."""

    figures: dict[str, float | int | str] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def must(self, what: str, holds: bool) -> None:
        if not holds:
            self.missed.append(what)


def run(quick: bool) -> Result:
    """Quality on public and on synthetic data, a shared mailbox, then cost by size."""
    told = _Told()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        _public(told, home)
        _synthetic(told, home, 5_000 if quick else 20_000)
        _shared_mailbox(told, home)
        for records in (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000):
            _cost(told, home, records)
    if told.missed:
        told.figures["missed"] = "; ".join(told.missed)
    return Result(name="identity", figures=told.figures, ratios=told.ratios, holds=not told.missed)


# ---------------------------------------------------------------- quality


@dataclass(frozen=True)
class _Outcome:
    """What a trial found: merged pairs, scored pairs by probability, those that the rules doubt, and the truth."""

    trial: Trial
    merged: frozenset[Pair]
    review: Mapping[Pair, float]
    doubted: frozenset[Pair]
    true: frozenset[Pair]

    def found(self, threshold: float) -> set[Pair]:
        return {*self.merged, *(pair for pair, probability in self.review.items() if probability >= threshold)}

    def quality(self, pairs: Iterable[Pair]) -> tuple[float, float]:
        found = set(pairs)
        right = len(found & self.true)
        return (right / len(found) if found else 1.0), right / len(self.true)


def _tried(home: Path, rows: list[dict[str, Any]], truth: Mapping[str, str], compare: tuple[str, ...]) -> _Outcome:
    names = ("record_id", "first_name", "last_name", "email", "phone", "country", *compare)
    file, people, review = home / "in.csv", home / "people.csv", home / "pairs.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    trial = run_trial(file, people=people, review=review, compare=compare, threshold=0.01, shared_mailbox_limit=3)
    persons = {row["record_id"]: row["person_id"] for row in _read(people)}
    lines = {(row["left"], row["right"]): row for row in _read(review)}
    return _Outcome(
        trial,
        _within(persons),
        {pair: float(row["probability"] or 0) for pair, row in lines.items()},
        frozenset(pair for pair, row in lines.items() if row["evidence"].startswith(("email:", "phone:"))),
        _within(truth),
    )


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _within(group_of: Mapping[str, str]) -> frozenset[Pair]:
    groups: dict[str, list[str]] = {}
    for record, group in group_of.items():
        groups.setdefault(group, []).append(record)
    return frozenset(pair for members in groups.values() for pair in combinations(sorted(members), 2))


def _closed(pairs: Iterable[Pair]) -> frozenset[Pair]:
    """These pairs and all that follow from them when each is taken as one person."""
    parents: dict[str, str] = {}

    def root(record: str) -> str:
        while (parent := parents.setdefault(record, record)) != record:
            parents[record] = parents[parent]
            record = parent
        return record

    for left, right in pairs:
        parents[root(left)] = root(right)
    return _within({record: root(record) for record in list(parents)})


def _tell(told: _Told, name: str, outcome: _Outcome) -> None:
    """Merges, merges plus review, the curve, and how reliable the probabilities are."""
    figures = told.figures
    precision, recall = outcome.quality(outcome.merged)
    figures[f"{name}_merge_precision"], figures[f"{name}_merge_recall"] = round(precision, 5), round(recall, 4)
    told.must(f"{name}: precision of merges", precision >= _LEAST_MERGE_PRECISION)
    found = outcome.found(DEFAULT_THRESHOLD)
    for suffix, pairs in (("", found), ("_closed", _closed(found)), ("_with_doubts_of_rules", found | outcome.doubted)):
        precision, recall = outcome.quality(pairs)
        figures[f"{name}_review{suffix}_precision"] = round(precision, 4)
        figures[f"{name}_review{suffix}_recall"] = round(recall, 4)
    curve = ((threshold, *outcome.quality(outcome.found(threshold))) for threshold in _CURVE)
    figures[f"{name}_curve"] = "; ".join(f"{t}: precision {p:.4f} recall {r:.4f}" for t, p, r in curve)
    figures[f"{name}_reliability"] = _reliability(outcome)


def _reliability(outcome: _Outcome) -> str:
    """By probability: how many listed pairs, their mean probability, and the share that is right."""
    rows: list[str] = []
    for low, high in pairwise(_BINS):
        pairs = [(pair, p) for pair, p in outcome.review.items() if low <= p < high]
        if pairs:
            mean = sum(p for _, p in pairs) / len(pairs)
            right = sum(pair in outcome.true for pair, _ in pairs) / len(pairs)
            rows.append(f"{mean:.3f} said, {right:.3f} right of {len(pairs)}")
    return "; ".join(rows)


def _public(told: _Told, home: Path) -> None:
    rows: list[dict[str, Any]] = [
        {**row, "record_id": row["unique_id"], "last_name": row["surname"]}
        for row in _read(_REFERENCE / "datasets" / "fake_1000.csv")
    ]
    truth = {row["record_id"]: row["cluster"] for row in rows}
    _tell(told, "fake_1000", outcome := _tried(home, rows, truth, ("dob", "city")))
    precision, recall = outcome.quality(outcome.found(DEFAULT_THRESHOLD))
    told.must("fake_1000: precision of merges and review", precision >= _LEAST_PRECISION)
    told.must("fake_1000: recall above Splink untuned", recall > _UNTUNED_RECALL)
    _tell(told, "fake_1000_names_and_email", _tried(home, rows, truth, ()))


def _synthetic(told: _Told, home: Path, records: int) -> None:
    frame = synthetic_records(records, seed=7).astype(object)
    rows: list[dict[str, Any]] = frame.where(frame.notna(), None).to_dict("records")
    truth = {row["record_id"]: str(row["person"]) for row in rows}
    told.figures["synthetic_records"] = records
    _tell(told, "synthetic", outcome := _tried(home, rows, truth, ("dob", "city")))
    precision, recall = outcome.quality(outcome.found(DEFAULT_THRESHOLD))
    told.must("synthetic: precision of merges and review", precision >= _LEAST_PRECISION)
    told.must("synthetic: recall above Splink untuned", recall > _UNTUNED_RECALL)
    _tell(told, "synthetic_names_and_contacts", _tried(home, rows, truth, ()))


def _shared_mailbox(told: _Told, home: Path) -> None:
    """Thirty people and one mailbox; two of them applied twice."""
    frame = synthetic_records(40, seed=3).drop_duplicates("person").head(30)
    rows: list[dict[str, Any]] = [
        {"record_id": f"m{n}", "first_name": row.first_name, "last_name": row.last_name, "email": "team@example.com"}
        for n, row in enumerate(frame.itertuples())
    ]
    rows += [{**row, "record_id": f"{row['record_id']}-again"} for row in rows[:2]]
    truth = {row["record_id"]: row["record_id"].removesuffix("-again") for row in rows}
    outcome = _tried(home, rows, truth, ())
    wrong = len(outcome.merged - outcome.true)
    told.figures["shared_mailbox_people"] = len(set(truth.values()))
    told.figures["shared_mailbox_wrong_merges"] = wrong
    told.must("shared mailbox: wrong merges", wrong == 0)


# ---------------------------------------------------------------- cost


def _cost(told: _Told, home: Path, records: int) -> None:
    name = f"{records // 1000}k"
    _task("make", home, str(records))
    canonical, rules = _task("canonical", home), _task("rules", home)
    for what, measured in (("canonical", canonical), ("rules", rules)):
        for key, value in measured.items():
            told.figures[f"{name}_{what}_{key}"] = value
    if records >= 1_000_000:
        told.must("1,000 records on top of 1M: seconds", rules["on_top_seconds"] < _MOST_SECONDS_ON_TOP)
        told.must("1M through the rules: seconds", rules["seconds"] < _MOST_SECONDS)
        told.must("1M through the rules: memory", rules["peak_gib"] < _MOST_GIB)
    ours, alone = _task("review", home), _task("splink", home)
    for what, measured in (("review", ours), ("splink_alone", alone)):
        for key, value in measured.items():
            told.figures[f"{name}_{what}_{key}"] = value
    # Both from the records on. The second ratio leaves out, for Splink only, what makes the compared columns.
    ratio = round(ours["seconds"] / (alone["preparation_seconds"] + alone["seconds"]), 2)
    told.ratios[f"{name}_review_to_splink_alone"] = ratio
    told.ratios[f"{name}_review_to_splink_alone_with_columns_given"] = round(ours["seconds"] / alone["seconds"], 2)
    if records >= 1_000_000:
        told.must("1M: review scoring to Splink alone", ratio <= _MOST_RATIO)


def _task(task: str, home: Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "referral_pipeline_tests.benchmarks.identity_task", task, str(home), *more]
    done = subprocess.run(command, cwd=_REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)
