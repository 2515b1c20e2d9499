"""`review`: pairs are listed, decided, split, undone, and taken from a file; nobody is named by more than an id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from referral_pipeline.cli import main
from referral_pipeline.contract.scaffold import sandbox_contract
from referral_pipeline.identity.review_file import REVIEW_FILE, write_review_file
from referral_pipeline.ledger.store import DeliveryIntent, Ledger
from referral_pipeline.orchestration.bridge import PUBLISHED_TABLES
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.core_world import World

BY = ("--by", "analyst@example.com")
WHY = ("--reason", "seen both")
PUBLISHED = tuple(t for t in PUBLISHED_TABLES if t in {"core.person", "core.duplicate_review"})


class Desk:
    """A home folder whose last refresh found three people behind one mailbox, each in a referral or the ATS."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.world = World(home / "data")
        self.ledger = Ledger.open("sqlite:///data/state/ledger.sqlite", home=home)
        self.world.advocate("A1")
        for number, name in enumerate(("Jane Doe", "Bob Roe", "Cid Poe"), start=1):
            self.world.referral(f"R{number}", "A1", number, person=name)
        self.world.application("P1", 4, person="Jane Doe", candidate="C1")
        self.world.application("P2", 5, person="Bob Roe", candidate="C2")
        self.world.referrals = [replace(r, email="home@example.com") for r in self.world.referrals]
        self.world.candidates = [replace(c, emails=("home@example.com",)) for c in self.world.candidates]
        self.refresh()

    def refresh(self, *, published: bool = True) -> None:
        """What a refresh does with people; when not `published`, one that fails before it publishes."""
        warehouse = self.world.warehouse
        with warehouse.connect():
            self.world.stage()
            decisions = self.ledger.identity_decisions()
            report = self.world.people(ledger_persons=self.ledger.persons(), decisions=decisions)
            rows = warehouse.frame("SELECT * FROM core.duplicate_review").to_dict("records")
            write_review_file(warehouse.published_dir / REVIEW_FILE, rows)  # type: ignore[arg-type]
            if published:
                warehouse.publish(PUBLISHED)
        self.ledger.save_identity_keys(report.identity_keys(b"key"), replace=True)
        self.person_of = dict(report.person_of)

    def person(self, number: int) -> str:
        return self.person_of[f"advocacy:R{number}"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for name, value in {**SECRETS, "REFERRAL_PIPELINE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)
    made = Desk(tmp_path)
    yield made
    made.ledger.close()


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["review", *arguments])


def told(*arguments: str) -> dict[str, Any]:
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def pairs(state: str = "all") -> dict[frozenset[str], str]:
    found = told("list", "--state", state)["pairs"]
    return {frozenset((p["left_person_id"], p["right_person_id"])): p["state"] for p in found}


def merges_on(desk: Desk) -> None:
    text = sandbox_contract().replace("dedupe: {", "dedupe: {merge_in_ats: on, ")
    (desk.home / "data" / "integration.yaml").write_text(text, encoding="utf-8")


# ---------------------------------------------------------------- looking


def test_the_pairs_of_the_last_refresh_are_listed_while_another_process_holds_the_warehouse(desk: Desk):
    with desk.world.warehouse.connect():
        assert set(pairs().values()) == {"open"}
        assert len(pairs()) == 3
    lines = invoke("list").stdout.splitlines()
    assert len(lines) == 5
    assert "shown: 3 of 3" in lines


def test_nothing_is_listed_before_the_first_refresh_and_the_mend_is_told(tmp_path: Path, monkeypatch: Any):
    for name, value in {**SECRETS, "REFERRAL_PIPELINE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    result = invoke("list")
    assert result.exit_code == 1
    assert "referral-pipeline refresh" in result.output


def test_a_pair_is_shown_with_records_evidence_and_where_to_look_and_with_no_personal_data(desk: Desk):
    shown = told("show", desk.person(1), "advocacy:R2")
    assert [person["person_id"] for person in shown["persons"]] == [desk.person(1), desk.person(2)]
    assert [r["record_id"] for r in shown["persons"][0]["records"]] == ["advocacy:R1", "greenhouse:C1"]
    assert shown["persons"][0]["records"][1]["page"].endswith("/C1")
    assert "mailbox" in shown["pair"]["evidence"]
    text = invoke("show", desk.person(1), desk.person(2)).output + json.dumps(shown)
    for word in ("Jane", "Doe", "Bob", "home@"):
        assert word not in text


def test_somebody_who_is_not_there_is_told_with_the_mend(desk: Desk):
    for name in ("per_nobody", "advocacy:R99"):
        result = invoke("show", desk.person(1), name)
        assert result.exit_code == 1
        assert "review list" in result.output
        assert "Traceback" not in result.output


# ---------------------------------------------------------------- deciding


def test_a_merge_is_applied_by_the_next_refresh_and_undone_by_the_one_after(desk: Desk):
    one, two = desk.person(1), desk.person(2)
    made = told("merge", one, two, *WHY, *BY)
    assert pairs()[frozenset((one, two))] == "merge"
    assert len(pairs("open")) == 2
    desk.refresh()
    assert desk.person(1) == desk.person(2)
    told("undo", str(made["decision"]["id"]), "--reason", "a mistake", *BY)
    desk.refresh()
    assert (desk.person(1), desk.person(2)) == (one, two)
    assert len(pairs("open")) == 3


def test_a_pair_decided_distinct_is_not_asked_again(desk: Desk):
    one, two = desk.person(1), desk.person(2)
    told("distinct", one, "greenhouse:C2", *WHY, *BY)
    desk.refresh()
    assert frozenset((one, two)) not in pairs("open")
    assert pairs()[frozenset((one, two))] == "distinct"


def test_a_person_is_taken_apart_and_put_together_again(desk: Desk):
    one = desk.person(1)
    made = told("split", one, "greenhouse:C1", *WHY, *BY)
    desk.refresh()
    assert desk.person(1) == one != desk.person_of["greenhouse:C1"]
    told("undo", str(made["decision"]["id"]), "--reason", "a mistake", *BY)
    desk.refresh()
    assert desk.person_of["greenhouse:C1"] == one


def test_two_records_of_one_person_can_be_told_apart_by_name(desk: Desk):
    made = told("distinct", "greenhouse:C1", "advocacy:R1", *WHY, *BY)
    assert (made["decision"]["left"], made["decision"]["right"]) == (["greenhouse:C1"], ["advocacy:R1"])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("merge", "advocacy:R1", "greenhouse:C1"), "one person already"),
        (("distinct", "advocacy:R1", "advocacy:R1"), "split"),
        (("split", "advocacy:R1", "advocacy:R2"), "no record of"),
        (("split", "advocacy:R1", "advocacy:R1", "greenhouse:C1"), "at least one"),
        (("undo", "99"), "no decision 99"),
    ],
    ids=["one already", "itself", "strangers", "all", "undo"],
)
def test_what_cannot_be_decided_is_refused_in_one_line(desk: Desk, arguments: tuple[str, ...], word: str):
    result = invoke(*arguments, *WHY, *BY)
    assert result.exit_code == 1
    assert word in result.output
    assert desk.ledger.identity_decisions(in_force_only=False) == []


