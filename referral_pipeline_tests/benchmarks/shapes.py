"""What learning the shape of answers costs a call: its share of the time of calls to the sandboxes on loopback.

Loopback is the worst case: nothing else answers 500 rows within 4 ms. What must hold: on the average of many calls no
operation is slowed by more than 5 %. Beside it stands the median of the first few calls, of which each is looked at.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from referral_pipeline.connectors.factory import build_advocacy, build_ats
from referral_pipeline.connectors.protocols import Source
from referral_pipeline.connectors.records import Window
from referral_pipeline.connectors.shapes import ShapeRecorder
from referral_pipeline.connectors.vendors import shapes_of
from referral_pipeline.contract.loader import load_contract
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline.settings import load_settings
from referral_pipeline_tests.benchmarks.result import Result

MOST = 0.05
_FIRST = 4
_ENTITIES = {
    "advocacy": ("referrals", "shares", "clicks"),
    "ats": ("applications", "candidates", "job_interview_stages"),
}


class Timed(ShapeRecorder):
    """Measures itself."""

    spent = 0.0

    def answered(self, system: str, operation: str, data: Any) -> None:
        """As it is, and how long that took this thread."""
        started = time.thread_time()
        super().answered(system, operation, data)
        self.spent += time.thread_time() - started

    def noticed(self, system: str, operation: str, headers: Mapping[str, str]) -> None:
        """As it is, and how long that took this thread."""
        started = time.thread_time()
        super().noticed(system, operation, headers)
        self.spent += time.thread_time() - started


def run(quick: bool) -> Result:
    """Pull each entity again and again, from its newest page."""
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, Sandbox(size=ProgrammeSize()) as sandbox:
        os.environ.update(sandbox.environment(), REFERRAL_PIPELINE_HOME=folder)
        settings = load_settings(Path(folder))
        contract = load_contract(settings)
        with Ledger.open(contract.ledger.url, home=settings.home) as ledger:
            recorder = Timed(ledger.record_shapes, shapes_of)
            sources: dict[str, Source] = {
                "advocacy": build_advocacy(contract, settings, shapes=recorder),
                "ats": build_ats(contract, settings, shapes=recorder),
            }
            for side, entities in _ENTITIES.items():
                for entity in entities:
                    first = _shares(recorder, sources[side], entity, _FIRST)
                    ratios[f"{entity}_looked_at"] = statistics.median(first)
                    ratios[entity] = statistics.fmean(_shares(recorder, sources[side], entity, 40 if quick else 200))
            started = time.perf_counter()
            recorder.close()
            flush_ms = (time.perf_counter() - started) * 1000
            for source in sources.values():
                source.close()
            facts = len(ledger.shapes())
    return Result(
        "shapes",
        {"flush_ms": round(flush_ms, 1), "facts": facts},
        {name: round(ratio, 4) for name, ratio in ratios.items()},
        holds=all(ratio < MOST for name, ratio in ratios.items() if not name.endswith("_looked_at")),
    )


def _shares(recorder: Timed, source: Source, entity: str, calls: int) -> list[float]:
    """Of each of so many calls the share of its time that was spent in learning."""
    shares: list[float] = []
    for _ in range(calls):
        recorder.spent = 0.0
        started = time.perf_counter()
        next(iter(source.pull(entity, Window(None, datetime.now(UTC)))), None)
        shares.append(recorder.spent / (time.perf_counter() - started))
    return shares
