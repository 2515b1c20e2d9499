"""Attribution validation and its repair against both sandboxes: each fault by its name, shown first, mended on command.

Faults are injected by the ATS's control plane, each into an application of its own. Then they are pulled and judged
without the write-back, which would mend most of them by itself; that it does, and tells, is a test of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from referral_pipeline.cli import main
from referral_pipeline.ledger.store import Link
from referral_pipeline.orchestration.assets.attribution_validation import (
    APPLICATIONS,
    HIRES,
    TAGS,
    THERE,
    attribution_validation,
)
from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.steps_attribution_validation import (
    plan_of,
    repair_attribution,
    validate_attribution,
)
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline.vocabulary import ATTRIBUTION_FIELDS, CandidateStatus
from referral_pipeline_tests.pipeline.conftest import Installation, installed

EMPTY = dict.fromkeys(ATTRIBUTION_FIELDS)
GHOST = "ref_nobody"


@dataclass
class Rig:
    """An installation that was brought level, and what was injected into which application."""

    installation: Installation
    links: list[Link]
    strangers: list[str]
    taken: dict[str, str] = field(default_factory=dict)
    before: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, fault: str, fits: Callable[[Link], bool] = lambda link: True) -> str:
        """An application of one referral, that no other fault is injected into."""
        link = next(x for x in self.links if fits(x))
        self.links.remove(link)
        assert link.application_id is not None
        return self._kept(fault, link.application_id)

    def stranger(self, fault: str) -> str:
        """An application that no referral leads to."""
        return self._kept(fault, self.strangers.pop())

    def _kept(self, fault: str, application_id: str) -> str:
        self.taken[fault] = application_id
        self.before[application_id] = self.application(application_id)
        return application_id

    def application(self, application_id: str) -> dict[str, Any]:
        return self.installation.row("greenhouse", "applications", application_id)

    def tags(self, application_id: str) -> dict[str, str | None]:
        held = self.application(application_id)["custom_fields"] or {}
        return {name: (held.get(name) or {}).get("value") for name in ATTRIBUTION_FIELDS}

    def edit(self, application_id: str, **columns: Any) -> None:
        self.installation.act("greenhouse", "edit_application", application_id=int(application_id), **columns)

    def type(self, application_id: str, **tags: str | None) -> None:
        """A recruiter types into our fields."""
        self.edit(application_id, custom_fields=tags)

    def pull(self) -> None:
        """Pull and build, without the write-back."""
        with Bridge.open(self.installation.settings) as bridge:
            bridge.pull_advocacy()
            bridge.pull_ats(full=True)
            bridge.resolve_people()
            bridge.build_attribution(as_of=datetime.now(UTC))

    def command(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["attribution", *arguments])

    def json(self, *arguments: str) -> dict[str, Any]:
        result = self.command(*arguments, "--json")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return json.loads(result.stdout)

    def key(self, fault: str) -> str:
        return f"greenhouse:{self.taken[fault]}"


def _rig(installation: Installation) -> Rig:
    with Bridge.open(installation.settings) as bridge:
        found = bridge.ledger.links()
        linked = {x.application_id for x in found}
        alone = [
            x
            for x in found
            if x.application_id
            and x.block is None
            and x.campaign_tag
            and x.share_id
            and len(bridge.ledger.links_of_persons([x.person_id])) == 1
            and len(bridge.ledger.links_of_candidates(x.system, [x.candidate_id or ""])) == 1
        ]
        staged = bridge.warehouse.frame("SELECT id FROM staging.ats_application ORDER BY id")["id"]
        return Rig(installation, alone, [i for i in staged if i not in linked])


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, shared_patch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with Sandbox(size=ProgrammeSize.small()) as sandbox:
        installation = installed(tmp_path_factory.mktemp("validation") / "home", sandbox, shared_patch)
        installation.level()
        rig = _rig(installation)
        rig.pull()  # what was written after the first pull is judged by the second
        yield rig


def _is_hire(link: Link) -> bool:
    return link.status is CandidateStatus.HIRED


def _is_open(link: Link) -> bool:
    return link.status is CandidateStatus.APPLIED and link.created_candidate


def _inject(rig: Rig) -> None:
    """Every fault, each into an application of its own."""
    withdrawn = rig.take("withdrawn_and_orphaned", _is_open)
    with Bridge.open(rig.installation.settings) as bridge:
        (link,) = bridge.ledger.links_of_applications("greenhouse", [withdrawn])
        (moved,) = bridge.ledger.links_of_applications("greenhouse", [rig.take("merged", _is_open)])
    rig.installation.act("advocacy", "withdraw_referral", referral_id=link.referral_id)
    rig.installation.level()  # the withdrawal is known before anything is wrong
    donor = rig.take("donor")
    other = rig.tags(donor)
    rig.type(rig.take("wrong_advocate", _is_hire), advocate_id=other["advocate_id"])
    rig.type(rig.take("missing_campaign"), campaign_tag=None)
    rig.type(rig.take("wrong_campaign"), campaign_tag="Ada's own words")
    rig.type(rig.take("wrong_share"), share_id=other["share_id"])
    rig.type(rig.take("wrong_content"), content_id="con_nobody")
    rig.type(rig.take("missing_tag", _is_hire), **EMPTY)
    rig.type(rig.take("orphaned_tag"), referral_id=GHOST)
    rig.type(rig.take("double_tag"), **other)
    rig.type(rig.stranger("orphaned_stranger"), referral_id=GHOST)
    rig.type(rig.stranger("doubled_stranger"), **other)
    rig.edit(rig.take("source_missing"), source_id=None)
    rig.type(withdrawn, referral_id=GHOST)
    rig.installation.act("greenhouse", "delete_application", application_id=int(rig.take("gone", _is_open)))
    kept = rig.installation.act("greenhouse", "create_candidate", first_name="Otto", last_name="Example")
    rig.installation.act("greenhouse", "merge", primary_id=kept["id"], secondary_id=int(moved.candidate_id or "0"))


def test_what_was_brought_level_is_right(rig: Rig):
    told = rig.json("validate", "--live")
    assert (told["found"], told["open"], told["over"], told["live"]) == ([], {}, {}, True)
    assert told["applications_compared"] > 100
    assert told["hires_compared"] > 10
    with Bridge.open(rig.installation.settings) as bridge:
        kept = bridge.ledger.verifications("attribution")[0]
    assert (kept.passed, kept.made_by, kept.facts["open"]) == (True, "attribution validate", {})


def test_an_unchanged_outcome_is_kept_once_a_day(rig: Rig):
    with Bridge.open(rig.installation.settings) as bridge:

        def kept() -> int:
            validate_attribution(bridge)
            return len(bridge.ledger.verifications("attribution"))

        before = kept()
        assert kept() == before
        clock = bridge.ledger._clock
        bridge.ledger._clock = lambda: clock() - timedelta(hours=25)
        validate_attribution(bridge, made_by="somebody, yesterday")
        bridge.ledger._clock = clock
        assert kept() == before + 2


def test_what_others_changed_is_mended_by_the_sync_and_told_once(rig: Rig):
    """Today's refresh mends by itself; the one thing it may not do is keep quiet about it."""
    first, second = rig.take("mended_hire", _is_hire), rig.take("mended")
    right = {i: rig.tags(i) for i in (first, second)}
    rig.type(first, advocate_id="adv_nobody")
    rig.type(second, campaign_tag=None)
    written = rig.installation.level()
    assert written.candidates.counts["applications_mended"] == 2
    assert {i: rig.tags(i) for i in (first, second)} == right

    def checked() -> dict[str, dg.AssetCheckEvaluation]:
        resources = {"bridge": BridgeResource(home=str(rig.installation.home))}
        result = dg.materialize([attribution_validation], resources=resources, instance=dg.DagsterInstance.ephemeral())
        assert result.success
        return {one.check_name: one for one in result.get_asset_check_evaluations()}

    checks = checked()
    assert {name for name, one in checks.items() if not one.passed} == {HIRES, APPLICATIONS}
    assert checks[HIRES].metadata["findings"].value == {"wrong_advocate": 1}
    assert checks[HIRES].severity is dg.AssetCheckSeverity.WARN  # it is over
    todo = str(checks[APPLICATIONS].metadata["what_to_do"].value)
    assert todo.startswith(f"missing_campaign 1 (greenhouse:{second}). The bridge brought it back")
    assert all(one.passed for one in checked().values())
    with Bridge.open(rig.installation.settings) as bridge:
        kept = bridge.ledger.verifications("attribution")
    assert [one.facts["over"] for one in kept if one.made_by == "refresh"][1] == {
        "missing_campaign": 1,
        "wrong_advocate": 1,
    }