def test_a_reason_with_an_address_is_refused_and_not_repeated(desk: Desk):
    result = invoke("merge", desk.person(1), desk.person(2), "--reason", "same as ada@example.org", *BY)
    assert result.exit_code == 1
    assert "personal data" in result.output
    assert "ada@" not in result.output


def test_decisions_are_shown_with_what_became_of_them(desk: Desk):
    first = told("merge", desk.person(1), desk.person(2), *WHY, *BY)["decision"]["id"]
    second = told("distinct", desk.person(1), desk.person(2), *WHY, *BY)
    assert second["revoked"] == [first]
    assert [d["verdict"] for d in told("decisions")["decisions"]] == ["distinct"]
    assert [d["verdict"] for d in told("decisions", "--all")["decisions"]] == ["merge", "distinct"]


def test_a_merge_goes_to_the_ats_only_when_the_contract_says_so_and_both_have_a_candidate(desk: Desk):
    assert told("merge", desk.person(1), desk.person(2), *WHY, *BY)["decision"]["ats_state"] is None
    merges_on(desk)
    assert told("merge", desk.person(1), desk.person(2), *WHY, *BY)["decision"]["ats_state"] == "pending"
    assert told("merge", desk.person(1), desk.person(3), *WHY, *BY)["decision"]["ats_state"] is None
    again = told("merge", desk.person(1), desk.person(2), *WHY, *BY, "--here-only")
    assert again["decision"]["ats_state"] is None


