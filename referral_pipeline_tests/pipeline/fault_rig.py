"""A bridge that works as it should, ways to break it, and what its owner is then told.

Belongs here: set-up, looks and acts shared by the injected faults. Does not belong here: the faults and what must be
said of them (test_injected_faults).

Webhooks go through the inbox and the lane (`event_rig`); verifications run as Dagster runs them, and the sensors that
turn their checks into alerts tick after each look.
"""

from __future__ import annotations

import csv
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa

from referral_pipeline.contract.loader import load_contract
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.ledger import tables
from referral_pipeline.ledger.records import Link
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.orchestration.alerting import alert_on_failed_checks
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.steps_health import HealthWatch
from referral_pipeline.settings import Settings
from referral_pipeline_tests.pipeline.conftest import Installation
from referral_pipeline_tests.pipeline.event_rig import TINY, Person, World
from referral_pipeline_tests.pipeline.event_rig import tags as held

SIZE = replace(TINY, referrals=70)
"""So many that one wrong record does not bring the audit's lower bound below what the contract asks for."""
ACCURATE = ("  field_audit: {sample: 50,", "  field_audit: {sample: 1000,")
SEEN_SOON = ("visibility_lag_seconds: 3 ", "visibility_lag_seconds: 0.2 ")
SLOW = ("latency_p95_seconds: 60,", "latency_p95_seconds: 60, slow_call_seconds: 0.2,")
_SPARE = 9
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def contract(*changes: tuple[str, str]) -> str:
    """The sandbox's contract with texts changed."""
    text = sandbox_contract()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


