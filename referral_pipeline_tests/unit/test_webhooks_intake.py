"""The intake: whatever becomes of a commit, its senders hear of it, and the next delivery is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from referral_pipeline.webhooks.intake import Intake, NotCommitted
from referral_pipeline.webhooks.writer import Row, Taken
from referral_pipeline_tests.serving import run_apart


def test_after_a_commit_that_failed_the_next_delivery_is_still_answered() -> None:
    batches: list[Sequence[Row]] = []

    async def commit(rows: Sequence[Row]) -> list[Taken]:
        batches.append(rows)
        if len(batches) == 1:
            raise OSError("the disk is full")
        return [("ping", True) for _ in rows]

    async def two_deliveries() -> Taken:
        intake = Intake(commit)
        with pytest.raises(NotCommitted):
            await asyncio.wait_for(intake.submit(("advocacy", "one", b"{}")), timeout=10)
        answer = await asyncio.wait_for(intake.submit(("advocacy", "two", b"{}")), timeout=10)
        await intake.close()
        return answer

    assert run_apart(two_deliveries()) == ("ping", True)
    assert [[delivery_id for _, delivery_id, _ in rows] for rows in batches] == [["one"], ["two"]]


def test_what_comes_while_a_batch_is_committed_shares_the_next_commit() -> None:
    sizes: list[int] = []

    async def commit(rows: Sequence[Row]) -> list[Taken]:
        sizes.append(len(rows))
        await asyncio.sleep(0.01)
        return [("ping", True) for _ in rows]

    async def many() -> list[Taken]:
        intake = Intake(commit)
        first = intake.submit(("advocacy", "first", b"{}"))
        await asyncio.sleep(0)
        others = [intake.submit(("advocacy", str(number), b"{}")) for number in range(5)]
        answers = await asyncio.gather(first, *others)
        await intake.close()
        return answers

    assert run_apart(many()) == [("ping", True)] * 6
    assert sizes == [1, 5]


def test_closing_commits_what_is_still_waiting() -> None:
    kept: list[str] = []

    async def commit(rows: Sequence[Row]) -> list[Taken]:
        await asyncio.sleep(0.01)
        kept.extend(delivery_id for _, delivery_id, _ in rows)
        return [("ping", True) for _ in rows]

    async def leave() -> None:
        intake = Intake(commit)
        intake.submit(("advocacy", "one", b"{}"))
        await asyncio.sleep(0)
        intake.submit(("advocacy", "two", b"{}"))
        await intake.close()

    run_apart(leave())
    assert kept == ["one", "two"]


def test_whatever_fails_after_a_commit_the_next_delivery_is_still_answered() -> None:
    more: list[asyncio.Future[Taken]] = []

    async def two_deliveries() -> list[Taken]:
        async def committed(rows: Sequence[Row]) -> list[Taken]:
            if not more:  # it comes while the first is being committed
                more.append(intake.submit(("advocacy", "two", b"{}")))
            return [("ping", True)] * len(rows)

        def cannot_count(*_: float) -> None:
            raise RuntimeError("no such figure")

        intake = Intake(committed, observe=cannot_count)
        first = await asyncio.wait_for(intake.submit(("advocacy", "one", b"{}")), timeout=10)
        second = await asyncio.wait_for(more[0], timeout=10)
        await intake.close()
        return [first, second]

    assert run_apart(two_deliveries()) == [("ping", True)] * 2
