"""Bringing the advocacy fields of an application to what attribution says, and telling when somebody had changed them.

Belongs here: the one way by which these fields are written (intent, call, outcome), the words for what can be wrong
with them, and the memory of what was written last. Does not belong here: what they should be (crediting, facts),
looking for what is wrong in all applications at once (quality.attribution_validation).

The rules
1. Equal means no call. What is not named in `tags` is left alone; None empties a field.
2. What was written is remembered by field, as digests. A field that holds neither that nor what it should hold now was
   changed by somebody else. It is mended all the same, and a delivery of its own says so: it is begun before the write,
   so that not even the end of the process between the two keeps it secret.
3. Where nobody knows what was written last (the first write, an answer that was lost), nobody is said to have changed
   it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum

from referral_pipeline.connectors.failures import PermanentFailure, TransientFailure
from referral_pipeline.connectors.protocols import AtsConnector
from referral_pipeline.connectors.records import AtsApplication
from referral_pipeline.ledger.store import Delivery, DeliveryIntent, DeliveryState, Ledger
from referral_pipeline.sync.creation import digest, prints
from referral_pipeline.sync.evidence import Sealer
from referral_pipeline.sync.report import SyncReport
from referral_pipeline.vocabulary import ATTRIBUTION_FIELDS

UPDATE = "update_application"
MEND = "mend_application"
"""The operations of deliveries: fields that were brought, and those among them that somebody else had changed."""


class Finding(StrEnum):
    """What can be wrong between an application in the ATS and its attribution."""

    MISSING_TAG = "missing_tag"  # nothing stands there, or no referral does
    WRONG_REFERRAL = "wrong_referral"
    WRONG_ADVOCATE = "wrong_advocate"
    WRONG_SHARE = "wrong_share"
    WRONG_CONTENT = "wrong_content"
    MISSING_CAMPAIGN = "missing_campaign"
    WRONG_CAMPAIGN = "wrong_campaign"
    ORPHANED_TAG = "orphaned_tag"  # it names a referral or an advocate that does not exist, or an advocate alone
    DOUBLE_TAG = "double_tag"  # it names the referral of another application
    SOURCE_MISSING = "source_missing"
    GONE = "gone"  # deleted in the ATS while a referral leads to it
    MERGED = "merged"  # its candidate lives on under another id, which was not followed yet


_WRONG: Mapping[str, Finding] = {
    "advocate_id": Finding.WRONG_ADVOCATE,
    "share_id": Finding.WRONG_SHARE,
    "content_id": Finding.WRONG_CONTENT,
    "campaign_tag": Finding.WRONG_CAMPAIGN,
}


class TagWriter:
    """Writes the advocacy fields of applications. Safe from several threads; one application is one thread's at a time.

    Args:
        ats: the connector to write to.
        ledger: for intents and what was written last.
        sealer: keeps request and answer of what is refused for good.
        report: told what was done.
        known_until: when the applications were pulled. Fields that were brought later are known better by whoever did
            it. None: they are fresh.
    """

    def __init__(
        self,
        *,
        ats: AtsConnector,
        ledger: Ledger,
        sealer: Sealer,
        report: SyncReport,
        known_until: datetime | None = None,
    ) -> None:
        self._ats = ats
        self._ledger = ledger
        self._sealer = sealer
        self._report = report
        self._known_until = known_until

    def bring(
        self,
        application: AtsApplication,
        tags: Mapping[str, str | None],
        *,
        advocate_email: Callable[[], str | None] = lambda: None,
        by_hand: bool = False,
        with_source: bool = False,
    ) -> bool:
        """Bring these fields of an application to these values; whether something was written.

        Args:
            application: as it was read.
            tags: by logical name.
            advocate_email: asked only when there is something to write; fills the vendor's own referrer where empty.
            by_hand: somebody asked for it who was told what is wrong: it is not told again.
            with_source: the source is missing too, so that equal fields are no reason to be done.

        Raises:
            NotFound: the application is not there.
            TransientFailure, PermanentFailure: from the connector; the intent is kept with the error.
        """
        if not with_source and all(application.tags.get(name) == value for name, value in tags.items()):
            self._report.count("applications_unchanged")
            return False
        key = tags_key(self._ats.system, application.id)
        earlier = self._ledger.delivery(key)
        if self._is_better(earlier):
            self._report.count("applications_known_better")
            return False
        last = self._written_last(application.id, earlier)
        found = frozenset[Finding]() if by_hand else self._changed_by_others(application, tags, last)
        intents = [self._intent(key, UPDATE, application.id, tags)]
        if found:
            intents.append(self._intent(mend_key(self._ats.system, application.id, found), MEND, application.id, tags))
        self._ledger.begin_many(intents, anew=bool(found))
        try:
            written = self._ats.update_application(application.id, tags, advocate_email=advocate_email())
        except (PermanentFailure, TransientFailure) as failure:
            dead = isinstance(failure, PermanentFailure)
            request, response = self._sealer.of(failure) if dead else (None, None)
            with self._ledger.atomic():
                self._ledger.fail(key, str(failure), dead=dead, request=request, response=response)
                # Nothing was mended: what is wrong is found where it stands.
                self._ledger.confirm_many([(intent.key, {"written": False}) for intent in intents[1:]])
            raise
        now_there = {**last, **prints(tags)}
        done = [(key, {"written": written, "tags": now_there})]
        self._ledger.confirm_many([*done, *((intent.key, {"written": written}) for intent in intents[1:])])
        if written:
            self._report.update(application.candidate_id)
            self._report.touch(application.id)
            if found:
                self._report.count("applications_mended")
        return written

    def is_known_better(self, application_id: str) -> bool:
        """Whether the fields of an application were brought after the pull that it is judged by."""
        return self._is_better(self._ledger.delivery(tags_key(self._ats.system, application_id)))

    def _is_better(self, earlier: Delivery | None) -> bool:
        if earlier is None or self._known_until is None:
            return False
        return earlier.state is DeliveryState.CONFIRMED and earlier.last_attempt_at >= self._known_until

    def _written_last(self, application_id: str, earlier: Delivery | None) -> Mapping[str, str]:
        """Digests of what this bridge wrote last, by field; nothing where nobody knows."""
        if earlier is not None:
            return _prints_of(earlier)
        # Not touched since it was opened: what it was opened with.
        links = self._ledger.links_of_applications(self._ats.system, [application_id])
        opened = self._ledger.deliveries_by_key(
            f"application:{self._ats.system}:{link.referral_id}" for link in links if link.created_application
        )
        return next((known for one in opened.values() if (known := _prints_of(one))), {})

    def _changed_by_others(
        self, application: AtsApplication, tags: Mapping[str, str | None], last: Mapping[str, str]
    ) -> frozenset[Finding]:
        there = {name: application.tags.get(name) for name in ATTRIBUTION_FIELDS if name in tags}
        held = prints(there)
        changed = {
            name: value
            for name, value in there.items()
            if value != tags[name] and name in last and held[name] != last[name]
        }
        if changed and not any(there.values()):
            return frozenset({Finding.MISSING_TAG})
        return frozenset(self._word(application.id, name, value) for name, value in changed.items())

    def _word(self, application_id: str, name: str, there: str | None) -> Finding:
        if name == "campaign_tag" and there is None:
            return Finding.MISSING_CAMPAIGN
        if name != "referral_id":
            return _WRONG[name]
        if there is None:
            return Finding.MISSING_TAG
        link = self._ledger.link(there)
        if link is None:
            return Finding.ORPHANED_TAG
        return Finding.DOUBLE_TAG if link.application_id not in {None, application_id} else Finding.WRONG_REFERRAL

    def _intent(self, key: str, operation: str, target: str, tags: Mapping[str, str | None]) -> DeliveryIntent:
        return DeliveryIntent(
            key=key,
            system=self._ats.system,
            operation=operation,
            target=target,
            request_hash=digest(tags),
            referral_id=tags.get("referral_id"),
        )


def tags_key(system: str, application_id: str) -> str:
    """The delivery that brings the fields of an application."""
    return f"tags:{system}:{application_id}"


def mend_key(system: str, application_id: str, found: frozenset[Finding]) -> str:
    """The delivery that mends what others changed; it says what that was before anything is known of the outcome."""
    return f"mend:{system}:{application_id}:{','.join(sorted(found))}"


def findings_of(mend: Delivery) -> list[Finding]:
    """What a delivery of the operation MEND mended."""
    return [Finding(word) for word in mend.key.rpartition(":")[2].split(",")]


def _prints_of(delivery: Delivery) -> Mapping[str, str]:
    if delivery.state is not DeliveryState.CONFIRMED or not delivery.result:
        return {}
    return delivery.result.get("tags") or {}
