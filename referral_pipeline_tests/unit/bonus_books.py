"""A ledger with bonuses in it, for tests of payroll: hires that the platform was told of, without a platform.

Belongs here: short ways to write recognitions and links as the bridge leaves them. Does not belong here: tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from referral_pipeline.ledger.recognitions import recognition_key
from referral_pipeline.ledger.store import Ledger, Link, PayrollExport, Recognition
from referral_pipeline.vocabulary import CandidateStatus

HIRED_AT = datetime(2026, 1, 10, 9, tzinfo=UTC)
PAY_ON = date(2026, 5, 31)
CLERK = "payroll@example.com"


@dataclass
class Books:
    """Writes to one ledger. `number` of a referral is also that of its application, advocate and person."""

    ledger: Ledger
    tell: Callable[[], None] = lambda: None

    def recognise(self, number: int, *kinds: str, cycle: int = 1, cents: int = 200_000, **fields: Any) -> None:
        """Tell the platform these kinds for referral `R<number>`, with `application` and so on as given."""
        referral, application = f"R{number}", str(fields.pop("application", number))
        for place, kind in enumerate(kinds):
            row = Recognition(
                key=recognition_key("greenhouse", application, referral, cycle, kind),
                referral_id=referral,
                advocate_id=f"A{number}",
                system="greenhouse",
                application_id=application,
                cycle=cycle,
                kind=kind,
                amount_cents=0 if kind == "hired" else cents,
                currency=fields.get("currency", "USD"),
                state="pending",
                created_at=HIRED_AT + timedelta(days=number, seconds=place),
            )
            self.ledger.begin_recognition(row)
            if fields.get("state", "sent") != "pending":
                self.ledger.settle_recognition(row.key, fields.get("state", "sent"))

    def link(self, number: int, **fields: Any) -> None:
        """The link that a hire leaves."""
        values: dict[str, Any] = {
            "referral_id": f"R{number}",
            "person_id": f"per_{number}",
            "job_id": "J1",
            "advocate_id": f"A{number}",
            "share_id": None,
            "campaign_tag": None,
            "touched_at": HIRED_AT,
            "system": "greenhouse",
            "candidate_id": f"C{number}",
            "application_id": str(number),
            "status": CandidateStatus.HIRED,
            "state": "bonus_eligible",
        }
        self.ledger.save_links([Link(**{**values, **fields})])

    def eligible(self, number: int, **fields: Any) -> None:
        """A hire whose bonus is eligible."""
        self.link(number)
        self.recognise(number, "hired", "bonus_eligible", **fields)

    def export(self) -> PayrollExport | None:
        return self.ledger.export_payroll(by=CLERK, pay_on=PAY_ON)

    def states(self) -> dict[str, tuple[str, int | None]]:
        """State and amount of each bonus, by referral and cycle."""
        return {f"{b.referral_id}/{b.cycle}": (b.state, b.amount_cents) for b in self.ledger.bonuses()}