@pytest.fixture(scope="module")
def faulty(rig: Rig) -> dict[str, Any]:
    """What is told of all faults, as of a pull that the write-back did not follow."""
    _inject(rig)
    rig.pull()
    return rig.json("validate", "--live")


EXPECTED = {
    "wrong_advocate": {("wrong_advocate", "refresh")},
    "missing_campaign": {("missing_campaign", "refresh")},
    "wrong_campaign": {("wrong_campaign", "refresh")},
    "wrong_share": {("wrong_share", "refresh")},
    "wrong_content": {("wrong_content", "refresh")},
    "missing_tag": {("missing_tag", "refresh")},
    "orphaned_tag": {("orphaned_tag", "refresh")},
    "orphaned_stranger": {("orphaned_tag", "person")},
    "doubled_stranger": {("double_tag", "person")},
    "source_missing": {("source_missing", "repair")},
    "withdrawn_and_orphaned": {("orphaned_tag", "repair")},
    "gone": {("gone", "refresh")},
    "merged": {("merged", "refresh")},
}


def test_each_fault_is_found_where_it_is_and_has_its_name(rig: Rig, faulty: dict[str, Any]):
    found: dict[str, set[tuple[str, str]]] = {}
    for one in faulty["found"]:
        if one["state"] == "open":
            found.setdefault(one["application_key"], set()).add((one["finding"], one["mends"]))
    doubled = found.pop(rig.key("double_tag"))
    assert {("double_tag", "refresh"), ("wrong_share", "refresh")} <= doubled
    assert found == {rig.key(fault): kinds for fault, kinds in EXPECTED.items()}


