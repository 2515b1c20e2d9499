"""How long an event takes from the sender to the other system, both ways, beside the bare calls and the sensor alone.

A latency begins when the sender sends its webhook for the first time and ends when the other system has what it is
for: an application that carries the referral's tag, or the status of a referral. Both moments are the sandbox's own.
Half a period after each event the calls that an event takes are made bare, for somebody else: what the machine does
besides changes from minute to minute, and so meets both.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.sandbox.launch import Control, Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline_tests.benchmarks.bare import Bare, first_calls, usual_calls
from referral_pipeline_tests.benchmarks.live import Live, percentile
from referral_pipeline_tests.benchmarks.result import Result
from referral_pipeline_tests.pipeline.conftest import installed

_WARM_UP = 5
_LEARN = 10
_SENSOR_EVENTS = 3
_SENSOR_SECONDS = 180.0
_P50_MS, _P95_MS, _TIMES_BARE = 40.0, 120.0, 2.0

Spans = dict[str, tuple[float, float]]
"""By referral: when its webhook was sent, when the other system had it."""


def run(quick: bool) -> Result:
    """200 events at 2 per second each way (40 at 4 when quick), the same calls bare, and a few by the sensor alone."""
    events, rate = (40, 4.0) if quick else (200, 2.0)
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        Sandbox(size=ProgrammeSize.small(), greenhouse={"rate_limit": 1_000_000}) as sandbox,
    ):
        installation = installed(Path(folder) / "home", sandbox, patch)
        installation.refresh()
        with Live(installation) as live:
            live.start("receiver", "lane")
            return _measured(live, _Flow(live, sandbox, rate), events)


def _measured(live: Live, flow: _Flow, events: int) -> Result:
    strangers = flow.strangers(events)
    flow.tell(True)
    flow.submit(_WARM_UP)  # the first ones also read what is then remembered
    live.idle(seconds=60)
    began = time.time()
    first = flow.arrived(flow.submit(_LEARN))
    forward_calls = usual_calls(live.calls(began), first.values())
    began = time.time()
    applications = flow.applications(first)
    back = flow.advance(applications)
    back_calls = usual_calls(live.calls(began), back.values())
    one = next(iter(applications.values()))
    bare = Bare(flow.sandbox, candidate_id=one["candidate_id"], application_id=one["application_id"], job_id=flow.job)
    live.idle(seconds=60)

    began = time.time()
    bare_forward_began: dict[str, float] = {}
    sent = flow.submit(
        events, lambda i: bare_forward_began.update({strangers[i]: bare.make(forward_calls, strangers[i])})
    )
    forward = flow.arrived(sent)
    bare_forward = flow.ended(bare_forward_began, flow.applied())
    made = live.calls(began)
    is_like = usual_calls(made, forward.values()) == forward_calls
    forward_begins = [seconds * 1000 for seconds in first_calls(made, forward.values())]
    received = flow.received_ms("advocacy", began)
    live.idle(seconds=60)

    began = time.time()
    bare_back_began: dict[str, float] = {}
    applications = flow.applications(forward)
    back = flow.advance(
        applications, lambda i: bare_back_began.update({strangers[i]: bare.make(back_calls, strangers[i])})
    )
    bare_back = flow.ended(bare_back_began, flow.told(began))
    made = live.calls(began)
    is_like = is_like and usual_calls(made, back.values()) == back_calls
    back_begins = [seconds * 1000 for seconds in first_calls(made, back.values())]
    live.idle(seconds=60)

    live.stop("lane")
    live.start("daemon")
    flow.tell(True)
    by_sensor = flow.one_by_one(_SENSOR_EVENTS)

    there, back_ms = _ms(forward), _ms(back)
    bare_there, bare_back_ms = _ms(bare_forward), _ms(bare_back)
    ratios = {
        "forward_to_bare_p50": round(percentile(there, 0.5) / percentile(bare_there, 0.5), 2),
        "return_to_bare_p50": round(percentile(back_ms, 0.5) / percentile(bare_back_ms, 0.5), 2),
        "sensor_only_to_lane_p50": round(percentile(_ms(by_sensor), 0.5) / percentile(there, 0.5), 1),
    }
    holds = (
        len(forward) == len(sent)
        and len(back) == len(applications)
        and len(bare_forward) == len(bare_back) == events
        and is_like
        and all(percentile(one, 0.5) <= _P50_MS and percentile(one, 0.95) <= _P95_MS for one in (there, back_ms))
        and max(ratios["forward_to_bare_p50"], ratios["return_to_bare_p50"]) <= _TIMES_BARE
    )
    return Result(
        name="event_latency",
        figures={
            "events": len(sent),
            **_figures("forward", there),
            **_figures("return", back_ms),
            **_figures("bare_forward", bare_there),
            **_figures("bare_return", bare_back_ms),
            "received_p50_ms": round(percentile(received, 0.5), 1),
            "forward_first_call_p50_ms": round(percentile(forward_begins, 0.5), 1),
            "return_first_call_p50_ms": round(percentile(back_begins, 0.5), 1),
            "forward_calls": " ".join(operation for _, operation in forward_calls),
            "bare_calls_are_those_of_the_events": is_like,
            "return_calls": " ".join(operation for _, operation in back_calls),
            "forward_missing": len(sent) - len(forward),
            "return_missing": len(applications) - len(back),
            "sensor_only_events": len(by_sensor),
            "sensor_only_p50_ms": round(percentile(_ms(by_sensor), 0.5), 1),
        },
        ratios=ratios,
        holds=holds,
    )


def _ms(spans: Spans) -> list[float]:
    return [(end - start) * 1000 for start, end in spans.values()]


def _figures(name: str, values: Sequence[float]) -> dict[str, float]:
    shares = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    return {f"{name}_{word}_ms": round(percentile(values, share), 1) for word, share in shares.items()}


class _Flow:
    """Both sandboxes as their people use them, one act after the other at a steady rate."""

    def __init__(self, live: Live, sandbox: Sandbox, rate: float) -> None:
        self._live = live
        self.sandbox = sandbox
        self._rate = rate
        self._advocacy: Control = sandbox.control("advocacy")
        self._ats: Control = sandbox.control("greenhouse")
        self.job = next(str(row["id"]) for row in self._ats.dump()["jobs"] if row["status"] == "open")

    def tell(self, on: bool) -> None:
        """Whether the sandboxes send webhooks."""
        for control in (self._advocacy, self._ats):
            control.webhooks(url=self._live.url if on else None)

    def paced(self, count: int, act: Callable[[int], None], between: Callable[[int], object] | None) -> None:
        """Do something `count` times at the rate, whatever it takes, and something else half a period after each."""
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(began + number / self._rate - time.monotonic(), 0.0))
            act(number)
            if between is not None:
                time.sleep(max(began + (number + 0.5) / self._rate - time.monotonic(), 0.0))
                between(number)

    def strangers(self, count: int) -> list[str]:
        """Referrals of new people, of which nobody is told."""
        self.tell(False)
        return self._advocacy.act("submit_referrals", count=count, job_ids=[self.job])["referral_ids"]

    def submit(self, count: int, between: Callable[[int], object] | None = None) -> list[str]:
        """New people, referred one by one; answers the referrals when the last has arrived, or should have."""
        made: list[str] = []

        def one(_: int) -> None:
            made.extend(self._advocacy.act("submit_referrals", count=1, job_ids=[self.job])["referral_ids"])

        began = time.time()
        self.paced(count, one, between)
        self._wait(lambda: set(made) <= {row["referral_id"] for row in self._ats.arrivals(began)})
        return made

    def arrived(self, referral_ids: Sequence[str]) -> Spans:
        """From webhook to tagged application."""
        sent = self._sent(self._advocacy, "referral.submitted", "referral")
        return self.ended({one: sent[one] for one in referral_ids if one in sent}, self.applied())

    def applied(self) -> dict[str, dict[str, Any]]:
        """The first application of each referral, as it arrived."""
        return _first(self._ats.arrivals(), "referral_id")

    def told(self, since: float) -> dict[str, dict[str, Any]]:
        """The first status of each referral that the platform was told since then."""
        return _first(self._advocacy.arrivals(since), "referral_id")

    def ended(self, began: Mapping[str, float], there: Mapping[str, Mapping[str, Any]]) -> Spans:
        """What began at these times, as far as it has arrived."""
        return {one: (at, there[one]["at"]) for one, at in began.items() if one in there}

    def received_ms(self, system: str, since: float) -> list[float]:
        """How long the receiver took to answer each webhook, as the sender saw it."""
        log = self.sandbox.control(system).webhook_log(since)
        return [attempt["seconds"] * 1000 for entry in log for attempt in entry["attempts"] if attempt["status"] == 200]

    def applications(self, referral_ids: Sequence[str] | Spans) -> dict[str, dict[str, Any]]:
        """The application of each referral, as it arrived."""
        there = self.applied()
        return {one: there[one] for one in referral_ids}

    def advance(
        self, applications: Mapping[str, Mapping[str, Any]], between: Callable[[int], object] | None = None
    ) -> Spans:
        """Move each application to its next stage; from webhook to status."""
        began = time.time()
        order = list(applications.items())

        def one(number: int) -> None:
            application_id = order[number][1]["application_id"]
            answer = self._ats.act("advance_applications", application_ids=[application_id])
            if answer["refused"]:
                raise RuntimeError("an application could not be moved")

        self.paced(len(order), one, between)
        self._wait(lambda: set(applications) <= {row["referral_id"] for row in self._advocacy.arrivals(began)})
        sent = self._sent(self._ats, "candidate_stage_change", "application", since=began)
        keys = {referral_id: str(row["application_id"]) for referral_id, row in applications.items()}
        return self.ended({one: sent[key] for one, key in keys.items() if key in sent}, self.told(began))

    def one_by_one(self, count: int) -> Spans:
        """New people, each referred when the one before has arrived."""
        made: list[str] = []
        for _ in range(count):
            made += self._advocacy.act("submit_referrals", count=1, job_ids=[self.job])["referral_ids"]
            self._live.until(
                "the sensor has brought an event over",
                partial(self._is_there, made[-1]),
                seconds=_SENSOR_SECONDS,
                every=0.2,
            )
        return self.arrived(made)

    def _is_there(self, referral_id: str) -> bool | None:
        return any(row["referral_id"] == referral_id for row in self._ats.arrivals()) or None

    def _wait(self, arrived: Callable[[], bool]) -> None:
        """Until it has arrived, or long enough: what is missing then is counted, not waited for."""
        ends = time.monotonic() + 20
        while not arrived() and time.monotonic() < ends:
            time.sleep(0.2)

    def _sent(self, control: Control, event_type: str, subject: str, *, since: float = 0.0) -> dict[str, float]:
        """By record id: when its first webhook of that type was first sent."""
        first: dict[str, float] = {}
        for entry in control.webhook_log(since):
            kind, _, record_id = (entry["subject"] or "").partition(":")
            if entry["type"] == event_type and kind == subject and entry["attempts"]:
                first.setdefault(record_id, entry["attempts"][0]["at"])
        return first


def _first(rows: Sequence[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        found.setdefault(str(row[key]), row)
    return found
