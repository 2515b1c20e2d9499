"""Receiver, lane and daemon killed at random while people act on both sides; what must be so all the same.

Belongs here: the acts, the kills, and holding both systems and the inbox against what was done. Does not belong here:
how many (the suite, the benchmark), the processes (`benchmarks.live`).
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from referral_pipeline.ledger.records import InboxEvent
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline_tests.benchmarks.live import Live

SWITCHES = {"rate_limit": 1_000_000, "hire_with_many_openings": "first_open"}
"""Of the ATS: neither its limit nor its openings are what is tried here."""
PATIENT = (0.25, 0.5, *(1.0,) * 120)
"""Seconds before each further attempt of a webhook: a receiver that is killed again and again is away for long."""
_DOMAIN = "@chaos.example.org"
_STATUS_OF_STAGE = {"Application Review": "applied", "Offer": "offered"}
_INTERVIEWED = {"Phone Screen", "Face to Face"}


@dataclass
class Found:
    """What was done to the processes, and how both systems stood after it."""

    acts: int = 0
    kills: Counter[str] = field(default_factory=Counter[str])
    acknowledged: int = 0
    done: int = 0
    lost: int = 0
    dead: int = 0
    duplicate_candidates: int = 0
    duplicate_applications: int = 0
    duplicate_recognitions: int = 0
    missing_people: int = 0
    missing_statuses: int = 0
    missing_recognitions: int = 0
    statuses: int = 0
    hires: int = 0
    faults: int = 0
    slowest_recovery_seconds: float = 0.0
    slowest_event_seconds: float = 0.0
    details: list[str] = field(default_factory=list[str])
    """Ids and words for what is wrong, no personal data."""

    @property
    def holds(self) -> bool:
        """Nothing lost, nothing twice, everything told."""
        return not (
            self.lost
            or self.dead
            or self.duplicate_candidates
            or self.duplicate_applications
            or self.duplicate_recognitions
            or self.missing_people
            or self.missing_statuses
            or self.missing_recognitions
        )


@dataclass(eq=False)
class _Person:
    """Somebody who was referred: the details of the form, and the referrals by job."""

    form: dict[str, Any] = field(repr=False)
    referrals: dict[str, list[str]] = field(default_factory=lambda: defaultdict[str, list[str]](list))
    settled: bool = False


class Story:
    """Acts on both sides, drawn; remembers who was referred for what."""

    def __init__(self, sandbox: Sandbox, rng: random.Random, acts: int) -> None:
        self.advocacy, self.ats = sandbox.control("advocacy"), sandbox.control("greenhouse")
        self.people: list[_Person] = []
        self.made = 0
        self._random = rng
        programme = self.advocacy.dump()
        self._advocates = sorted(row["id"] for row in programme["advocates"] if row["eligible"] and not row["left_at"])
        self._content = [row["id"] for row in programme["content"]]
        self._shares = [row["id"] for row in programme["shares"]]
        self._jobs = [str(row["id"]) for row in self.ats.dump()["jobs"] if row["status"] == "open"]
        for job_id in self._jobs:
            for _ in range(acts // 10 // len(self._jobs) + 5):  # a job whose last opening is filled takes nobody more
                self.ats.act("add_opening", job_id=int(job_id))
        self._of_referral: dict[str, _Person] = {}
        self._applications: list[tuple[int, _Person]] = []
        self._seen: set[int] = set()
        self._looked = time.time()

    def act(self) -> None:
        """One act of somebody, of which at least one webhook tells."""
        weights = {
            self._new_person: 50,
            self._once_more: 14,
            self._edited: 6,
            self._shared: 5,
            self._clicked: 5,
            self._recruited: 20,
        }
        (do,) = self._random.choices(list(weights), list(weights.values()))
        do()
        self.made += 1

    def _new_person(self) -> None:
        number = len(self.people)
        name = "".join("abcdefghij"[int(digit)] for digit in f"{number:05}")
        person = _Person(
            {
                "first_name": f"Quirin{name}",
                "last_name": f"Zander{name}",
                "email": f"zander.{name}{_DOMAIN}",
                "phone": None,
                "country": "DE",
            }
        )
        self.people.append(person)
        self._refer(person, self._random.choice(self._jobs))

    def _once_more(self) -> None:
        """Somebody else refers the same person, for the same job or another one."""
        open_ones = [person for person in self.people[-60:] if not person.settled]
        if not open_ones:
            return self._new_person()
        person = self._random.choice(open_ones)
        known = next(iter(person.referrals))
        return self._refer(person, known if self._random.random() < 0.7 else self._random.choice(self._jobs))

    def _refer(self, person: _Person, job_id: str) -> None:
        referral = self.advocacy.act(
            "submit_referral",
            advocate_id=self._random.choice(self._advocates),
            job_id=job_id,
            campaign_tag="spring",
            candidate=person.form,
        )
        person.referrals[job_id].append(referral["id"])
        self._of_referral[referral["id"]] = person

    def _edited(self) -> None:
        if not self._of_referral:
            return self._new_person()
        referral_id = self._random.choice(list(self._of_referral))
        self.advocacy.act("edit_referral", referral_id=referral_id, campaign_tag=f"tag-{self.made}")
        return None

    def _shared(self) -> None:
        self.advocacy.act(
            "add_share",
            advocate_id=self._random.choice(self._advocates),
            content_id=self._random.choice(self._content),
        )

    def _clicked(self) -> None:
        self.advocacy.act("add_click", share_id=self._random.choice(self._shares))

    def _recruited(self) -> None:
        """A recruiter moves, rejects or hires. Whoever was rejected or hired is not referred again."""
        self._look()
        if not self._applications:
            return self._new_person()
        place = self._random.randrange(len(self._applications))
        application_id, person = self._applications.pop(place)
        if sum(map(len, person.referrals.values())) > 1:
            self.ats.act("move", application_id=application_id, stage="Phone Screen")
            return None
        person.settled = True
        if self._random.random() < 0.5:
            self.ats.act("hire", application_id=application_id)
        else:
            self.ats.act("reject", application_id=application_id)
        return None

    def _look(self) -> None:
        now = time.time()
        for row in self.ats.arrivals(self._looked - 1.0):
            person = self._of_referral.get(row["referral_id"])
            if person is not None and row["application_id"] not in self._seen:
                self._seen.add(row["application_id"])
                self._applications.append((row["application_id"], person))
        self._looked = now


def disturbed(
    live: Live,
    sandbox: Sandbox,
    *,
    events: int,
    kills: int,
    names: Sequence[str],
    rng: random.Random,
    faults: float = 0.1,
    patience: float = 120.0,
) -> Found:
    """Let people act `events` times while processes are killed and started again; answers what is then so.

    Each kill falls somewhere into a portion of the acts and what follows from it. The processes must run.
    """
    advocacy, ats = sandbox.control("advocacy"), sandbox.control("greenhouse")
    story, found = Story(sandbox, rng, events), Found()
    for control in (advocacy, ats):
        control.forget_webhooks()
        control.webhooks(url=live.url, retries=PATIENT)
        control.faults(faults, seed=rng.randrange(1_000_000))
    moments: list[tuple[str, float]] = []
    for number in range(kills):
        portion = events * (number + 1) // kills - events * number // kills
        acting = threading.Thread(target=lambda portion=portion: [story.act() for _ in range(portion)])
        acting.start()
        time.sleep(rng.uniform(0.05, 1.5))
        name = names[number % len(names)] if number < len(names) else rng.choice(list(names))
        live.kill(name)
        moments.append((name, time.time()))
        found.kills[name] += 1
        live.start(name)
        acting.join()
    wait_until_quiet(live, sandbox, patience)
    for control in (advocacy, ats):
        found.faults += sum(control.injected().values())
        control.faults(0)
    found.acts = story.made
    _hold_inbox(found, live, sandbox, moments)
    _hold_systems(found, story)
    return found


def wait_until_quiet(live: Live, sandbox: Sandbox, patience: float) -> None:
    """Until no webhook is under way and no event waits, twice in a row: an event may be the cause of a webhook."""
    ends = time.monotonic() + patience
    quiet = 0
    while quiet < 2:
        controls = [sandbox.control(system) for system in ("advocacy", "greenhouse")]

        def sent(controls: Any = controls) -> bool | None:
            return None if any(control.webhooks()["under_way"] for control in controls) else True

        live.until("every webhook is answered", sent, seconds=max(ends - time.monotonic(), 1.0), every=0.1)
        live.idle(seconds=max(ends - time.monotonic(), 1.0))
        quiet = quiet + 1 if sent() else 0
        time.sleep(0.2)


def _hold_inbox(found: Found, live: Live, sandbox: Sandbox, moments: Sequence[tuple[str, float]]) -> None:
    rows = {(row.system, row.delivery_id): row for row in live.ledger.inbox_events(limit=1_000_000)}
    for system in ("advocacy", "greenhouse"):
        for entry in sandbox.control(system).webhook_log():
            if not any(attempt["status"] == 200 for attempt in entry["attempts"]):
                continue
            found.acknowledged += 1
            row = rows.get((system, entry["id"]))
            if row is None:
                found.lost += 1
                found.details.append(f"{system} {entry['type']} {entry['id']}: acknowledged, not in the inbox")
            elif row.state == "dead":
                found.dead += 1
                found.details.append(f"{system} {row.event_type} {row.subject}: dead, {row.last_error}")
            elif row.state != "done":
                found.lost += 1
                found.details.append(f"{system} {row.event_type} {row.subject}: {row.state}, {row.last_error}")
            else:
                found.done += 1
    found.slowest_event_seconds = round(max((_seconds(row) for row in rows.values()), default=0.0), 1)
    received = sorted(row.received_at.timestamp() for row in rows.values())
    ended = sorted(row.done_at.timestamp() for row in rows.values() if row.done_at is not None)
    for name, at in moments:
        after = next((one for one in (received if name == "receiver" else ended) if one > at), None)
        if after is not None and name != "daemon":
            found.slowest_recovery_seconds = max(found.slowest_recovery_seconds, round(after - at, 1))


def _seconds(row: InboxEvent) -> float:
    return (row.done_at - row.received_at).total_seconds() if row.done_at is not None else 0.0


def _hold_systems(found: Found, story: Story) -> None:
    ats, advocacy = story.ats.dump(), story.advocacy.dump()
    candidates: dict[str, list[int]] = defaultdict(list)
    for row in ats["candidates"]:
        for address in {item["value"] for item in row["email_addresses"]}:
            candidates[address].append(row["id"])
    applications: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in ats["applications"]:
        applications[row["candidate_id"], str(row["job_id"])].append(row)
    referrals = {row["id"]: row for row in advocacy["referrals"]}
    hired: dict[str, int] = Counter()
    for row in advocacy["recognitions"]:
        if row["kind"] == "hired":
            hired[row["referral_id"]] += 1
    for number, person in enumerate(story.people):
        ids = candidates.get(person.form["email"], [])
        if len(ids) > 1:
            found.duplicate_candidates += len(ids) - 1
            found.details.append(f"person {number}: candidates {ids}")
        if not ids:
            found.missing_people += 1
            found.details.append(f"person {number}: no candidate, referrals {dict(person.referrals)}")
            continue
        for job_id, made in person.referrals.items():
            own = [row for candidate in ids for row in applications.get((candidate, job_id), [])]
            if len(own) > 1:
                found.duplicate_applications += len(own) - 1
                found.details.append(f"person {number}: applications {[row['id'] for row in own]}")
            if not own or _tag(own[0], "referral_id") not in made:
                found.missing_people += 1
                found.details.append(f"person {number}: no application with its tags for job {job_id}")
                continue
            _hold_statuses(found, own[0], [referrals[one] for one in made])
            _hold_recognition(found, own[0], sum(hired[one] for one in made))


def _hold_statuses(found: Found, application: dict[str, Any], referrals: Sequence[dict[str, Any]]) -> None:
    wanted = _status(application)
    for row in referrals:
        found.statuses += 1
        told = (row["status"], (row["ats"] or {}).get("application_id"))
        if told != (wanted, str(application["id"])):
            found.missing_statuses += 1
            found.details.append(f"referral {row['id']}: told {told}, is {wanted} as {application['id']}")


def _hold_recognition(found: Found, application: dict[str, Any], recognised: int) -> None:
    wanted = int(application["status"] == "hired")
    found.hires += wanted
    if recognised > wanted:
        found.duplicate_recognitions += recognised - wanted
        found.details.append(f"application {application['id']}: recognised {recognised} times")
    elif recognised < wanted:
        found.missing_recognitions += 1
        found.details.append(f"application {application['id']}: hired and not recognised")


def _status(application: dict[str, Any]) -> str:
    if application["status"] in {"hired", "rejected"}:
        return application["status"]
    stage = application["stage_name"]
    return "interviewed" if stage in _INTERVIEWED else _STATUS_OF_STAGE.get(stage, "in_review")


def _tag(application: dict[str, Any], name: str) -> str | None:
    stored = (application["custom_fields"] or {}).get(name)
    return stored.get("value") if isinstance(stored, dict) else stored
