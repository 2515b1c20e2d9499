"""Both sandboxes, a ledger and the lane in this process: acts on either side, their real webhooks, and what is then so.

Belongs here: set-up shared by the tests of the event flows. Does not belong here: assertions about a flow.

The sandboxes send their webhooks to a server that only collects them. `World.settle` puts what came in the inbox as the
receiver does, and lets the lane work until nothing waits; where the lane waits for time to pass, the world's clock is
moved. Tests share one world, each with people of its own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from referral_pipeline.connectors.events import read_event
from referral_pipeline.contract.loader import load_contract
from referral_pipeline.ledger.records import InboxDelivery, InboxEvent
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.orchestration.lane import Lane, open_lane
from referral_pipeline.privacy.crypto import Cipher
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline.settings import Settings, load_settings
from referral_pipeline.sync.lane.engine import Done
from referral_pipeline.webhooks.writer import commit
from referral_pipeline_tests.pipeline.conftest import installed
from referral_pipeline_tests.unit.webhook_receiver import Receiver, receiving, until

TINY = ProgrammeSize(
    advocates=6, jobs=5, content=8, shares=20, clicks=10, referrals=40, fresh=2, other_applications=2, per_case=0
)
"""Three open jobs, one closed, one draft; the second open one has a stage that the contract does not map."""
STAGES = ("Application Review", "Phone Screen", "Face to Face", "Offer")
_MOST_TURNS = 40


@dataclass(frozen=True)
class Delivery:
    """One webhook as it arrived."""

    system: str
    id: str
    type: str
    subject: str | None
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Person:
    """Somebody nobody knows yet."""

    first_name: str
    last_name: str
    email: str
    phone: str | None
    country: str = "DE"

    def form(self, **changes: Any) -> dict[str, Any]:
        values = {"first_name": self.first_name, "last_name": self.last_name, "email": self.email}
        return {**values, "phone": self.phone, "country": self.country, **changes}


class World:
    """Acts, deliveries, and ways to look."""

    def __init__(self, settings: Settings, sandbox: Sandbox, receiver: Receiver) -> None:
        self.settings = settings
        self.ahead = timedelta(0)
        self.done: list[Done] = []
        self._receiver = receiver
        self._taken = 0
        self._numbers = count(1)
        self._advocacy = sandbox.control("advocacy")
        self._ats = sandbox.control(sandbox.ats)
        for control in (self._advocacy, self._ats):
            control.webhooks(url=receiver.url, connections=1)
        contract = load_contract(settings)
        self._cipher = Cipher(settings.secret("REFERRAL_PIPELINE_KEY"))
        self.ledger = Ledger.open(contract.ledger.url, home=settings.home, clock=self.now)
        programme = self._advocacy.dump()
        self.advocates: list[str] = sorted(row["id"] for row in programme["advocates"] if row["eligible"])
        self.content: list[dict[str, Any]] = programme["content"]
        jobs = self._ats.dump()["jobs"]
        self.jobs: list[str] = [str(job["id"]) for job in jobs if job["status"] == "open"]
        self.arrived()  # the greeting

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    # ------------------------------------------------------------ acts

    def person(self, **changes: Any) -> Person:
        """A person whose name, mailbox and number are nobody else's."""
        number = next(self._numbers)
        name = "".join("abcdefghij"[int(digit)] for digit in f"{number:04}")
        values = {
            "first_name": f"Quirin{name}",
            "last_name": f"Zander{name}",
            "email": f"zander.{name}@example.net",
            "phone": f"+49 30 90{number:05}",
        }
        return Person(**{**values, **changes})

    def submit(self, person: Person, **fields: Any) -> str:
        """A new referral with consent; its id."""
        form = person.form(**fields.pop("candidate", {}))
        values = {"advocate_id": self.advocates[0], "job_id": self.jobs[0], "campaign_tag": "spring", **fields}
        return self._advocacy.act("submit_referral", candidate=form, **values)["id"]

    def advocacy(self, action: str, **details: Any) -> dict[str, Any]:
        return self._advocacy.act(action, **details)

    def ats(self, action: str, **details: Any) -> dict[str, Any]:
        return self._ats.act(action, **details)

    def by_hand(self, person: Person, *, job: str | None = None, **details: Any) -> dict[str, Any]:
        """A recruiter types a candidate in."""
        job_id = int(job) if job is not None and job.isdecimal() else job
        phones = [person.phone] if person.phone else []
        names = {"first_name": person.first_name, "last_name": person.last_name}
        return self.ats("create_candidate", **names, emails=[person.email], phones=phones, job_id=job_id, **details)

    def job(self, *, openings: int = 9) -> str:
        """A new job with openings for many; a hire may close one of the programme's."""
        return str(self.ats("add_job", name="Porter", stages=STAGES, openings=openings)["id"])

    def offer(self, application_id: int | str, starts_on: str) -> None:
        """An offer that was accepted."""
        self.ats("offer_create", application_id=application_id, starts_on=starts_on)
        self.ats("offer_accept", application_id=application_id, starts_on=starts_on)

    # ------------------------------------------------------------ deliveries

    def arrived(self) -> list[Delivery]:
        """The webhooks that came since the last look, once the sandboxes have sent all they had to send."""
        for control in (self._advocacy, self._ats):
            until(lambda control=control: not control.webhooks()["under_way"])
        got = self._receiver.got[self._taken :]
        self._taken += len(got)
        return [_delivery(one.path.rsplit("/", 1)[1], one.headers, one.body) for one in got]

    def enter(self, deliveries: Iterable[Delivery]) -> list[bool]:
        """Put deliveries in the inbox as the receiver does."""
        rows = [(one.system, one.id, one.body) for one in deliveries]
        taken = commit(self.ledger, self._cipher, rows) if rows else []
        return [one is not None and one[1] for one in taken]

    def hint(self, *subjects: tuple[str, str]) -> None:
        """What reconciliation puts in the inbox for these (system, "referral:R1")."""
        self.ledger.receive_many(
            [
                InboxDelivery(
                    system=system,
                    delivery_id=f"reconcile:{subject}:{next(self._numbers)}",
                    event_type=f"reconcile.{subject.partition(':')[0]}",
                    origin="reconciliation",
                    subject=subject,
                    occurred_at=None,
                    body=None,
                )
                for system, subject in subjects
            ]
        )

    # ------------------------------------------------------------ the lane

    @contextmanager
    def lane(self) -> Generator[Lane]:
        with open_lane(self.settings, stop=threading.Event(), now=self.now) as lane:
            yield lane

    def work(self) -> list[Done]:
        """Let the lane do what is in the inbox, and what becomes due on the way; what became of each event, in turn."""
        done: list[Done] = []
        waiting: list[InboxEvent] = []
        for _ in range(_MOST_TURNS):
            with self.lane() as lane:
                lane.engine.run(lane.stop, until_empty=True)
                while not lane.engine.reports.empty():
                    done.append(lane.engine.reports.get())
            waiting = self.ledger.inbox_events(state="received", limit=1000)
            if not waiting:
                self.done += done
                return done
            soonest = min(event.available_at for event in waiting)
            self.ahead += max(timedelta(0), soonest - self.now()) + timedelta(milliseconds=20)
        raise AssertionError(f"events keep waiting: {[(e.event_type, e.last_error) for e in waiting]}")

    def settle(self) -> list[Done]:
        """Deliver everything that either side has to tell, and work, until nobody has anything to tell."""
        done: list[Done] = []
        for _ in range(_MOST_TURNS):
            came = self.arrived()
            if not came and not self._waits():
                assert not [one for one in done if one.outcome == "dead"], done
                return done
            self.enter(came)
            done += self.work()
        raise AssertionError("the two sides keep telling each other")

    def _waits(self) -> bool:
        backlog = self.ledger.inbox_backlog()
        return bool(backlog.waiting or backlog.waiting_bulk)

    def tick(self) -> None:
        """What the lane does by the minute."""
        with self.lane() as lane:
            lane.tick()

    # ------------------------------------------------------------ looking

    def referral(self, referral_id: str) -> dict[str, Any]:
        """A referral as the platform holds it."""
        (found,) = [row for row in self._advocacy.dump()["referrals"] if row["id"] == referral_id]
        return found

    def candidates(self, person: Person) -> list[dict[str, Any]]:
        """Candidates of this last name in the ATS."""
        return [row for row in self._ats.dump()["candidates"] if row["last_name"] == person.last_name]

    def candidate(self, person: Person) -> dict[str, Any]:
        """The one candidate of this last name."""
        (found,) = self.candidates(person)
        return found

    def applications(self, person: Person) -> list[dict[str, Any]]:
        """All applications of candidates of this last name."""
        ids = {row["id"] for row in self.candidates(person)}
        return [row for row in self._ats.dump()["applications"] if row["candidate_id"] in ids]

    def application(self, person: Person) -> dict[str, Any]:
        """The one application of this person."""
        (found,) = self.applications(person)
        return found

    def dump(self, system: str) -> dict[str, list[dict[str, Any]]]:
        return (self._advocacy if system == "advocacy" else self._ats).dump()

    def recognitions(self, *referral_ids: str) -> list[tuple[str, int]]:
        """(kind, cents) that the platform was told of these referrals, in order."""
        rows = self._advocacy.dump()["recognitions"]
        return [(row["kind"], row["amount_cents"]) for row in rows if row["referral_id"] in referral_ids]

    def calls(self, system: str) -> dict[str, int]:
        """Calls by operation since the last `forget_calls`, tokens aside."""
        control = self._advocacy if system == "advocacy" else self._ats
        return {name: sum(by_status.values()) for name, by_status in control.calls().items() if "token" not in name}

    def forget_calls(self) -> None:
        self._advocacy.reset_calls()
        self._ats.reset_calls()


