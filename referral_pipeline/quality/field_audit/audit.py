"""One audit from the draw to the verdict.

Belongs here: the two looks, what counts as wrong, and the sums. Does not belong here: keeping the outcome (ledger,
warehouse), telling it (orchestration, cli).

A difference counts only when it stays. A change on either side takes its time to arrive: fresh records are hidden for
the ATS's visibility lag, webhooks and writes are under way. So what differs at the first look is looked at again after
that lag, and after what is under way for it has come to an end or has had `monitoring.latency_p95_seconds` for it. What
then is older than its source is left out while no pull has shown that change yet, for two hours at most.

A system that fails ends the audit, and nothing is known then: half a sample is no sample.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from referral_pipeline.connectors.failures import HttpFailure
from referral_pipeline.ledger.records import DeliveryState, Link
from referral_pipeline.quality.field_audit.classify import Mismatch, mismatches, worst
from referral_pipeline.quality.field_audit.compare import ATS, Comparison, Difference
from referral_pipeline.quality.field_audit.expect import comparisons, gone_referral
from referral_pipeline.quality.field_audit.gather import Gathered, Gatherer, Gatherings
from referral_pipeline.quality.field_audit.judge import Rate, Verdict, rate, verdict_on
from referral_pipeline.quality.field_audit.live import Systems
from referral_pipeline.quality.field_audit.sample import Sample, clean_sample_for, draw
from referral_pipeline.vocabulary import Block

RECORD: Final = "record"
BOTH: Final = "both"
_UNDER_WAY: Final = timedelta(hours=2)
"""Two hourly refreshes: by then a pull has shown every change."""

_LOOKS_EVERY: Final = 1.0
_MOST_FINDINGS: Final = 500


class AuditFailed(Exception):
    """A system could not be read to the end. Nothing is known of the sample, and nothing was kept."""


class Standing(StrEnum):
    """What an audit says of one record."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNREADABLE = "unreadable"  # it is there and cannot be read: counted as wrong
    UNDER_WAY = "under_way"  # its only differences are changes that no pull has shown yet: not counted
    HELD_BACK = "held_back"  # nothing may be written for it any more: not counted


@dataclass(frozen=True)
class Audited:
    """One record of the sample. No personal data: of values that differ only the shapes are kept.

    `fields` are the fields compared as (side, field), without those that are under way.
    """

    link: Link
    standing: Standing
    fields: frozenset[tuple[str, str]] = frozenset()
    wrong: tuple[Mismatch, ...] = ()
    under_way: tuple[Mismatch, ...] = ()


@dataclass(frozen=True)
class FieldRate:
    """How right one field is on one side, and what was wrong by difference; `field` record is the records as wholes.

    Of records `differences` counts those that have any such mismatch, so that it may sum to more than are wrong;
    `unreadable` counts those that could not be read, which are wrong too.
    """

    side: str
    field: str
    rate: Rate
    differences: Mapping[Difference, int]
    unreadable: int = 0


@dataclass(frozen=True)
class Audit:
    """The outcome of one audit. No personal data."""

    seed: int
    confidence: float
    minimum_accuracy: float
    claim: float | None
    began_at: datetime
    ended_at: datetime
    sample: Sample
    records: tuple[Audited, ...]
    rates: tuple[FieldRate, ...] = field(default=())

    @property
    def of_records(self) -> Rate:
        """How many records are right in every field."""
        return next(one.rate for one in self.rates if one.field == RECORD)

    @property
    def population(self) -> int:
        """How many linked records there are."""
        return sum(self.sample.population.values())

    @property
    def verdict(self) -> Verdict:
        """Whether the contract's minimum is shown."""
        return verdict_on(
            self.of_records, minimum=self.minimum_accuracy, confidence=self.confidence, population=self.population
        )

    @property
    def wrong(self) -> list[tuple[Link, Mismatch]]:
        """Every mismatch with its record."""
        return [(record.link, one) for record in self.records for one in record.wrong]

    @property
    def worst(self) -> tuple[str, str, Difference] | None:
        """The field that is wrong most often, and how: (side, field, difference)."""
        return worst(one for _, one in self.wrong)

    def standing(self, which: Standing) -> int:
        """How many records stand so."""
        return sum(record.standing is which for record in self.records)

    def facts(self) -> dict[str, Any]:
        """The outcome as JSON: counts, rates, ids and shapes."""
        return {
            "seed": self.seed,
            "confidence": self.confidence,
            "minimum_accuracy": self.minimum_accuracy,
            "claim": self.claim,
            "began_at": self.began_at.isoformat(),
            "seconds": round((self.ended_at - self.began_at).total_seconds(), 1),
            "verdict": self.verdict.value,
            "population": self.population,
            "sampled": len(self.records) - len(self.sample.beside),
            "beside": len(self.sample.beside),
            **{which.value: self.standing(which) for which in Standing},
            "clean_sample_for_minimum": clean_sample_for(1 - self.minimum_accuracy, self.confidence),
            "strata": self.sample.strata,
            "rates": [_rate_facts(one) for one in self.rates],
            "mismatches": [
                {
                    "referral_id": link.referral_id,
                    "application_id": link.application_id,
                    "side": one.side,
                    "field": one.field,
                    "difference": one.difference.value,
                    "expected": one.expected,
                    "found": one.found,
                }
                for link, one in self.wrong[:_MOST_FINDINGS]
            ],
            "mismatches_in_all": len(self.wrong),
            "unreadable_ids": [r.link.referral_id for r in self.records if r.standing is Standing.UNREADABLE],
            "referral_ids": [record.link.referral_id for record in self.records],
        }