def test_a_merge_that_the_ats_refused_is_told_with_the_way_out(desk: Desk):
    merges_on(desk)
    made = told("merge", desk.person(1), desk.person(2), *WHY, *BY)["decision"]["id"]
    desk.ledger.settle_ats_merge(made, "refused", "greenhouse candidates.merge answered 422")
    output = invoke("decisions").output
    assert "answered 422" in output
    assert "review retry" in output
    assert "--here-only" in output


@pytest.mark.parametrize("here_only", [False, True])
@pytest.mark.parametrize("how", ["retry", "records", "persons"])
def test_a_merge_that_the_ats_refused_can_be_tried_again_or_left_when_the_two_are_one_person(
    desk: Desk, how: str, here_only: bool
):
    merges_on(desk)
    one, two = desk.person(1), desk.person(2)
    made = told("merge", one, two, *WHY, *BY)["decision"]
    desk.ledger.settle_ats_merge(made["id"], "refused", "greenhouse candidates.merge answered 422")
    desk.refresh()
    assert desk.person(1) == desk.person(2)
    extra = ("--here-only",) if here_only else ()
    if how == "retry":
        again = told("retry", str(made["id"]), *extra)["decision"]
    else:
        names = ("greenhouse:C2", "advocacy:R1") if how == "records" else (one, two)
        again = told("merge", *names, *extra, *WHY, *BY)["decision"]
    state = None if here_only else "pending"
    assert again == {**made, "ats_state": state, "ats_error": None}


@pytest.mark.parametrize(("what", "word"), [("distinct", "no merge"), ("undone", "undone"), ("off", "merge_in_ats")])
def test_what_cannot_be_tried_again_in_the_ats_is_refused_with_words(desk: Desk, what: str, word: str):
    if what != "off":
        merges_on(desk)
    verdict = "distinct" if what == "distinct" else "merge"
    made = str(told(verdict, desk.person(1), desk.person(2), *WHY, *BY)["decision"]["id"])
    if what == "undone":
        told("undo", made, *WHY, *BY)
    result = invoke("retry", made)
    assert result.exit_code == 1
    assert word in result.output
    assert "no decision 99" in invoke("retry", "99").output


def test_an_undoing_tells_what_was_merged_in_the_ats_for_good_and_what_nobody_knows_of(desk: Desk):
    merges_on(desk)
    made = told("merge", desk.person(1), desk.person(2), *WHY, *BY)["decision"]["id"]
    sent = DeliveryIntent("merge:greenhouse:C2", "greenhouse", "merge_candidates", "C1", "hash", None)
    desk.ledger.begin(sent)
    undone = told("undo", str(made), *WHY, *BY)
    assert undone["in_ats"] == {"merged": [], "unclear": ["greenhouse:C2"]}
    assert "is not known" in invoke("undo", str(made), *WHY, *BY).output
    desk.ledger.alias("greenhouse", "C2", "C1")
    undone = told("undo", str(made), *WHY, *BY)
    assert undone["in_ats"] == {"merged": ["greenhouse:C2"], "unclear": []}
    assert "cannot be undone: greenhouse:C2" in invoke("undo", str(made), *WHY, *BY).output