def test_what_is_told_names_ids_and_shapes_and_no_words_of_people(rig: Rig, faulty: dict[str, Any]):
    by_key = {(one["application_key"], one["finding"]): one for one in faulty["found"]}
    assert by_key[rig.key("wrong_campaign"), "wrong_campaign"]["stands"] == "text of 15 characters"
    assert by_key[rig.key("wrong_advocate"), "wrong_advocate"]["stands"] == rig.tags(rig.taken["donor"])["advocate_id"]
    assert by_key[rig.key("wrong_advocate"), "wrong_advocate"]["is_hire"] is True
    assert "Ada's own words" not in json.dumps(faulty)
    assert "Ada's own words" not in rig.command("validate").output


def test_hires_and_the_rest_are_told_by_different_checks(rig: Rig, faulty: dict[str, Any]):
    resources = {"bridge": BridgeResource(home=str(rig.installation.home))}
    result = dg.materialize([attribution_validation], resources=resources, instance=dg.DagsterInstance.ephemeral())
    told = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert not any(one.passed for one in told.values())
    assert told[HIRES].severity is dg.AssetCheckSeverity.ERROR
    assert told[HIRES].metadata["findings"].value == {"missing_tag": 1, "wrong_advocate": 1}
    assert {"double_tag", "orphaned_tag"} <= set(told[TAGS].metadata["findings"].value)
    assert told[THERE].metadata["findings"].value == {"gone": 1, "merged": 1}
    assert all(len(str(one.metadata["what_to_do"].value)) <= 300 for one in told.values())


def test_the_plan_is_shown_first_and_changes_nothing(rig: Rig, faulty: dict[str, Any]):
    before = rig.installation.dump("greenhouse")["applications"]
    shown = rig.command("repair")
    assert shown.exit_code == 1
    assert f"{rig.key('missing_campaign')}: missing_campaign" in shown.output
    assert "Nothing was changed. --apply mends" in shown.output
    assert "The next refresh does" in shown.output
    assert "no repair: the bridge never wrote to it" in shown.output
    plan = {one["application"]: one for one in rig.json("repair")["plan"]}
    assert set(plan) == {rig.key(fault) for fault in rig.taken if fault in {*EXPECTED, "double_tag"}}
    right = rig.before[rig.taken["missing_campaign"]]["custom_fields"]["campaign_tag"]["value"]
    assert plan[rig.key("missing_campaign")]["write"] == {"campaign_tag": right}
    assert set(plan[rig.key("withdrawn_and_orphaned")]["write"].values()) == {None}
    assert rig.installation.dump("greenhouse")["applications"] == before