def _rate_facts(one: FieldRate) -> dict[str, Any]:
    return {
        "side": one.side,
        "field": one.field,
        **vars(one.rate),
        "unreadable": one.unreadable,
        "differences": {difference.value: count for difference, count in sorted(one.differences.items())},
    }


class FieldAudit:
    """Audits one installation."""

    def __init__(self, systems: Systems) -> None:
        self._s = systems
        self._gatherer = Gatherer(systems)

    def run(self, *, seed: int, sample: int | None = None, claim: float | None = None) -> Audit:
        """Draw, look, look again at what differs, and judge.

        Args:
            seed: which records are drawn.
            sample: how many; None for what the claim needs, without a claim what the contract says.
            claim: the share of wrong records of which at most is to be claimed; without a wrong one in the sample it
                then can.

        Raises:
            AuditFailed: a system could not be read to the end.
        """
        s, rules = self._s, self._s.contract.verification.field_audit
        began_at = s.clock()
        wanted = sample or (clean_sample_for(claim, rules.confidence) if claim is not None else rules.sample)
        population = [x for x in s.ledger.links() if x.block is None and x.application_id and x.system == s.ats.system]
        drawn = draw(population, wanted=wanted, seed=seed, now=began_at)
        try:
            records = self._looked_at(drawn.links)
        except HttpFailure as failure:
            # Without its cause, which is in the words: a run is told by its innermost error, and that has no mend.
            raise AuditFailed(
                f"the audit could not read {failure.system} to the end and kept nothing: {failure}. Mend that (see "
                f"`referral-pipeline check`), then run it again; --seed {seed} draws the same records"
            ) from None
        audit = Audit(seed, rules.confidence, rules.minimum_accuracy, claim, began_at, s.clock(), drawn, tuple(records))
        counted = [record for record in records if record.link.referral_id not in drawn.beside]
        return replace(audit, rates=tuple(_rates(counted, rules.confidence)))

    # ------------------------------------------------------------ two looks

    def _looked_at(self, links: Sequence[Link]) -> list[Audited]:
        first = self._look(links, "audit records")
        doubtful = [one.link for one in first if one.standing in (Standing.DIFFERS, Standing.UNREADABLE)]
        if not doubtful:
            return first
        self._wait_for(doubtful)
        # The ledger too may know better by now: what was deleted is held back, what was merged has another id.
        now = self._s.ledger.links_for(link.referral_id for link in doubtful)
        standing = [x for link in doubtful if (x := now.get(link.referral_id)) is not None and _is_kept_level(x)]
        second = {one.link.referral_id: one for one in self._look(standing, "look again")}
        before = {one.link.referral_id: one for one in first}
        return [
            _that_stays(one, second.get(i)) if one.standing in (Standing.DIFFERS, Standing.UNREADABLE) else one
            for i, one in before.items()
        ]

    def _look(self, links: Sequence[Link], what: str) -> list[Audited]:
        found = self._gatherer.gather(links, what)
        pulled_until = {source.system: self._pulled_until(source) for source in (self._s.ats, self._s.advocacy)}
        return [self._audited(link, found, pulled_until) for link in links]

    def _audited(self, link: Link, found: Gatherings, pulled_until: Mapping[str, datetime | None]) -> Audited:
        if link.referral_id in found.unreadable:
            return Audited(link, Standing.UNREADABLE)
        record = found.found.get(link.referral_id)
        compared = [gone_referral(link.referral_id)] if record is None else comparisons(record, self._s.contract)
        if not compared:
            return Audited(link, Standing.HELD_BACK)
        wrong, under_way = list[Mismatch](), list[Mismatch]()
        for one in mismatches(compared):
            is_young = record is not None and self._is_young(one, record, pulled_until)
            (under_way if is_young else wrong).append(one)
        left_out = {(one.side, one.field) for one in under_way}
        fields = frozenset(_places(compared) - left_out)
        standing = Standing.DIFFERS if wrong else Standing.UNDER_WAY if under_way else Standing.AGREES
        return Audited(link, standing, fields, tuple(wrong), tuple(under_way))

    def _is_young(self, one: Mismatch, record: Gathered, pulled_until: Mapping[str, datetime | None]) -> bool:
        """Whether a value is older than its source by a change that no pull has shown yet.

        What was changed in the system that holds it, after its source, was changed there: that is no late change.
        """
        application, told = record.application, record.live.told
        if record.block is Block.COUNTRY:
            source, target, system = told.updated_at, record.link.updated_at, self._s.advocacy.system
        elif one.difference is not Difference.STALE or application is None:
            return False
        elif one.side == ATS:
            of_person = record.counting.person.values() if record.counting is not None else ()
            source = max((r.updated_at for r in of_person), default=told.updated_at)
            target, system = application.updated_at, self._s.advocacy.system
        else:
            source, target, system = application.status_at, told.updated_at, self._s.ats.system
        last = pulled_until[system]
        is_late = last is None or source > last
        return is_late and (target is None or source > target) and self._s.clock() - source <= _UNDER_WAY

    def _pulled_until(self, source: Any) -> datetime | None:
        """Up to when all of a system was asked; None when some of it never was."""
        cursors = [self._s.ledger.cursor(source.system, entity) for entity in source.entities]
        positions = [cursor.position for cursor in cursors if cursor is not None]
        return min(positions) if positions and len(positions) == len(cursors) else None

    def _wait_for(self, links: Sequence[Link]) -> None:
        """Wait until what is fresh must be visible, and what is under way for these records has come to an end."""
        s = self._s
        s.progress("wait for what is under way", 0, 1)
        s.sleep(s.ats.visibility_lag_seconds)
        until = s.clock() + timedelta(seconds=s.contract.monitoring.latency_p95_seconds)
        while self._is_under_way(links) and s.clock() < until:
            s.sleep(_LOOKS_EVERY)
        s.progress("wait for what is under way", 1, 1)

    def _is_under_way(self, links: Sequence[Link]) -> bool:
        """Whether an event of these records waits to be done, or a write of them has begun and not ended."""
        ledger, ats = self._s.ledger, self._s.ats.system
        subjects = {f"referral:{link.referral_id}" for link in links}
        subjects |= {f"application:{link.application_id}" for link in links}
        subjects |= {f"candidate:{link.candidate_id}" for link in links if link.candidate_id}
        if ledger.unfinished_subjects(subjects):
            return True
        keys = {f"status:{link.referral_id}" for link in links}
        keys |= {f"tags:{ats}:{link.application_id}" for link in links}
        return any(one.state is DeliveryState.PENDING for one in ledger.deliveries_by_key(keys).values())