def test_a_split_of_one_record_tells_that_the_rest_stays_merged(desk: Desk):
    merge = told("merge", desk.person(1), desk.person(2), *WHY, *BY)["decision"]["id"]
    desk.refresh()
    split = told("split", desk.person(1), "greenhouse:C2", *WHY, *BY)
    assert (split["revoked"], len(split["remaining"])) == ([merge], 1)
    desk.refresh()
    assert desk.person(1) == desk.person(2) != desk.person_of["greenhouse:C2"]


def test_two_who_were_merged_can_be_named_again_as_soon_as_the_merge_is_undone(desk: Desk):
    one, two = desk.person(1), desk.person(2)
    made = told("merge", one, two, *WHY, *BY)["decision"]["id"]
    desk.refresh()
    told("undo", str(made), "--reason", "a mistake", *BY)
    apart = told("distinct", one, two, *WHY, *BY)["decision"]
    assert (apart["left"], apart["right"]) == (["advocacy:R1", "greenhouse:C1"], ["advocacy:R2", "greenhouse:C2"])


# ---------------------------------------------------------------- files


def decided(desk: Desk, path: Path, **decisions: tuple[str, str]) -> Path:
    """The exported file with (decision, reason) for the pairs of these numbers, as in `p12`."""
    assert invoke("export", "--out", str(path)).exit_code == 0
    lines = path.read_text().splitlines()
    for key, (decision, reason) in decisions.items():
        pair = {desk.person(int(key[1])), desk.person(int(key[2]))}
        [at] = [n for n, line in enumerate(lines) if pair <= set(line.split(","))]
        lines[at] = lines[at].removesuffix(",,") + f",{decision},{reason}"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_file_of_decisions_is_tried_taken_and_taken_again_to_no_effect(desk: Desk, tmp_path: Path):
    file = str(decided(desk, tmp_path / "r.csv", p12=("merge", "same phone"), p13=("distinct", "brothers")))
    tried = told("import", file, *BY, "--dry-run")
    assert (tried["merge"], tried["distinct"], tried["undecided"], tried["problems"]) == (1, 1, 1, [])
    assert desk.ledger.identity_decisions() == []
    taken = told("import", file, *BY)
    assert {**taken, "dry_run": True} == tried
    for _ in range(2):
        again = told("import", file, *BY)
        assert (again["merge"], again["distinct"], again["unchanged"]) == (0, 0, 2)
        desk.refresh()
    assert desk.person(1) == desk.person(2) != desk.person(3)
    assert len(desk.ledger.identity_decisions(in_force_only=False)) == 2


def test_lines_that_contradict_each_other_are_all_refused_and_the_others_stand(desk: Desk, tmp_path: Path):
    """One and two, one and three are one person each; then two and three cannot be two people."""
    file = decided(desk, tmp_path / "r.csv", p12=("merge", "same"), p13=("merge", "same"), p23=("distinct", "brothers"))
    result = invoke("import", str(file), *BY, "--json")
    assert result.exit_code == 1
    problems = json.loads(result.stdout)["problems"]
    assert [problem["number"] for problem in problems] == [2, 3, 4]
    assert all("contradicts line" in problem["problem"] for problem in problems)
    assert desk.ledger.identity_decisions() == []


def test_a_pair_that_is_not_there_any_more_is_refused_with_words_and_the_others_stand(desk: Desk, tmp_path: Path):
    file = decided(desk, tmp_path / "r.csv", p12=("merge", "same"), p13=("distinct", ""))
    file.write_text(file.read_text() + "per_gone,per_went,,,,,merge,same\n")
    result = invoke("import", str(file), *BY)
    assert result.exit_code == 1
    assert "line 5, decision: there is no person per_gone" in result.output
    assert "the reason is empty" in result.output
    assert [one.verdict for one in desk.ledger.identity_decisions()] == ["merge"]
    desk.world.referrals = [replace(r, email=f"{r.id}@example.com") for r in desk.world.referrals]
    desk.world.candidates = []
    desk.world.applications = []
    other = [desk.person(2), desk.person(3)]
    desk.refresh()
    stale = tmp_path / "stale.csv"
    stale.write_text(f"left,right,decision,reason\n{other[0]},{other[1]},merge,same\n")
    result = invoke("import", str(stale), *BY)
    assert result.exit_code == 1
    assert "not in the review any more" in result.output or "there is no person" in result.output


