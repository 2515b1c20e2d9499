"""The step that writes candidates: every referral that may pass goes to the ATS, and what was written is read back.

Belongs here: the order inside this step, over an open bridge. Does not belong here: dagster (the assets call the
bridge), what is written for a person and when (sync).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import TYPE_CHECKING

from referral_pipeline.connectors.records import Row
from referral_pipeline.sync.candidates import CandidateWriteBack
from referral_pipeline.sync.cases import PersonCase, person_cases
from referral_pipeline.sync.facts import Programme
from referral_pipeline.sync.report import SyncReport
from referral_pipeline.warehouse.people import PeopleReport

if TYPE_CHECKING:
    from referral_pipeline.orchestration.bridge import Bridge


@dataclass(frozen=True)
class Written:
    """What a candidate write-back did, with the rows read again after it."""

    report: SyncReport
    cases: int
    rows_read_again: int


def write_candidates(bridge: Bridge) -> Written:
    """Write every referral that may pass to the ATS, then read the written rows back into the warehouse."""
    people = bridge.resolve_people()
    person_of = people.person_of
    cases = cases_of(bridge, people)
    prefix = f"{bridge.ats.system}:"
    programme = Programme.of(bridge.staged_advocacy)
    write_back = CandidateWriteBack(
        ats=bridge.ats,
        ledger=bridge.ledger,
        contract=bridge.contract,
        programme=lambda: programme,
        jobs={job.id: job for job in bridge.staged_ats.jobs},
        person_of_candidate={k.removeprefix(prefix): v for k, v in person_of.items() if k.startswith(prefix)},
        known_until=bridge.known_until(),
        sealer=bridge.sealer,
    )
    report = write_back.run(cases, progress=lambda done, total: bridge.progress("write candidates", done, total))
    return Written(report=report, cases=len(cases), rows_read_again=_read_again(bridge, report))


def cases_of(bridge: Bridge, people: PeopleReport) -> list[PersonCase]:
    """One case per person, of the referrals that passed validation."""
    accepted = set(bridge.warehouse.frame("SELECT id FROM staging.referral")["id"])
    return person_cases(
        [r for r in bridge.staged_advocacy.referrals if r.id in accepted],
        bridge.staged_ats.applications,
        person_of=people.person_of,
        advocacy_system=bridge.advocacy.system,
        ats=bridge.ats,
        ledger=bridge.ledger,
        now=datetime.now(UTC),
        key_hashes=_referral_hashes(bridge, people),
    )


def _referral_hashes(bridge: Bridge, people: PeopleReport) -> dict[str, set[str]]:
    """Keyed hashes of the contact details of each referral, by referral id."""
    hashes: dict[str, set[str]] = defaultdict(set)
    for key in people.identity_keys(bridge.settings.secret("REFERRAL_PIPELINE_HASH_KEY")):
        if key.system == bridge.advocacy.system:
            hashes[key.record_id.partition(":")[2]].add(key.key_hash)
    return hashes


def _read_again(bridge: Bridge, report: SyncReport) -> int:
    """Bring what was written into raw, so that attribution need not wait for the next pull.

    A created application that the ATS does not show within its visibility lag comes with the next pull's look-back.
    """
    wanted = sorted(report.touched_applications)
    if not wanted:
        return 0
    rows: dict[str, list[Row]] = defaultdict(list)
    deadline = datetime.now(UTC) + timedelta(seconds=bridge.ats.visibility_lag_seconds)
    while wanted:
        missing: set[str] = set()
        for start in range(0, len(wanted), 50):
            chunk = wanted[start : start + 50]
            by_entity = bridge.ats.raw_rows(chunk)
            for entity, found in by_entity.items():
                rows[entity].extend(found)
            missing |= set(chunk) - {str(r["id"]) for r in by_entity.get("applications", [])}
        wanted = sorted(missing & report.created_applications)
        if not wanted or datetime.now(UTC) >= deadline:
            break
        sleep(0.5)
    with bridge.warehouse.connect():
        with bridge.warehouse.transaction():
            for entity, found in rows.items():
                kind = bridge.ats.entities[entity]
                bridge.warehouse.upsert_raw(
                    bridge.ats.system,
                    entity,
                    found,
                    key=kind.key,
                    changed_field=kind.changed_field,
                    pulled_at=datetime.now(UTC),
                )
        bridge.stage_ats_anew()
    return sum(len(found) for found in rows.values())
