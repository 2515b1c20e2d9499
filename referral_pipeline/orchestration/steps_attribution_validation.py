"""Attribution validation and its repair as steps of the bridge.

Belongs here: joining the rooms, what is kept of a validation, the plan of a repair. Does not belong here: dagster
(assets.attribution_validation), the rule (warehouse, quality.attribution_validation), the write (sync.tag_repair).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from referral_pipeline.connectors.covered import fingerprint_of
from referral_pipeline.contract.models import Contract
from referral_pipeline.quality.attribution_validation import Found, Validation, Validator, pulled_until
from referral_pipeline.sync.tag_repair import Repaired, RepairStep, TagRepair
from referral_pipeline.sync.tags import Finding
from referral_pipeline.warehouse.attribution_validation import note_validated
from referral_pipeline.warehouse.failures import WarehouseError
from referral_pipeline.warehouse.staging import stage_ledger

if TYPE_CHECKING:
    from referral_pipeline.orchestration.bridge import Bridge

KIND = "attribution"
_AGAIN_AFTER = timedelta(days=1)
_GONE = (
    "it was deleted in the ATS: its referral makes no new one, and earns nothing by it. Restore it there if that was a "
    "mistake; else nothing is to be done, `refresh --full` notes it"
)
_NOT_OURS = (
    "the bridge never wrote to it: empty its advocacy fields in the ATS, or find out there who filled them and why"
)


def validate_attribution(
    bridge: Bridge,
    *,
    live: bool = False,
    anew: bool = False,
    made_by: str | None = None,
    named: Collection[str] = (),
) -> Validation:
    """Validate attribution as of the last pull, and rebuild ops.attribution_validation.

    Args:
        bridge: of the installation.
        live: read what is found once more before it is told.
        anew: copy the ledger's links and merges again first; not needed in the run that built attribution.
        made_by: who asked; the outcome is kept then. None: it is kept when it is another than the last one, and else
            once a day.
        named: with `live`, ids of applications that are read whether or not anything was found there.

    Raises:
        WarehouseError: there is no attribution yet.
    """
    _require_attribution(bridge)
    known_until = pulled_until(bridge.ledger, bridge.ats, bridge.advocacy)
    if anew:
        stage_ledger(bridge.warehouse, bridge.ledger)
    validator = Validator(bridge.contract, bridge.ledger, bridge.warehouse, bridge.ats, known_until)
    validation = validator.validate(at=datetime.now(UTC), live=live, named=named)
    if validation.is_judged:
        _keep(bridge, validation, made_by)
    return validation


def applications_named(bridge: Bridge, names: Sequence[str]) -> Mapping[str, str | None]:
    """The id of each application that somebody named by id or key (31, greenhouse:31); None where it is not known.

    Known is what the last pull showed, and what a referral leads to.

    Raises:
        WarehouseError: there is no attribution yet.
    """
    _require_attribution(bridge)
    system = bridge.ats.system
    ids = {name: name.removeprefix(f"{system}:") for name in names}
    known = set(bridge.warehouse.frame("SELECT id FROM staging.ats_application")["id"])
    known |= {link.application_id for link in bridge.ledger.links_of_applications(system, sorted(set(ids.values())))}
    return {name: i if i in known else None for name, i in ids.items()}


def _require_attribution(bridge: Bridge) -> None:
    if not bridge.warehouse.has_table("core.attribution"):
        raise WarehouseError("attribution was never built: run `referral-pipeline refresh` first")


def note_told(bridge: Bridge, validation: Validation) -> None:
    """Note that the news of a validation were told: what is over is told once."""
    if validation.is_judged:
        note_validated(bridge.warehouse, validation.at)


def _keep(bridge: Bridge, validation: Validation, made_by: str | None) -> None:
    facts, fingerprint = validation.facts(), fingerprint_of(bridge.contract)
    # Of nothing that was compared nothing is shown.
    passed = not validation.open and validation.compared.applications > 0
    if made_by is None:
        last = bridge.ledger.latest_verification(KIND, fingerprint)
        is_young = last is not None and last.made_at > validation.at - _AGAIN_AFTER
        if last is not None and is_young and (last.passed, _outcome(last.facts)) == (passed, _outcome(facts)):
            return
    bridge.ledger.record_verification(
        KIND,
        passed=passed,
        environment=bridge.contract.environment,
        fingerprint=fingerprint,
        made_by=made_by or "refresh",
        facts=facts,
    )


def _outcome(facts: Mapping[str, Any]) -> list[Any]:
    return [facts.get(name) for name in ("open", "over", "found")]


# ---------------------------------------------------------------- repair


def plan_of(validation: Validation, contract: Contract) -> list[RepairStep]:
    """What a repair would do about each application, in order of their keys."""
    by_application: dict[str, list[Found]] = defaultdict(list)
    for one in validation.open:
        by_application[one.application_key].append(one)
    return [_step(key, found, contract) for key, found in sorted(by_application.items())]


def _step(key: str, found: Sequence[Found], contract: Contract) -> RepairStep:
    tags: dict[str, str | None] = {}
    source: str | None = None
    follows = False
    why = ""
    for one in found:
        match one.finding:
            case Finding.GONE:
                why = _GONE
            case Finding.MERGED:
                follows = True
            case Finding.SOURCE_MISSING:
                source = one.should
            case _ if one.mends == "person":
                why = _NOT_OURS
            case _ if one.mends == "repair":
                tags |= dict.fromkeys(contract.tag_sources())  # nobody has credit: nothing of ours is left there
            case _:
                tags[one.field] = one.should
    return RepairStep(
        application_key=key,
        application_id=found[0].ats_application_id,
        is_hire=any(one.is_hire for one in found),
        findings=tuple(sorted({one.finding for one in found})),
        tags=tags,
        source=source,
        follow_merge=follows,
        by_itself=all(one.mends == "refresh" for one in found),
        why=why,
    )


def repair_attribution(bridge: Bridge, steps: Sequence[RepairStep]) -> Iterator[Repaired]:
    """Take the steps one after another.

    The caller holds the writer lock, so that no refresh writes at the same time.
    """
    repair = TagRepair(
        ats=bridge.ats,
        ledger=bridge.ledger,
        sealer=bridge.sealer,
        known_until=pulled_until(bridge.ledger, bridge.ats, bridge.advocacy),
    )
    for done, step in enumerate(steps, start=1):
        yield repair.take(step)
        bridge.progress("repair attribution", done, len(steps))
