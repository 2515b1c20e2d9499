"""Erasure in the CRM: whom the advocacy platform erased has no contact there any more.

Belongs here: whose contact is to be erased, finding it, erasing it. Does not belong here: writing contacts (contacts),
what an erasure does elsewhere (lane).

Invariants
1. A contact is erased when the platform erased one of its referrals, or one of an address of them.
2. Who was erased while nobody knew whether a contact had been made is looked for by the referral that it would hold.
3. It is done whatever the contract maps by now, and tried again in each run until the CRM says yes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from referral_pipeline.connectors.failures import PermanentFailure, TransientFailure
from referral_pipeline.connectors.protocols import CrmConnector
from referral_pipeline.contract.models import Contract
from referral_pipeline.identity.resolve import EMAIL
from referral_pipeline.ledger.store import Delivery, DeliveryIntent, DeliveryState, Ledger
from referral_pipeline.sync.contact_memory import ERASE, ERASED, Known, known_of, result_of
from referral_pipeline.sync.creation import digest
from referral_pipeline.sync.report import SyncFailure, SyncReport

_ID = "advocacy.referral.id"
_SEARCH_LAG = timedelta(hours=1)
"""A contact that search does not show by then was not made."""
_NOT_TO_BE_FOUND = (
    f"erased on the platform before it was known whether a contact was made, and no property holds {_ID}: look in the "
    "CRM for a contact made at the time of the first attempt, and erase it by hand"
)


class ContactErasure:
    """Erases in one run. `failed` notes a delivery that failed (its key, subject, operation, failure)."""

    def __init__(
        self,
        *,
        crm: CrmConnector,
        ledger: Ledger,
        contract: Contract,
        clock: Callable[[], datetime],
        report: SyncReport,
        failed: Callable[[str, str, str, Exception], None],
    ) -> None:
        """Bind it to its systems."""
        self._crm = crm
        self._ledger = ledger
        self._advocacy = contract.advocacy.connector
        self._clock = clock
        self._report = report
        self._failed = failed
        transformed = contract.crm_transforms()
        self._id_property = next(
            (name for name, path in contract.crm_sources().items() if path == _ID and name not in transformed), None
        )

    def run(self, deliveries: Sequence[Delivery]) -> list[Known]:
        """(1, 3) Erase what is to be erased; answers every contact that these deliveries know, as it stands then."""
        known = [one for delivery in deliveries if (one := known_of(delivery)) is not None]
        forgotten = self._forgotten({i for one in known if one.gone != ERASED for i in one.referral_ids})
        left: list[Known] = []
        for one in known:
            if one.gone == ERASED or forgotten.isdisjoint(one.referral_ids):
                left.append(one)
                continue
            # Where it fails, the next run tries again, and nobody writes it meanwhile.
            left.append(replace(one, gone=ERASED))
            self._erase(one.contact_id, one.key, one.referral_ids)
        unsettled = [d for d in deliveries if d.state is not DeliveryState.CONFIRMED and known_of(d) is None]
        self._look_for(unsettled, others={one.contact_id for one in left if one.gone is None})
        return left

    def _forgotten(self, referral_ids: Iterable[str]) -> set[str]:
        """(1) Those that the platform erased, and others of an address that it erased."""
        of_record = {f"{self._advocacy}:{i}": i for i in referral_ids}
        keys = [key for key in self._ledger.keys_of(of_record) if key.kind == EMAIL]
        tombstones = self._ledger.tombstoned({*of_record, *(key.key_hash for key in keys)})
        records = (tombstones & of_record.keys()) | {key.record_id for key in keys if key.key_hash in tombstones}
        return {of_record[record] for record in records}

    def _look_for(self, unsettled: Sequence[Delivery], *, others: Collection[str]) -> None:
        """(2) Search lags, so a contact that is not found counts as never made after an hour only.

        `others` are contacts of persons who were not erased.
        """
        referrals_of = {d.target: {d.referral_id} if d.referral_id else set[str]() for d in unsettled}
        for link in self._ledger.links_of_persons(referrals_of):
            referrals_of[link.person_id].add(link.referral_id)
        forgotten = self._forgotten({i for ids in referrals_of.values() for i in ids})
        for delivery in unsettled:
            ids = sorted(referrals_of[delivery.target])
            if forgotten.isdisjoint(ids):
                continue
            if self._id_property is None:
                # Told once: it is a dead letter from then on.
                if delivery.last_error != _NOT_TO_BE_FOUND:
                    self._failed(delivery.key, delivery.target, ERASE, LookupError(_NOT_TO_BE_FOUND))
                continue
            try:
                found = [i for i in self._crm.contacts_having(self._id_property, ids) if i not in others]
            except (TransientFailure, PermanentFailure) as failure:
                is_passing = isinstance(failure, TransientFailure)
                self._report.fail(SyncFailure(delivery.target, ERASE, str(failure), transient=is_passing))
                continue
            for contact_id in found:
                self._erase(contact_id, delivery.key, ids)
            if not found and self._clock() - delivery.last_attempt_at > _SEARCH_LAG:
                self._ledger.confirm(delivery.key, {**result_of("", ids, ERASED), "contact_id": None})

    def _erase(self, contact_id: str, written_by: str, referral_ids: Iterable[str]) -> None:
        """Erase one contact; `written_by` is the key of the delivery that made it."""
        key = f"contact-erasure:{contact_id}"
        request_hash = digest({"contact_id": contact_id})
        self._ledger.begin(DeliveryIntent(key, self._crm.system, ERASE, contact_id, request_hash))
        try:
            self._crm.erase_contact(contact_id)
        except (TransientFailure, PermanentFailure) as failure:
            self._failed(key, contact_id, ERASE, failure)
            return
        with self._ledger.atomic():
            self._ledger.confirm(key, {"contact_id": contact_id})
            self._ledger.confirm(written_by, result_of(contact_id, referral_ids, ERASED))
        self._report.count("contacts_erased")