def test_one_reason_can_be_given_for_all_lines_that_have_none(desk: Desk, tmp_path: Path):
    file = decided(desk, tmp_path / "r.csv", p12=("merge", ""), p13=("distinct", "brothers"))
    told("import", str(file), *BY, "--reason", "called both")
    assert {one.reason for one in desk.ledger.identity_decisions()} == {"called both", "brothers"}


def test_a_file_that_holds_no_table_is_refused_in_one_line(desk: Desk, tmp_path: Path):
    file = tmp_path / "r.csv"
    file.write_text("nothing of the kind\n")
    result = invoke("import", str(file), *BY)
    assert result.exit_code == 1
    assert "no header" in result.output


def test_a_file_of_a_refresh_that_failed_before_it_published_is_taken_by_its_persons(desk: Desk):
    """One pair has a person whom nothing published knows, the other one of two who were one until then."""
    told("distinct", "advocacy:R1", "greenhouse:C1", *WHY, *BY)
    desk.world.referral("R4", "A1", 4, person="Dan Loe")
    desk.world.referrals = [replace(r, email="home@example.com") for r in desk.world.referrals]
    desk.refresh(published=False)
    file = desk.world.warehouse.published_dir / REVIEW_FILE
    four, cid, own = desk.person(4), desk.person(3), desk.person_of["greenhouse:C1"]
    lines = file.read_text().splitlines()
    for pair, words in (({four, cid}, ",distinct,brothers"), ({own, cid}, ",merge,same")):
        [at] = [n for n, line in enumerate(lines) if pair <= set(line.split(","))]
        lines[at] = lines[at].removesuffix(",,") + words
    file.write_text("\n".join(lines) + "\n")
    taken = told("import", str(file), *BY)
    assert (taken["merge"], taken["distinct"], taken["problems"]) == (1, 1, [])
    found = {one.reason: (set(one.left), set(one.right)) for one in desk.ledger.identity_decisions()}
    assert found["brothers"] in (({"advocacy:R4"}, {"advocacy:R3"}), ({"advocacy:R3"}, {"advocacy:R4"}))
    assert found["same"] in (({"greenhouse:C1"}, {"advocacy:R3"}), ({"advocacy:R3"}, {"greenhouse:C1"}))


def test_a_long_file_is_taken_with_one_look_at_the_persons_and_one_at_the_decisions(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for number in range(4, 10):
        desk.world.referral(f"R{number}", "A1", number, person=f"{'Abcdefghij'[number] * 4} {'Klmnopqrst'[number] * 5}")
    desk.world.referrals = [replace(r, email="home@example.com") for r in desk.world.referrals]
    desk.refresh()
    looks: list[str] = []
    for owner, name in ((Warehouse, "published"), (Ledger, "identity_decisions")):
        plain = getattr(owner, name)

        def counted(*arguments: Any, _plain: Any = plain, _name: str = name, **more: Any) -> Any:
            looks.append(_name)
            return _plain(*arguments, **more)

        monkeypatch.setattr(owner, name, counted)
    seen: list[dict[str, int]] = []
    for numbers in ((1, 2), (3, 4, 5, 6, 7)):
        file = decided(desk, tmp_path / "r.csv", **{f"p{n}9": ("distinct", "seen both") for n in numbers})
        looks.clear()
        result = invoke("import", str(file), *BY)
        assert result.exit_code == 0, result.output
        assert "take decisions" in result.stderr
        seen.append({name: looks.count(name) for name in looks})
    assert seen[0] == seen[1]
    assert len(desk.ledger.identity_decisions()) == 7