# ---------------------------------------------------------------- helpers


def _is_kept_level(link: Link) -> bool:
    return link.block is None and link.application_id is not None


def _that_stays(before: Audited, after: Audited | None) -> Audited:
    """A record after the second look: wrong is what was wrong at both."""
    if after is None:
        return Audited(before.link, Standing.HELD_BACK)
    if after.standing is not Standing.DIFFERS or before.standing is Standing.UNREADABLE:
        return after  # of what could not be read at first, the second look is all there is
    seen = {(one.side, one.field) for one in before.wrong}
    stays = tuple(one for one in after.wrong if (one.side, one.field) in seen)
    return replace(after, wrong=stays, standing=Standing.DIFFERS if stays else Standing.AGREES)


def _places(compared: Iterable[Comparison]) -> set[tuple[str, str]]:
    return {(one.side, one.field) for one in compared}


def _rates(records: Sequence[Audited], confidence: float) -> list[FieldRate]:
    """The rate of each field by side, and of the records as wholes, which comes first."""
    checked: Counter[tuple[str, str]] = Counter()
    wrong: dict[tuple[str, str], Counter[Difference]] = defaultdict(Counter)
    of_records: Counter[Difference] = Counter()
    for record in records:
        checked.update(record.fields)
        for one in {(one.side, one.field): one for one in record.wrong}.values():
            wrong[one.side, one.field][one.difference] += 1
        of_records.update({one.difference for one in record.wrong})
    standing = Counter(record.standing for record in records)
    unreadable, differing = standing[Standing.UNREADABLE], standing[Standing.DIFFERS]
    counted = standing[Standing.AGREES] + differing + unreadable
    return [
        FieldRate(BOTH, RECORD, rate(counted, differing + unreadable, confidence), dict(of_records), unreadable),
        *(
            FieldRate(side, name, rate(checked[side, name], wrong[side, name].total(), confidence), wrong[side, name])
            for side, name in sorted(checked)
        ),
    ]
