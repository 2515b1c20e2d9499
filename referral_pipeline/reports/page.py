"""What the leadership report shows: the one view that HTML and XLSX are both made from.

Belongs here: putting the parts together. Does not belong here: the parts (`headlines`, `changes`, `hiring`, `money`,
`trust`), reading (`marts`), wording (`words`), HTML (`leadership`), XLSX (`workbook`).

Only marts are read; no name, no contact detail is in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from referral_pipeline.contract.models import Contract
from referral_pipeline.quality.rules import RULES
from referral_pipeline.reports import changes as _changes
from referral_pipeline.reports import headlines as _headlines
from referral_pipeline.reports import hiring, money, trust
from referral_pipeline.reports.marts import KpiRow, ReadsTables, read_marts
from referral_pipeline.reports.periods import Quarter
from referral_pipeline.reports.words import definitions


@dataclass(frozen=True)
class Page:
    """Everything the report shows. `edition` is the quarter of a kept edition, None for the page of the day."""

    at: datetime
    as_of: str
    edition: Quarter | None
    sandbox: bool
    is_backdated: bool
    """The numbers stand at a moment of the past, over the facts of today."""
    owner: str
    currency: str
    summary: str
    headlines: tuple[_headlines.Headline, ...]
    review: tuple[_headlines.QuarterFigure, ...]
    changes: _changes.Changes
    funnel: tuple[hiring.Step, ...]
    time_to_hire: hiring.TimeToHire | None
    costs: money.Costs | None
    roi: money.Roi | None
    campaigns: tuple[hiring.Campaign, ...]
    participation: hiring.Participation | None
    coverage: tuple[trust.Coverage, ...]
    quality: tuple[trust.Line, ...]
    definitions: tuple[tuple[str, str], ...]
    rows: tuple[KpiRow, ...]
    rules_total: int
    rules_blocking: int
    lookback_days: int
    horizon_days: int
    model: str


def read_page(
    warehouse: ReadsTables,
    contract: Contract,
    *,
    as_of: datetime,
    edition: Quarter | None = None,
    is_backdated: bool = False,
) -> Page:
    """Read the report's numbers as they stand in the marts.

    Args:
        warehouse: whose marts are read; a table that is not there makes its part "not known yet".
        contract: for the targets, the owner and the rule of credit.
        as_of: the moment the numbers are for, aware.
        edition: the quarter that a kept edition reviews.
        is_backdated: whether `as_of` was chosen, over the facts of today; the page then says so.
    """
    read = read_marts(warehouse, as_of=as_of, currency=str(contract.rules.bonus.currency))
    kpis, currency = read.kpis, read.currency
    found = _headlines.headlines(kpis, contract, currency)
    return Page(
        at=as_of,
        as_of=f"{as_of:%d %B %Y, %H:%M} UTC".lstrip("0"),
        edition=edition,
        sandbox=contract.environment == "sandbox",
        is_backdated=is_backdated,
        owner=contract.owner.name,
        currency=currency,
        summary=_headlines.summary(found),
        headlines=found,
        review=_headlines.review(kpis, edition) if edition else (),
        changes=_changes.changes(kpis, contract),
        funnel=hiring.funnel(read.funnel, kpis),
        time_to_hire=hiring.time_to_hire(kpis, read.curve),
        costs=money.costs(kpis, currency),
        roi=money.roi(kpis, currency),
        campaigns=hiring.campaigns(read.campaigns, kpis),
        participation=hiring.participation(kpis),
        coverage=trust.coverage(kpis),
        quality=trust.quality(read.quality, kpis),
        definitions=definitions({headline.kpi for headline in found} | kpis.names),
        rows=(*kpis.rows, *read.campaigns),
        rules_total=len(RULES),
        rules_blocking=sum(rule.blocking for rule in RULES),
        lookback_days=contract.rules.attribution.lookback_days,
        horizon_days=contract.objectives.horizon_days,
        model=str(contract.rules.attribution.model).replace("_", " "),
    )
