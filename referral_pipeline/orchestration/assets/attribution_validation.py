"""Attribution validation: what the ATS carries, against what attribution says.

Belongs here: the asset, its checks and what they tell. Does not belong here: what is wrong
(quality.attribution_validation), mending it.

Each application is told by one check, the gravest that fits, so that one fault is one alert.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.specs import WAREHOUSE_POOL, counts_table, spec, table_result

if TYPE_CHECKING:
    from referral_pipeline.quality.attribution_validation import Found, Validation

ASSET = "attribution_validation"
HIRES = "hires_carry_the_right_advocate"
APPLICATIONS = "applications_carry_the_right_advocate"
TAGS = "no_tag_is_orphaned_or_doubled"
THERE = "linked_applications_are_in_the_ats"
CHECKS = (HIRES, APPLICATIONS, TAGS, THERE)

_DESCRIPTIONS = {
    HIRES: "Every hire that came through advocacy names its referral, advocate, share, content and campaign in the "
    "ATS, and its source; nobody had changed them. If it fails: bonuses are paid by attribution all the same, but who "
    "reads the ATS reads something else until it is mended.",
    APPLICATIONS: "Every other application that a referral leads to names them too. If it fails: as for hires, before "
    "money depends on it.",
    TAGS: "Every referral and advocate named by an application in the ATS exists, and belongs to that application. If "
    "it fails: somebody typed or copied it there.",
    THERE: "No application that a referral leads to was deleted in the ATS, and every merge was followed. If it fails: "
    "a deletion is told once; restore what should be there.",
}
_SHOWN_IDS = 5
_LONGEST = 300


@dg.multi_asset(
    name="validate_attribution",
    specs=[spec(ASSET)],
    check_specs=[dg.AssetCheckSpec(name=name, asset=ASSET, description=_DESCRIPTIONS[name]) for name in CHECKS],
    pool=WAREHOUSE_POOL,
)
def attribution_validation(
    context: dg.AssetExecutionContext, bridge: BridgeResource
) -> Iterator[dg.MaterializeResult[Any]]:
    """Validate what the ATS carries."""
    from referral_pipeline.orchestration.steps_attribution_validation import note_told, validate_attribution
    from referral_pipeline.quality.attribution_validation import by_finding, counted

    validation = validate_attribution(bridge.bridge)
    if not validation.is_judged:
        context.log.info("the tables stand at a moment that somebody chose: what was open before stands")
    if validation.news:
        context.log.warning(counted(validation.news))
    metadata: dict[str, Any] = {
        "applications_compared": validation.compared.applications,
        "hires_compared": validation.compared.hires,
        "not_judged": validation.not_judged,
        **({"findings": counts_table(by_finding(validation.news))} if validation.news else {}),
    }
    metadata |= dict(table_result(bridge.bridge.warehouse, ASSET).metadata or {})
    yield dg.MaterializeResult(asset_key=ASSET, metadata=metadata, check_results=_results(validation))
    # After the checks are kept: a run that dies here tells what is over once more, and never not at all.
    note_told(bridge.bridge, validation)


def _results(validation: "Validation") -> list[dg.AssetCheckResult]:
    told: dict[str, list[Found]] = {name: [] for name in CHECKS}
    by_application: dict[str, list[Found]] = {}
    for one in validation.news:
        by_application.setdefault(one.application_key, []).append(one)
    for found in by_application.values():
        told[_check_of(found)] += found
    return [_result(name, told[name]) for name in CHECKS]


def _check_of(found: "Sequence[Found]") -> str:
    from referral_pipeline.sync.tags import Finding

    kinds = {one.finding for one in found}
    if kinds <= {Finding.GONE, Finding.MERGED}:
        return THERE
    if any(one.is_hire for one in found):
        return HIRES
    return TAGS if kinds & {Finding.ORPHANED_TAG, Finding.DOUBLE_TAG} else APPLICATIONS


def _result(name: str, found: "Sequence[Found]") -> dg.AssetCheckResult:
    from referral_pipeline.quality.attribution_validation import by_finding, counted

    keys = sorted({one.application_key for one in found})
    is_grave = name == HIRES and any(one.state == "open" for one in found)
    return dg.AssetCheckResult(
        asset_key=ASSET,
        check_name=name,
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR if is_grave else dg.AssetCheckSeverity.WARN,
        description=f"{len(keys)} applications ({_some(keys)}): {counted(found)}" if found else "nothing is wrong",
        metadata={
            "failed_rows": len(keys),
            **({"findings": dg.MetadataValue.json(by_finding(found)), "what_to_do": _todo(found)} if found else {}),
        },
    )


def _todo(found: "Sequence[Found]") -> str:
    """What is wrong in a word, and what mends it: the text of the alert."""
    from referral_pipeline.quality.attribution_validation import counted
    from referral_pipeline.sync.tags import Finding

    still = [one for one in found if one.state == "open"]
    over = sorted({one.application_key for one in found if one.state == "mended"})
    lines = [f"{counted(found)} ({_some(sorted({one.application_key for one in found}))})."]
    if over:
        lines.append("The bridge brought it back; ask in the ATS who changes these fields.")
    if any(one.finding is Finding.GONE for one in found):
        lines.append("Deleted in the ATS: restore it there if that was a mistake.")
    if any(one.finding is not Finding.GONE for one in still):
        lines.append("`referral-pipeline attribution repair` shows how each is mended.")
    return " ".join(lines)[:_LONGEST]


def _some(keys: "Sequence[str]") -> str:
    more = f" and {len(keys) - _SHOWN_IDS} more" if len(keys) > _SHOWN_IDS else ""
    return ", ".join(keys[:_SHOWN_IDS]) + more


ASSETS = (attribution_validation,)
