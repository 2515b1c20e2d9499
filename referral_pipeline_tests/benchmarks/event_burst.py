"""Many events at once: how fast they are done, that each is done once, and how well a rate limit is used."""

from __future__ import annotations

import http.client
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.sandbox.launch import Control, Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline.sandbox.webhooks.signing import StandardSigner
from referral_pipeline_tests.benchmarks.live import Live, folder_bytes, percentile
from referral_pipeline_tests.benchmarks.result import Result
from referral_pipeline_tests.pipeline.conftest import Installation, installed

_CLIENTS = 8
_PROCESSES = ("receiver", "lane", "lane2")
"""Two lanes: one interpreter uses one of two cores."""
_UNLIMITED = 1_000_000
_LIMIT, _WINDOW_SECONDS = 75, 30
_LIMITED_EVENTS = 200
_LEAST_PER_SECOND, _LEAST_SHARE = 100.0, 0.95


def run(quick: bool) -> Result:
    """5,000 referrals (500 when quick) from 8 clients, then 3 windows (2) of an ATS that takes 75 calls in 30 s."""
    events, windows = (500, 2) if quick else (5_000, 3)
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        Sandbox(size=ProgrammeSize.small(), greenhouse={"rate_limit": _UNLIMITED}) as sandbox,
    ):
        installation = installed(Path(folder) / "home", sandbox, patch)
        installation.refresh()
        with Live(installation) as live:
            live.start(*_PROCESSES)
            free = _burst(live, installation, sandbox, events)
            limited = _limited(live, sandbox, windows)
    holds = (
        free["events_per_second"] >= _LEAST_PER_SECOND
        and free["lost"] == free["duplicates"] == free["refused"] == 0
        and free["delivered"] == events
        and limited["limited_share_used"] >= _LEAST_SHARE
        and limited["limited_over"] == 0
    )
    return Result(
        name="event_burst", figures={"events": events, "lanes": len(_PROCESSES) - 1, **free, **limited}, holds=holds
    )


def _burst(live: Live, installation: Installation, sandbox: Sandbox, events: int) -> dict[str, float]:
    advocacy, ats = sandbox.control("advocacy"), sandbox.control("greenhouse")
    referrals = _new_referrals(advocacy, events)
    disk = folder_bytes(installation.home)
    people_before, since = len(ats.dump()["candidates"]), time.time()
    sent = _sent_by_clients(live.port, referrals)
    there = _all_arrived(ats, since, referrals, seconds=max(events / 20, 60))
    done_by = max((row["at"] for row in there), default=time.time())
    live.idle(seconds=max(events / 20, 60))
    lags = [row["at"] - sent.answered[row["referral_id"]] for row in there if row["referral_id"] in sent.answered]
    calls = Counter(f"{call.system}_calls_per_event" for call in live.calls(since))
    people = len(ats.dump()["candidates"]) - people_before
    tagged = Counter(_tags(ats))
    wanted = {row["id"] for row in referrals}
    delivered = len(wanted & tagged.keys())
    told = {row["referral_id"] for row in advocacy.arrivals(since)}
    return {
        "events_per_second": round(len(there) / (done_by - sent.began), 1),
        "sent_per_second": round(events / sent.seconds, 1),
        "delivered": delivered,
        "lost": events - delivered,
        # More people than referrals of different people, or a referral on two applications.
        "duplicates": max(people - delivered, 0) + sum(tagged[one] - 1 for one in wanted & tagged.keys()),
        "statuses_returned": len(wanted & told),
        "refused": sent.refused,
        "dead": live.ledger.inbox_backlog().dead,
        "lag_p50_seconds": round(percentile(lags, 0.5), 1),
        "lag_p95_seconds": round(percentile(lags, 0.95), 1),
        "lag_max_seconds": round(percentile(lags, 1.0), 1),
        **{name: round(count / events, 2) for name, count in sorted(calls.items())},
        "disk_mib": round((folder_bytes(installation.home) - disk) / 2**20, 1),
    }