@dataclass
class Rig:
    """The installation, its live world, Dagster's memory of it, and the records that are still as they were."""

    installation: Installation
    world: World
    instance: dg.DagsterInstance
    definitions: dg.Definitions
    second: Settings
    """A second installation beside the first, of which nothing else is known: for what is wrong with calls."""
    people: dict[str, Person] = field(default_factory=dict)
    health: HealthWatch = field(default_factory=HealthWatch)
    cursor: str | None = None
    words: list[str] = field(default_factory=list)
    """What the alerts of the last `news` say."""
    _seen: set[tuple[int, int]] = field(default_factory=set)
    _spare: list[str] = field(default_factory=list)
    _hired: str = ""
    _typed: int = 0

    # ------------------------------------------------------------ what was done before anything is wrong

    def prepare(self) -> None:
        """People referred, moved, hired and typed in by hand, so that every verification has something to look at."""
        shares = self.installation.dump("advocacy")["shares"]
        share = shares[0]
        own = {"advocate_id": share["advocate_id"], "share_id": share["id"]}
        for number in range(_SPARE):
            self._spare.append(self.submitted(f"spare {number}", **own))
        self._hired = self.submitted("hired", **own)
        self.world.ats("hire", application_id=self.world.application(self.people["hired"])["id"])
        for number in range(4):
            name = f"interviewed {number}"
            self.submitted(name)
            application_id = self.world.application(self.people[name])["id"]
            self.world.ats("move", application_id=application_id, stage="Phone Screen")
            self.typed(name, Status="interviewed")
        self.world.settle()
        self.level()

    def take(self) -> Link:
        """A record of its own person that no other fault was injected into."""
        return self._link(self._spare.pop())

    def hire(self) -> Link:
        """The record of the one who was hired."""
        return self._link(self._hired)

    def _link(self, referral_id: str) -> Link:
        (link,) = [link for link in self.world.ledger.links() if link.referral_id == referral_id]
        return link

    def submitted(self, name: str, named: Mapping[str, str] | None = None, **fields: Any) -> str:
        """Somebody new is referred and written to the ATS; the id of the referral."""
        self.people[name] = self.world.person(**(named or {}))
        referral_id = self.world.submit(self.people[name], **fields)
        self.world.settle()
        return referral_id

    def typed(self, name: str, **cells: str) -> None:
        """A recruiter types this person into the intake file."""
        self._typed += 1
        person = self.people[name]
        path = self.intake
        with path.open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file))
        row = {
            "No": f"T{self._typed}",
            "Entered": datetime.now(UTC).isoformat(timespec="seconds"),
            "First name": person.first_name,
            "Last name": person.last_name,
            "E-mail": person.email,
            "Phone": person.phone or "",
            "Country": person.country,
            "Requisition": self.world.jobs[0],
            "Referred by": self.world.advocates[0],
            "Status": "applied",
            **cells,
        }
        with path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, header, lineterminator="\n").writerow(row)

    @property
    def intake(self) -> Path:
        return self.installation.home / "data" / "samples" / "manual_intake.csv"

    # ------------------------------------------------------------ acts

    def candidate(self, link: Link) -> dict[str, Any]:
        return self.installation.row("greenhouse", "candidates", link.candidate_id or "")

    def edit_candidate(self, link: Link, **columns: Any) -> None:
        self.world.ats("edit_candidate", candidate_id=int(link.candidate_id or 0), **columns)

    def tags(self, link: Link) -> dict[str, Any]:
        return held(self.installation.row("greenhouse", "applications", link.application_id or ""))

    def type_tags(self, link: Link, **values: str | None) -> None:
        application_id = int(link.application_id or 0)
        self.world.ats("edit_application", application_id=application_id, custom_fields=values)

    @contextmanager
    def webhooks_lost(self, system: str) -> Generator[None]:
        """The system tells nobody what happens meanwhile."""
        control = self.installation.sandbox.control(system)
        control.webhooks(drop=1.0)
        try:
            yield
        finally:
            self.world.arrived()
            control.webhooks(drop=0.0)

    # ------------------------------------------------------------ looks

    def pull(self) -> None:
        """Both systems read and attribution rebuilt, without the write-back."""
        with Bridge.open(self.installation.settings) as bridge:
            bridge.pull_advocacy(full=True)
            bridge.pull_ats(full=True)
            bridge.resolve_people()
            bridge.build_attribution(as_of=datetime.now(UTC))

    def level(self) -> None:
        """What a refresh does between the systems."""
        self.installation.level(full=True)
        self.world.settle()

    def run(self, *assets: Any) -> None:
        """Materialize as a run of Dagster does, and let the sensor of checks look."""
        resources = {"bridge": BridgeResource(home=str(self.installation.home))}
        assert dg.materialize(list(assets), resources=resources, instance=self.instance, run_config=_QUIET).success
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=self.definitions.get_repository_def()
        ) as context:
            self.cursor = alert_on_failed_checks.evaluate_tick(context).cursor

    def news(self) -> list[tuple[str, str, str]]:
        """("began" or "over", name, subject) of the alerts since the last call, those of each installation in order."""
        self.words = []
        told: list[tuple[str, str, str]] = []
        with Ledger.open(load_contract(self.second).ledger.url, home=self.second.home) as other:
            for place, ledger in enumerate((self.world.ledger, other)):
                for alert in sorted(ledger.alerts(limit=1000), key=lambda alert: alert.id):
                    if (place, alert.id) not in self._seen:
                        self._seen.add((place, alert.id))
                        kind = "over" if alert.details.get("kind") == "recovered" else "began"
                        told.append((kind, alert.name, str(alert.details["subject"])))
                        self.words.append(alert.message)
        return told


def time_passes(ledger: Ledger, by: timedelta) -> None:
    """Calls, events that are done and alerts are so much older now, as if that time had passed."""
    calls, inbox, alerts = tables.api_calls, tables.inbox, tables.alerts
    of_alerts = ("fired_at", "last_at", "delivered_at", "resolved_at")
    with ledger._writing(durable=False) as connection:
        for table, columns in ((calls, ("at",)), (inbox, ("received_at", "done_at")), (alerts, of_alerts)):
            rows = connection.execute(sa.select(table.c.id, *(table.c[name] for name in columns))).mappings().all()
            change = sa.update(table).where(table.c.id == sa.bindparam("row"))
            change = change.values({name: sa.bindparam(f"new_{name}") for name in columns})
            moved = [
                {"row": row["id"], **{f"new_{name}": row[name] and row[name] - by for name in columns}} for row in rows
            ]
            if moved:
                connection.execute(change, moved)