def test_a_repair_mends_what_is_named_and_leaves_the_rest(rig: Rig, faulty: dict[str, Any]):
    named, other = rig.taken["wrong_share"], rig.taken["wrong_content"]
    before = rig.tags(named)
    refused = rig.command("repair", "--apply", "--only", named, "--only", "greenhouse:0", "--only", "elsewhere:1")
    assert refused.exit_code == 1
    assert "not known: greenhouse:0, elsewhere:1." in refused.output
    assert rig.tags(named) == before
    well = f"greenhouse:{rig.taken['donor']}"
    shown = rig.json("repair", "--apply", "--only", named, "--only", well)
    assert [(one["application"], one["outcome"]) for one in shown["done"]] == [(f"greenhouse:{named}", "mended")]
    assert shown["not_in_plan"] == {well: "nothing is wrong there"}
    assert rig.tags(other)["content_id"] == "con_nobody"


def test_an_application_that_is_named_is_read_before_anything_is_said_of_it(rig: Rig, faulty: dict[str, Any]):
    """It was wronged after the pull: the validation cannot know, a look at it can."""
    donor = rig.taken["donor"]
    right = rig.tags(donor)
    rig.type(donor, advocate_id="adv_nobody")
    assert f"greenhouse:{donor}" not in {one["application_key"] for one in rig.json("validate", "--live")["found"]}
    shown = rig.json("repair", "--apply", "--only", donor)
    assert [(one["application"], one["outcome"]) for one in shown["done"]] == [(f"greenhouse:{donor}", "mended")]
    assert rig.tags(donor) == right


def test_what_was_written_after_the_pull_is_counted_and_not_called_well(rig: Rig, faulty: dict[str, Any]):
    mended = rig.taken["wrong_share"]  # by the repair above
    told = rig.json("validate")
    assert told["not_judged"] >= 1
    judged, of = told["applications_compared"], told["applications_compared"] + told["not_judged"]
    later = "were written after the last pull: run `referral-pipeline refresh`, then validate again."
    assert f"{judged} of {of} judged; {told['not_judged']} {later}" in rig.command("validate").output
    shown = rig.command("repair", "--only", mended)
    assert f"{mended}: it was written after the last pull: run `referral-pipeline refresh`" in shown.output


def test_a_repair_that_was_killed_is_run_again_and_the_next_validation_finds_only_what_people_must_do(
    rig: Rig, faulty: dict[str, Any]
):
    with Bridge.open(rig.installation.settings) as bridge:
        plan = plan_of(validate_attribution(bridge, live=True, anew=True), bridge.contract)
        repair = repair_attribution(bridge, plan)
        for _ in range(3):
            next(repair)
        del repair  # the process ends here
    done = {one["application"]: one["outcome"] for one in rig.json("repair", "--apply")["done"]}
    people = {rig.key(fault) for fault in ("orphaned_stranger", "doubled_stranger", "gone")}
    assert {key for key, outcome in done.items() if outcome == "left"} == people
    assert {outcome for key, outcome in done.items() if key not in people} == {"mended"}
    assert len(done) == len(plan) - 3 + sum(1 for one in plan[:3] if one.application_key in people)
    again = rig.json("validate", "--live")
    assert {one["application_key"] for one in again["found"] if one["state"] == "open"} == people


def test_after_a_repair_nothing_else_of_an_application_is_another(rig: Rig, faulty: dict[str, Any]):
    """Runs after the repair above: what stands there is what stood before the fault, but for the moment of change."""
    touched = [*EXPECTED, "double_tag"]
    for fault in set(touched) - {"orphaned_stranger", "doubled_stranger", "gone", "withdrawn_and_orphaned", "merged"}:
        before, now = rig.before[rig.taken[fault]], rig.application(rig.taken[fault])
        drop = {"updated_at", "last_activity_at"}
        assert {k: v for k, v in now.items() if k not in drop} == {k: v for k, v in before.items() if k not in drop}
    emptied = rig.application(rig.taken["withdrawn_and_orphaned"])
    assert set(rig.tags(rig.taken["withdrawn_and_orphaned"]).values()) == {None}
    before = rig.before[rig.taken["withdrawn_and_orphaned"]]
    assert emptied["source_id"] == before["source_id"]
    assert rig.tags(rig.taken["doubled_stranger"]) == rig.tags(rig.taken["donor"])  # the recruiter's


def test_the_sync_finds_nothing_left_to_mend(rig: Rig, faulty: dict[str, Any]):
    counts = rig.installation.level(full=True).candidates.counts
    assert counts["applications_mended"] == 0
    told = rig.json("validate", "--live")
    assert told["open"] == {"double_tag": 1, "orphaned_tag": 1}
    assert told["over"] == {"gone": 1}