def _limited(live: Live, sandbox: Sandbox, windows: int) -> dict[str, float]:
    """How much of what is allowed in whole windows is used while more waits, and whether anything went beyond it."""
    advocacy, ats = sandbox.control("advocacy"), sandbox.control("greenhouse")
    referrals = _new_referrals(advocacy, _LIMITED_EVENTS)
    # The limit changes as a window begins: within one, the calls made under the old limit would already be too many.
    first = (int(time.time()) // _WINDOW_SECONDS + 1) * _WINDOW_SECONDS
    time.sleep(max(first - time.time(), 0.0))
    ats.switches(rate_limit=_LIMIT, rate_window_seconds=_WINDOW_SECONDS)
    ats.reset_calls()
    sent = _sent_by_clients(live.port, referrals)
    time.sleep(max(first + windows * _WINDOW_SECONDS - time.time(), 0.0))
    waiting = live.ledger.inbox_backlog().waiting
    calls = [call for call in live.calls(first) if call.system == "greenhouse"]
    refused = sum(answers.get("429", 0) for answers in ats.calls().values())
    ats.switches(rate_limit=_UNLIMITED)
    spent = Counter(
        int(call.at.timestamp() - first) // _WINDOW_SECONDS for call in calls if call.status not in {None, 429}
    )
    live.idle(seconds=120)
    there = set(_tags(ats))
    return {
        "limited_windows": windows,
        "limited_calls_per_window": round(sum(spent[number] for number in range(windows)) / windows, 1),
        "limited_share_used": round(sum(spent[number] for number in range(windows)) / (windows * _LIMIT), 3),
        "limited_over": refused,
        "limited_still_waiting": waiting,
        "limited_lost": sum(row["id"] not in there for row in referrals),
        "limited_refused": sent.refused,
    }


class _Sent:
    """What clients did: when they began, how long it took, when each referral was answered 200."""

    def __init__(self) -> None:
        self.began = 0.0
        self.seconds = 0.0
        self.answered: dict[str, float] = {}
        self.refused = 0


def _new_referrals(advocacy: Control, count: int) -> list[dict[str, Any]]:
    """New referrals of new people, of which no webhook is sent."""
    made = set(advocacy.act("submit_referrals", count=count)["referral_ids"])
    return [row for row in advocacy.dump()["referrals"] if row["id"] in made]


def _sent_by_clients(port: int, referrals: Sequence[dict[str, Any]]) -> _Sent:
    """Each of these referrals as a signed webhook, by some clients at once, each on one connection."""
    signer, secret = StandardSigner(), SECRETS["ADVOCACY_WEBHOOK_SECRET"]
    letters: list[tuple[str, bytes, dict[str, str]]] = []
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    for row in referrals:
        body = json.dumps({"type": "referral.submitted", "timestamp": stamp, "data": row}).encode()
        lines = signer.headers(f"msg_burst_{row['id']}", body, (secret,), now).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        letters.append((row["id"], body, {**headers, "Content-Type": "application/json"}))
    sent = _Sent()
    threads = [
        threading.Thread(target=_client, args=(port, letters[number::_CLIENTS], sent), daemon=True)
        for number in range(_CLIENTS)
    ]
    sent.began = time.time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent.seconds = time.time() - sent.began
    return sent


def _client(port: int, letters: Sequence[tuple[str, bytes, dict[str, str]]], sent: _Sent) -> None:
    """One sender: what is not answered 200 is sent again, as senders do."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for referral_id, body, headers in letters:
        for attempt in range(20):
            connection.request("POST", "/webhooks/advocacy", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                sent.answered[referral_id] = time.time()
                break
            time.sleep(0.05 * (attempt + 1))
        else:
            sent.refused += 1
    connection.close()


def _all_arrived(
    ats: Control, since: float, referrals: Sequence[dict[str, Any]], *, seconds: float
) -> list[dict[str, Any]]:
    """The first arrival of each referral, when all are there or nothing came for a while."""
    wanted = {row["id"] for row in referrals}
    found: dict[str, dict[str, Any]] = {}
    ends, after = time.monotonic() + seconds, since
    while len(found) < len(wanted) and time.monotonic() < ends:
        time.sleep(0.5)
        for row in ats.arrivals(after):
            after = max(after, row["at"])
            if row["referral_id"] in wanted:
                found.setdefault(row["referral_id"], row)
    return list(found.values())


def _tags(ats: Control) -> list[str]:
    """The referral of each application that carries one."""
    entries = ((row["custom_fields"] or {}).get("referral_id") for row in ats.dump()["applications"])
    return [str(entry["value"]) for entry in entries if entry is not None and entry["value"]]