def tags(application: dict[str, Any]) -> dict[str, Any]:
    """The advocacy fields of an application that hold something."""
    fields = application["custom_fields"] or {}
    return {name: entry["value"] for name, entry in fields.items() if entry and entry["value"] is not None}


def outcomes(done: Sequence[Done], event_type: str | None = None) -> list[str]:
    """What became of events (of a type), in order."""
    return [one.outcome for one in done if event_type in {None, one.event_type}]


def settled(done: Sequence[Done], event_type: str) -> list[str]:
    """How events of a type ended, without those that were put off."""
    return [word for word in outcomes(done, event_type) if not word.startswith("again:")]


def _delivery(system: str, headers: dict[str, str], body: bytes) -> Delivery:
    content = json.loads(body)
    if isinstance(content, list):  # many events, of which none has an id
        delivery_id, content = system, content[0]
    else:
        inside = content.get("token") or content.get("webhookActionId") or "a greeting"
        delivery_id = headers.get("webhook-id") or headers.get("greenhouse-event-id") or inside
    hint = read_event(system, content)
    return Delivery(system, delivery_id, hint.event_type, hint.subject, body)


@pytest.fixture(scope="module")
def shared_world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_patch: pytest.MonkeyPatch
) -> Generator[World]:
    """Of the ATS that the module names by `ATS`, else of Greenhouse; of the platform that it names by `ADVOCACY`."""
    ats, advocacy = (getattr(request.module, *wish) for wish in (("ATS", "greenhouse"), ("ADVOCACY", "advocacy")))
    played = Sandbox(size=TINY, rate_limit=1_000_000, ats=ats, advocacy=advocacy)
    with played as sandbox, receiving() as receiver:
        installation = installed(tmp_path_factory.mktemp("events") / "home", sandbox, shared_patch)
        made = World(load_settings(installation.home), sandbox, receiver)
        try:
            yield made
        finally:
            made.ledger.close()


@pytest.fixture
def world(shared_world: World) -> World:
    """The module's world, at the present."""
    shared_world.ahead = timedelta(0)
    return shared_world
