"""Contacts: each person with an application from a referral is one contact in the CRM, kept level once per change.

Belongs here: who has a contact and what it holds, sending it. Does not belong here: a vendor's words (connectors), who
may pass (privacy.gate), who earned it (crediting), erasing (contact_erasure), what is remembered (contact_memory).

A contact is due when what the CRM was last told differs from what stands now. What was told is kept as a hash of the
integration's own properties: names and addresses are written once, when the contact is created, and belong to people
from then on.

Invariants
1. Nobody is written whom the gate of candidates holds back at this moment, or who has no application.
2. A contact holds what the contract's mappings name, and nothing else of ours.
3. One address is one contact. Of persons who share one, the first has it; the others are counted and left out.
4. A contact that people deleted is not made again for the same referrals, whatever the person is called by then.
5. The contact of a person who was erased is erased in the CRM; one that was erased there is not made again.
6. The intent is committed before the call and the confirmation after it; whoever finds an intent puts the same again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

from referral_pipeline.connectors.failures import PermanentFailure, TransientFailure
from referral_pipeline.connectors.protocols import CrmConnector
from referral_pipeline.connectors.records import AtsApplication, ContactPut, ContactWish, Referral
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.store import DeliveryIntent, Ledger, Override
from referral_pipeline.privacy.gate import GatePolicy, blocked_by
from referral_pipeline.sync.cases import PersonCase
from referral_pipeline.sync.contact_erasure import ContactErasure
from referral_pipeline.sync.contact_memory import DELETED, ERASED, PUT, Known, contact_key, result_of
from referral_pipeline.sync.creation import digest
from referral_pipeline.sync.crediting import Crediting
from referral_pipeline.sync.evidence import Sealer
from referral_pipeline.sync.facts import Programme
from referral_pipeline.sync.overrides import with_chosen
from referral_pipeline.sync.report import SyncFailure, SyncReport

_COUNTED = {
    "created": "contacts_created",
    "updated": "contacts_updated",
    "unchanged": "contacts_matched",
    "gone": "contacts_gone",
    "taken": "contacts_shared_mailbox",
}
_BATCH = 50
"""Contacts whose intents and confirmations share a commit: a repeat is harmless, the call is idempotent by state."""


@dataclass(frozen=True)
class _Due:
    """One contact on its way."""

    person_id: str
    key: str
    referral_ids: tuple[str, ...]
    wish: ContactWish = field(repr=False)
    request_hash: str


class ContactWriteBack:
    """Writes contacts to the CRM; one instance a run."""

    def __init__(
        self,
        *,
        crm: CrmConnector,
        ledger: Ledger,
        contract: Contract,
        programme: Callable[[], Programme],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        workers: int = 4,
        sealer: Sealer | None = None,
    ) -> None:
        """Bind it to its systems.

        Args:
            crm: the connector to write to.
            ledger: what the CRM was told so far, and who asked to be forgotten.
            contract: rules, mappings and privacy.
            programme: gives advocates, shares and content.
            clock: the time, aware UTC.
            workers: how many calls are on their way at once.
            sealer: keeps request and answer of what is refused for good.
        """
        self._crm = crm
        self._ledger = ledger
        self._contract = contract
        self._clock = clock
        self._workers = workers
        self._sealer = sealer or Sealer(None)
        self._policy = GatePolicy.of(contract)
        self._sources = contract.crm_sources()
        self._transforms = contract.crm_transforms()
        advocacy = {
            name: path.removeprefix("advocacy.") for name, path in self._sources.items() if path.startswith("advocacy.")
        }
        self._crediting = Crediting(contract, programme, sources=advocacy, transforms=self._transforms)
        self._decisions: dict[str, list[Override]] = defaultdict(list)
        self.report = SyncReport()
        self._erasure = ContactErasure(
            crm=crm, ledger=ledger, contract=contract, clock=clock, report=self.report, failed=self._failed
        )

    def run(
        self, cases: Sequence[PersonCase], *, progress: Callable[[int, int], None] | None = None, rounds: int = 3
    ) -> SyncReport:
        """Erase whom the platform erased, then bring every contact that changed; passing failures are repeated."""
        known = self._erasure.run(self._ledger.deliveries(system=self._crm.system, operation=PUT))
        if not self._sources:
            return self.report
        due = self._due(cases, known)
        if due:
            try:
                self.report.count("properties_made", self._crm.ensure_properties())
            except (TransientFailure, PermanentFailure) as failure:
                # Without them every contact would be refused for the same reason.
                is_passing = isinstance(failure, TransientFailure)
                self.report.fail(SyncFailure("properties", "ensure_properties", str(failure), transient=is_passing))
                return self.report
        done, total = 0, len(due)
        for number in range(1, rounds + 1):
            again: list[_Due] = []
            for start in range(0, len(due), _BATCH):
                batch = due[start : start + _BATCH]
                left = self._send(batch, is_last_round=number == rounds)
                again.extend(left)
                done = min(total, done + len(batch) - len(left))
                if progress is not None:
                    progress(done, total)
            due = again if number < rounds else []
        return self.report

    # ------------------------------------------------------------ what is due

    def _wish_of(self, case: PersonCase, known: Known | None) -> ContactWish | None:
        """(1, 2) What the person's contact should hold; None where there is to be none."""
        now = self._clock()
        allowed: list[Referral] = []
        for referral in case.referrals:
            link = case.links.get(referral.id)
            is_written = link is not None and link.application_id is not None
            erased = referral.id in case.erased
            block = blocked_by(referral, self._policy, at=now, erased=erased, written=is_written)
            if block is None:
                allowed.append(referral)
            else:
                self.report.block(referral.id, block)
        links = {r.id: case.links[r.id] for r in allowed if r.id in case.links}
        linked = {x.application_id for x in links.values() if x.application_id and x.block is None}
        applications = [a for a in case.applications if a.id in linked and a.id not in case.foreign]
        if not allowed or not applications:
            return None
        latest = max(applications, key=lambda a: (a.status_at, a.id))
        job_ids = {
            latest.job_id,
            *(r.job_id for r in allowed if r.id in links and links[r.id].application_id == latest.id),
        }
        opened_for = {i for i, x in links.items() if x.created_application and x.application_id == latest.id}
        decisions = self._decisions[f"{self._contract.ats.connector}:{latest.id}"]
        may_count = with_chosen([r for r in allowed if r.job_id in job_ids], allowed, decisions)
        credited = self._crediting.tags(may_count, latest.applied_at, opened_for, decisions)
        writer = next(r for r in allowed if r.id in links and links[r.id].application_id == latest.id)
        return ContactWish(
            emails=tuple(dict.fromkeys(r.email.strip().lower() for r in (writer, *allowed) if r.email)),
            first_name=writer.first_name,
            last_name=writer.last_name,
            phone=writer.phone,
            properties={**dict.fromkeys(self._sources), **credited, **self._of_application(latest)},
            contact_id=known.contact_id if known is not None else None,
        )

    def _of_application(self, application: AtsApplication) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for name, path in self._sources.items():
            if path.startswith("ats.application."):
                value = getattr(application, path.removeprefix("ats.application."), None)
                transform = self._transforms.get(name)
                found[name] = transform.apply(value) if transform is not None else _text(value)
        return found

    def _due(self, cases: Sequence[PersonCase], known: Sequence[Known]) -> list[_Due]:
        ats = self._contract.ats.connector
        self._decisions.clear()
        for decision in self._ledger.overrides_of(f"{ats}:{a.id}" for case in cases for a in case.applications):
            self._decisions[decision.application_key].append(decision)
        of_referral = {i: one for one in known for i in one.referral_ids}
        tombstoned = self._ledger.tombstoned(f"{self._crm.system}:{one.contact_id}" for one in known)
        owned: dict[str, str] = {}
        claimed: dict[str, str] = {}
        due: list[_Due] = []

        def before(case: PersonCase) -> Known | None:
            # The person's own delivery first: another may have had its referrals once.
            own = [of_referral[r.id] for r in case.referrals if r.id in of_referral]
            return next((one for one in own if one.key == contact_key(case.person_id)), own[0] if own else None)

        def rank(case: PersonCase) -> tuple[Any, ...]:
            # (3) Who has a contact keeps it, and its address; among others the earliest referral decides.
            one = before(case)
            standing = 2 if one is None else 0 if one.key == contact_key(case.person_id) else 1
            return standing, case.referrals[0].touched_at, case.person_id

        for case in sorted(cases, key=rank):
            earlier = before(case)
            if earlier is not None and self._is_of_another(earlier, case, claimed):
                earlier = None
            wish = self._wish_of(case, earlier)
            if wish is None:
                continue
            emails = tuple(email for email in wish.emails if owned.get(email, case.person_id) == case.person_id)
            if wish.emails and not emails:
                self.report.count("contacts_shared_mailbox")
                continue
            if not emails:
                self.report.count("contacts_without_email")
                continue
            owned |= dict.fromkeys(emails, case.person_id)
            if earlier is not None and (
                earlier.gone == ERASED or f"{self._crm.system}:{earlier.contact_id}" in tombstoned
            ):
                self.report.count("contacts_gone")  # (5)
                continue
            request_hash = digest(dict(wish.properties))
            key = contact_key(case.person_id)
            if (
                earlier is not None
                and earlier.key == key
                and earlier.is_confirmed
                and earlier.request_hash == request_hash
            ):
                self.report.count("contacts_gone" if earlier.gone else "contacts_unchanged")
                continue
            ids = tuple(sorted({r.id for r in case.referrals}))
            due.append(_Due(case.person_id, key, ids, replace(wish, emails=emails), request_hash))
        taken = frozenset(claimed)
        return [replace(one, wish=replace(one.wish, not_these=taken)) for one in due]

    @staticmethod
    def _is_of_another(contact: Known, case: PersonCase, claimed: dict[str, str]) -> bool:
        """Whether another person keeps this contact: two persons were one. What is gone is gone for both (4)."""
        return contact.gone is None and claimed.setdefault(contact.contact_id, case.person_id) != case.person_id

    # ------------------------------------------------------------ sending

    def _send(self, batch: Sequence[_Due], *, is_last_round: bool) -> list[_Due]:
        """Send a batch; answers what failed in passing."""
        self._ledger.begin_many([self._intent(one) for one in batch])
        again: list[_Due] = []
        confirmed: list[tuple[str, dict[str, Any]]] = []
        with ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="contacts") as pool:
            futures = {pool.submit(self._crm.put_contact, one.wish): one for one in batch}
            for future in as_completed(futures):
                one = futures[future]
                try:
                    put = future.result()
                except TransientFailure as failure:
                    again.append(one)
                    if is_last_round:
                        self._failed(one.key, one.person_id, PUT, failure)
                except PermanentFailure as failure:
                    self._failed(one.key, one.person_id, PUT, failure)
                else:
                    self.report.count(_COUNTED[put.outcome])
                    if put.outcome == "taken":
                        continue  # asked again the next time: people may part the two
                    confirmed.append((one.key, self._settled(one, put)))
        self._ledger.confirm_many(confirmed)
        return again

    @staticmethod
    def _settled(one: _Due, put: ContactPut) -> dict[str, Any]:
        return result_of(put.contact_id, one.referral_ids, DELETED if put.outcome == "gone" else None)

    def _intent(self, one: _Due) -> DeliveryIntent:
        return DeliveryIntent(
            key=one.key,
            system=self._crm.system,
            operation=PUT,
            target=one.person_id,
            request_hash=one.request_hash,
            referral_id=one.referral_ids[0],
        )

    def _failed(self, key: str, subject: str, operation: str, failure: Exception) -> None:
        is_passing = isinstance(failure, TransientFailure)
        request, response = (None, None) if is_passing else self._sealer.of(failure)
        self._ledger.fail(key, str(failure), dead=not is_passing, request=request, response=response)
        self.report.fail(SyncFailure(subject, operation, str(failure), transient=is_passing))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value.value) if isinstance(value, Enum) else str(value)
