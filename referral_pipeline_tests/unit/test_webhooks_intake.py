"""The intake's one thread: whatever happens beside a commit, the next delivery is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from referral_pipeline.webhooks.intake import Intake
from referral_pipeline.webhooks.writer import Row, Taken
from referral_pipeline_tests.serving import run_apart


def test_whatever_fails_after_a_commit_the_next_delivery_is_still_answered() -> None:
    def committed(rows: Sequence[Row]) -> list[Taken]:
        return [("ping", True)] * len(rows)

    def cannot_wake() -> None:
        raise RuntimeError("nobody there")

    async def two_deliveries() -> list[Taken]:
        intake = Intake(committed, on_commit=cannot_wake)
        try:
            return [await asyncio.wait_for(intake.submit(("advocacy", "one", b"{}")), timeout=10) for _ in range(2)]
        finally:
            intake.close()

    assert run_apart(two_deliveries()) == [("ping", True)] * 2
