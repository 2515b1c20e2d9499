"""A bridge that works as it should, ways to break it, and what its owner is then told.

Belongs here: set-up, looks and acts shared by the injected faults. Does not belong here: the faults and what must be
said of them (test_injected_faults).

Webhooks go through the inbox and the lane (`event_rig`); verifications run as Dagster runs them, and the sensors that
turn their checks into alerts tick after each look.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.ledger.records import AlertRecord, Link
from referral_pipeline.orchestration.alerting import alert_on_failed_checks
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.steps_health import HealthWatch
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline_tests.pipeline.conftest import Installation
from referral_pipeline_tests.pipeline.event_rig import TINY, Person, World, tags

SIZE = replace(TINY, referrals=70)
"""So many that one wrong record does not bring the audit's lower bound below what the contract asks for."""
ACCURATE = ("  field_audit: {sample: 50,", "  field_audit: {sample: 1000,")
SLOW = ("#   slow_call_seconds: 2", "  slow_call_seconds: 0.2")


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
    people: dict[str, Person] = field(default_factory=dict)
    cursor: str | None = None
    _links: list[Link] = field(default_factory=list)
    _typed: int = 0

    # ------------------------------------------------------------ what was done before anything is wrong

    def take(self) -> Link:
        """A record of one referral that no other fault was injected into."""
        ledger = self.world.ledger
        if not self._links:
            self._links = [
                x
                for x in ledger.links()
                if x.block is None
                and x.created_candidate
                and x.campaign_tag
                and x.share_id
                and len(ledger.links_of_persons([x.person_id])) == 1
                and len(ledger.links_of_candidates(x.system, [x.candidate_id or ""])) == 1
            ]
        return self._links.pop()

    def submitted(self, name: str, **fields: Any) -> str:
        """Somebody new is referred and written to the ATS; the id of the referral."""
        self.people[name] = self.world.person()
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
        return tags(self.installation.row("greenhouse", "applications", link.application_id or ""))

    def type_tags(self, link: Link, **values: str | None) -> None:
        application_id = int(link.application_id or 0)
        self.world.ats("edit_application", application_id=application_id, custom_fields=values)

    @contextmanager
    def webhooks_lost(self, system: str) -> Iterator[None]:
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
        assert dg.materialize(list(assets), resources=resources, instance=self.instance).success
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=self.definitions.get_repository_def()
        ) as context:
            self.cursor = alert_on_failed_checks.evaluate_tick(context).cursor

    def told(self) -> list[AlertRecord]:
        """Every alert that began or was over, oldest first."""
        return sorted(self.world.ledger.alerts(limit=1000), key=lambda alert: alert.id)


def kind(alert: AlertRecord) -> str:
    """Whether it tells of a beginning or of an end."""
    return "over" if alert.details.get("kind") == "recovered" else "began"


class Health:
    """A bridge of its own that calls one system, and its health as the sensor sees it by the minute."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.watch = HealthWatch()

    def look(self) -> None:
        self.watch.look(self.settings)
