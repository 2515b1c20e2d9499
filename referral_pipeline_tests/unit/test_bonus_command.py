"""`bonus`: listed, handed to payroll once, written again to the byte, cancelled, and held against payroll's file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from referral_pipeline.cli import main
from referral_pipeline.ledger.bonuses import bonus_id
from referral_pipeline.ledger.store import Ledger, StatusFact
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.unit.bonus_books import CLERK, Books

TOLD_AT = datetime(2026, 4, 30, 9, tzinfo=UTC)


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    for name, value in {**SECRETS, "REFERRAL_PIPELINE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)
    with Ledger.open("sqlite:///data/state/ledger.sqlite", home=tmp_path, clock=lambda: TOLD_AT) as ledger:
        yield Books(ledger)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "may.csv"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bonus", *arguments])


def told(*arguments: str, code: int = 0) -> dict[str, Any]:
    result = invoke(*arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def exported(file: Path) -> dict[str, Any]:
    return told("export", "--out", str(file), "--by", CLERK, "--pay-on", "2026-05-31")


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


def rewrite(file: Path, rows: list[dict[str, str]]) -> None:
    """The file as payroll gives it back."""
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def kinds(answer: dict[str, Any]) -> list[str]:
    return [one["kind"] for one in answer["differences"]]


# ---------------------------------------------------------------- list


def test_bonuses_are_listed_by_state_and_advocate_and_summed_by_currency(books: Books) -> None:
    books.eligible(1)
    books.eligible(2, currency="EUR", cents=90_000)
    books.recognise(3, "hired")
    books.recognise(4, "hired", "bonus_eligible", "reversed")
    every = told("list")
    assert every["sums"] == {
        "pending": {"USD": 0},
        "eligible": {"EUR": 90_000, "USD": 200_000},
        "reversed": {"USD": 200_000},
    }
    (only,) = told("list", "--state", "eligible", "--advocate", "A1")["bonuses"]
    assert only["application"] == "greenhouse:1"
    assert (only["amount_cents"], only["currency"], only["eligible_on"]) == (200_000, "USD", "2026-04-30")
    text = invoke("list", "--state", "eligible").output
    assert "eligible: 900.00 EUR, 2000.00 USD" in text
    assert invoke("list", "--state", "paid").output == "no bonus\n"


def test_a_rehire_and_a_payment_that_is_no_longer_due_say_so(books: Books) -> None:
    books.eligible(1)
    books.export()
    books.link(1, status=CandidateStatus.OFFERED)
    books.link(2, person_id="per_1")
    books.recognise(2, "hired")
    reasons = {one["application"]: (one["state"], one["reason"]) for one in told("list")["bonuses"]}
    assert reasons == {"greenhouse:1": ("paid", "unhired"), "greenhouse:2": ("pending", "rehire")}


def published(tmp_path: Path, *rows: dict[str, Any]) -> None:
    """What a refresh has published of these bonuses, on 2026-04-01."""
    day = date(2026, 2, 1)
    folder = tmp_path / "data" / "published"
    folder.mkdir(parents=True)
    whole = [{"currency": "USD", **row, "starts_on": day, "eligible_on": day + timedelta(days=90)} for row in rows]
    pq.write_table(pa.Table.from_pylist(whole), folder / "bonus.parquet")
    (folder / "manifest.json").write_text(json.dumps({"published_at": "2026-04-01T06:00:00+00:00"}), encoding="utf-8")


def test_a_pending_bonus_shows_what_the_last_refresh_expects_of_it(books: Books, tmp_path: Path) -> None:
    books.recognise(1, "hired")
    books.eligible(2)
    pending, eligible = (one.bonus_id for one in books.ledger.bonuses())
    published(
        tmp_path,
        {"bonus_id": pending, "state": "pending", "amount_cents": 66_667},
        # Published before it became eligible: what the ledger says of it by now stands.
        {"bonus_id": eligible, "state": "pending", "amount_cents": 1},
    )
    first, second = told("list")["bonuses"]
    assert (first["amount_cents"], first["starts_on"], first["eligible_on"]) == (66_667, "2026-02-01", "2026-05-02")
    assert (second["amount_cents"], second["eligible_on"]) == (200_000, "2026-04-30")


def test_an_expected_amount_comes_with_the_currency_that_it_was_published_in(books: Books, tmp_path: Path) -> None:
    books.recognise(1, "hired", currency="EUR")
    # Nothing is published: no amount, and what it will be is in the contract's currency.
    assert told("list")["sums"] == {"pending": {"USD": 0}}
    (pending,) = (one.bonus_id for one in books.ledger.bonuses())
    published(tmp_path, {"bonus_id": pending, "state": "pending", "amount_cents": 300_000, "currency": "JPY"})
    assert told("list")["sums"] == {"pending": {"JPY": 300_000}}
    assert "pending: 300000 JPY" in invoke("list").output


def test_what_the_ledger_knows_of_a_pending_amount_stands_against_what_was_published(
    books: Books, tmp_path: Path
) -> None:
    books.recognise(1, "hired")
    books.recognise(1, "bonus_eligible", cents=150_000, state="pending")  # told, and not answered yet
    (one,) = books.ledger.bonuses()
    assert one.state == "pending"
    published(tmp_path, {"bonus_id": one.bonus_id, "state": "pending", "amount_cents": 200_000})
    (shown,) = told("list")["bonuses"]
    assert (shown["amount_cents"], shown["currency"], shown["starts_on"]) == (150_000, "USD", "2026-02-01")


def test_the_list_says_as_of_when_its_pending_amounts_are(books: Books, tmp_path: Path) -> None:
    books.recognise(1, "hired")
    assert "what is pending is not known yet: run `referral-pipeline refresh`" in invoke("list").output
    assert told("list")["published_at"] is None
    published(tmp_path, {"bonus_id": "bon_0", "state": "pending", "amount_cents": 1})
    assert "amounts and days of what is pending: as published 2026-04-01 06:00 UTC" in invoke("list").output
    assert told("list")["published_at"] == "2026-04-01T06:00:00+00:00"


# ---------------------------------------------------------------- export


def test_an_export_is_a_file_for_payroll_and_its_bonuses_are_paid(books: Books, file: Path) -> None:
    books.eligible(1)
    books.eligible(2, currency="JPY", cents=300_000)
    answer = exported(file)
    assert answer["sums"] == {"JPY": 300_000, "USD": 200_000}
    amounts = {row["referral_id"]: (row["amount"], row["currency"], row["pay_on"]) for row in rows_of(file)}
    assert amounts == {"R1": ("2000.00", "USD", "2026-05-31"), "R2": ("300000", "JPY", "2026-05-31")}
    assert {row["bonus_id"] for row in rows_of(file)} == set(answer["bonuses"])
    assert told("list")["sums"] == {"paid": {"JPY": 300_000, "USD": 200_000}}
    (export,) = books.ledger.payroll_exports()
    assert export.exported_by == CLERK


def test_nothing_eligible_makes_no_export_and_no_file(books: Books, file: Path) -> None:
    books.recognise(1, "hired")
    result = invoke("export", "--out", str(file), "--by", CLERK)
    assert (result.exit_code, file.exists(), books.ledger.payroll_exports()) == (0, False, [])
    assert "no bonus is eligible" in result.output


def test_a_dry_run_changes_nothing(books: Books, file: Path) -> None:
    books.eligible(1)
    result = invoke("export", "--out", str(file), "--by", CLERK, "--dry-run")
    assert "would hand over 1 bonuses, 2000.00 USD" in result.output
    assert (file.exists(), books.ledger.payroll_exports()) == (False, [])


def test_the_file_of_an_earlier_export_is_written_again_to_the_byte(books: Books, file: Path, tmp_path: Path) -> None:
    books.eligible(1)
    books.eligible(2)
    number = exported(file)["export_id"]
    again = tmp_path / "again.csv"
    assert told("export", "--again", str(number), "--out", str(again))["export_id"] == number
    assert again.read_bytes() == file.read_bytes()
    assert invoke("export", "--again", str(number), "--out", str(file)).exit_code == 0
    assert "there is no payroll export 99" in invoke("export", "--again", "99", "--out", str(again)).output


def test_a_file_that_cannot_be_written_leaves_an_export_that_can_be_written_again(
    books: Books, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.eligible(1)

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("referral_pipeline.sync.bonus.payroll_file.os.replace", full)
        result = invoke("export", "--out", str(file), "--by", CLERK)
    assert result.exit_code == 1
    assert "export 1 is kept" in result.output
    assert "bonus export --again 1" in result.output
    assert list(file.parent.glob("*.csv*")) == []
    assert told("export", "--again", "1", "--out", str(file))["file"] == str(file)
    assert [row["referral_id"] for row in rows_of(file)] == ["R1"]


def test_another_file_is_never_written_over_and_the_export_is_not_made(books: Books, file: Path) -> None:
    books.eligible(1)
    file.write_text("last month's", encoding="utf-8")
    assert "is there already" in invoke("export", "--out", str(file), "--by", CLERK).output
    assert "is no folder" in invoke("export", "--out", str(file.parent / "no" / "x.csv"), "--by", CLERK).output
    assert (file.read_text(encoding="utf-8"), books.ledger.payroll_exports()) == ("last month's", [])


def test_an_export_names_who_answers_for_it(books: Books, file: Path) -> None:
    books.eligible(1)
    for arguments in ((), ("--by", "somebody"), ("--by", CLERK, "--again", "1")):
        assert invoke("export", "--out", str(file), *arguments).exit_code == 2
    assert invoke("export", "--out", str(file), "--by", CLERK, "--pay-on", "31.05.2026").exit_code == 2
    assert books.ledger.payroll_exports() == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"status": CandidateStatus.REJECTED}, "the hire was undone"),
        ({"block": "withdrawn"}, "the referral lost its credit"),
    ],
)
def test_a_bonus_that_is_about_to_be_taken_back_is_left_out(
    books: Books, file: Path, fields: dict[str, Any], words: str
) -> None:
    books.eligible(1)
    books.eligible(2)
    books.link(1, **fields)
    result = invoke("export", "--out", str(file), "--by", CLERK)
    assert words in result.output
    assert [row["referral_id"] for row in rows_of(file)] == ["R2"]


def test_two_bonuses_of_one_person_are_never_both_handed_over(books: Books, file: Path) -> None:
    books.eligible(1)
    books.eligible(2)
    books.link(2, person_id="per_1")  # found to be one person after both had become eligible
    result = invoke("export", "--out", str(file), "--by", CLERK)
    assert "another hire of the person has the bonus" in result.output
    assert [row["referral_id"] for row in rows_of(file)] == ["R1"]


def test_the_bonus_of_somebody_who_was_erased_is_still_paid(books: Books, file: Path) -> None:
    books.eligible(1)
    books.link(1, block="erased")
    exported(file)
    assert [row["referral_id"] for row in rows_of(file)] == ["R1"]


def test_the_file_of_a_cancelled_export_is_not_written_again(books: Books, file: Path, tmp_path: Path) -> None:
    books.eligible(1)
    number = exported(file)["export_id"]
    told("cancel", str(number), "--by", CLERK, "--reason", "wrong day")
    again = tmp_path / "again.csv"
    refused = invoke("export", "--again", str(number), "--out", str(again))
    assert (refused.exit_code, again.exists()) == (1, False)
    assert "export 1 was cancelled" in refused.output
    assert exported(tmp_path / "second.csv")["sums"] == {"USD": 200_000}
    assert invoke("export", "--again", str(number), "--out", str(again)).exit_code == 1


def test_what_payroll_gave_back_is_left_out_of_a_file_written_again_and_named(
    books: Books, file: Path, tmp_path: Path
) -> None:
    books.eligible(1)
    books.eligible(2)
    number = exported(file)["export_id"]
    first, second = books.ledger.payroll_entries()
    books.ledger.return_payroll(number, [first.key], note="closed account")
    again = tmp_path / "again.csv"
    result = invoke("export", "--again", str(number), "--out", str(again))
    assert f"LEFT OUT: {bonus_id(first.key)}" in result.output
    assert "it is not the file of then" in result.output
    assert [row["bonus_id"] for row in rows_of(again)] == [bonus_id(second.key)]
    assert told("export", "--again", str(number), "--out", str(again))["returned"] == [bonus_id(first.key)]
    books.ledger.return_payroll(number, [second.key], note="closed account")
    refused = invoke("export", "--again", str(number), "--out", str(tmp_path / "none.csv"))
    assert (refused.exit_code, (tmp_path / "none.csv").exists()) == (1, False)
    assert "came back from payroll whole" in refused.output


def test_after_a_crash_before_the_file_the_next_run_names_the_export_that_lacks_it(books: Books, file: Path) -> None:
    books.eligible(1)
    books.export()  # the process dies here
    result = invoke("export", "--out", str(file), "--by", CLERK)
    assert "no bonus is eligible" in result.output
    assert "bonus export --again 1 --out FILE" in result.output
    assert told("export", "--out", str(file), "--by", CLERK)["open_export"] == 1
    assert told("export", "--again", "1", "--out", str(file))["open_export"] is None
    assert [row["referral_id"] for row in rows_of(file)] == ["R1"]


def test_a_bonus_given_through_a_referral_of_another_application_is_paid_and_is_no_difference(
    books: Books, file: Path
) -> None:
    books.eligible(1)
    books.link(1, application_id="77", status=CandidateStatus.REJECTED)  # what became of that one says nothing of ours
    exported(file)
    assert [row["referral_id"] for row in rows_of(file)] == ["R1"]
    assert told("reconcile", str(file))["differences"] == []
    assert [one["reason"] for one in told("list")["bonuses"]] == [None]


def test_a_bonus_given_through_a_referral_of_another_application_is_held_once_its_own_hire_is_undone(
    books: Books, file: Path
) -> None:
    books.eligible(1)
    books.link(1, application_id="77")
    books.link(2, application_id="1", status=CandidateStatus.OFFERED)
    result = invoke("export", "--out", str(file), "--by", CLERK)
    assert "the hire was undone" in result.output
    # Its own referrals are held back, so that the platform is told nothing of it: what was seen of it counts.
    books.link(2, application_id="1", status=CandidateStatus.OFFERED, block="withdrawn")
    exported(file)
    fact = StatusFact("greenhouse", "1", CandidateStatus.REJECTED, datetime(2026, 5, 1, tzinfo=UTC), "event")
    books.ledger.append_status(fact)
    assert kinds(told("reconcile", str(file), code=1)) == ["to_reclaim"]


# ---------------------------------------------------------------- cancel


def test_a_cancelled_export_can_be_made_anew(books: Books, file: Path, tmp_path: Path) -> None:
    books.eligible(1)
    number = exported(file)["export_id"]
    assert told("cancel", str(number), "--by", CLERK, "--reason", "wrong day")["returned"] == 1
    assert invoke("cancel", str(number), "--by", CLERK, "--reason", "again").exit_code == 1
    assert invoke("cancel", str(number), "--by", CLERK, "--reason", " ").exit_code == 2
    second = exported(tmp_path / "second.csv")
    assert second["export_id"] != number
    assert second["sums"] == {"USD": 200_000}


# ---------------------------------------------------------------- reconcile


def test_a_file_that_agrees_has_no_difference_and_can_be_marked_reconciled(books: Books, file: Path) -> None:
    books.eligible(1)
    exported(file)
    books.eligible(2, currency="EUR")
    answer = told("reconcile", str(file))
    assert answer["differences"] == []
    assert answer["totals"] == {"ledger": {"USD": 200_000}, "file": {"USD": 200_000}}
    assert answer["eligible_since"] == {"EUR": {"count": 1, "amount_cents": 200_000}}
    assert books.ledger.payroll_exports()[0].state == "open"
    text = invoke("reconcile", str(file), "--apply", "--by", CLERK).output
    assert "export 1 is reconciled" in text
    assert "eligible and not yet exported: 1 bonuses, 2000.00 EUR" in text
    assert books.ledger.payroll_exports()[0].reconciled_by == CLERK


def test_every_difference_is_one_line_that_says_what_to_do(books: Books, file: Path) -> None:
    for number in range(1, 7):
        books.eligible(number)
    exported(file)
    one, two, three, four, five, six = rows_of(file)
    stranger = {**one, "bonus_id": "bon_0000000000000000"}
    rewrite(
        file,
        [
            {**two, "amount": "1500"},
            {**three, "currency": "EUR"},
            four,
            four,
            {**five, "status": "rejected"},
            {**six, "paid_amount": "2500.00", "status": "paid"},
            stranger,
        ],
    )
    answer = told("reconcile", str(file), code=1)
    found = {(d["kind"], d["bonus_id"]) for d in answer["differences"]}
    assert found == {
        ("missing_in_file", one["bonus_id"]),
        ("amount_differs", two["bonus_id"]),
        ("currency_differs", three["bonus_id"]),
        ("paid_twice", four["bonus_id"]),
        ("rejected", five["bonus_id"]),
        ("amount_differs", six["bonus_id"]),
        ("unknown_entry", stranger["bonus_id"]),
    }
    assert all(d["mend"] and d["what"] for d in answer["differences"])
    assert answer["totals"] == {
        "ledger": {"USD": 1_200_000},
        "file": {"EUR": 200_000, "USD": 150_000 + 2 * 200_000 + 250_000 + 200_000},
    }
    lines = invoke("reconcile", str(file)).output.splitlines()
    assert len(lines) == 7 + 2
    assert "7 differences" in lines
    assert {b.state for b in books.ledger.bonuses()} == {"paid"}


def test_what_payroll_rejected_is_eligible_again_once_it_is_applied(books: Books, file: Path, tmp_path: Path) -> None:
    books.eligible(1)
    books.eligible(2)
    exported(file)
    one, two = rows_of(file)
    rewrite(file, [{**one, "status": "rejected"}, two])
    assert invoke("reconcile", str(file), "--apply").exit_code == 2
    answer = told("reconcile", str(file), "--apply", "--by", CLERK, code=1)
    assert (kinds(answer), answer["returned"], answer["reconciled"]) == (["rejected"], 1, [1])
    assert books.states() == {"R1/1": ("eligible", 200_000), "R2/1": ("paid", 200_000)}
    # The same file again: what it says is so by now.
    again = told("reconcile", str(file), "--apply", "--by", CLERK)
    assert (again["differences"], again["returned"]) == ([], 0)
    assert exported(tmp_path / "next.csv")["sums"] == {"USD": 200_000}
    assert told("reconcile", str(file))["differences"] == []


def test_a_bonus_that_payroll_paid_after_it_was_cancelled_is_told(books: Books, file: Path) -> None:
    books.eligible(1)
    exported(file)
    told("cancel", "1", "--by", CLERK, "--reason", "wrong day")
    assert kinds(told("reconcile", str(file), code=1)) == ["paid_after_return"]


def test_an_export_that_does_not_agree_is_not_marked_reconciled(books: Books, file: Path) -> None:
    books.eligible(1)
    books.eligible(2)
    exported(file)
    one, _ = rows_of(file)
    rewrite(file, [{**one, "status": "rejected"}])
    answer = told("reconcile", str(file), "--apply", "--by", CLERK, code=1)
    assert (answer["returned"], answer["reconciled"]) == (1, [])
    assert books.ledger.payroll_exports()[0].state == "open"


def test_a_line_that_says_paid_and_rejected_is_told_and_returns_nothing(books: Books, file: Path) -> None:
    books.eligible(1)
    exported(file)
    (row,) = rows_of(file)
    rewrite(file, [{**row, "status": "paid"}, {**row, "status": "rejected"}])
    answer = told("reconcile", str(file), "--apply", "--by", CLERK, code=1)
    assert (kinds(answer), answer["returned"]) == (["paid_twice"], 0)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"status": CandidateStatus.OFFERED, "state": "offered"}, "to_reclaim"),
        ({"block": "withdrawn", "state": "blocked"}, "to_decide"),
        ({"block": "erased", "state": "erased"}, "to_decide"),
        ({"state": "hired"}, "to_decide"),
    ],
)
def test_what_was_paid_and_would_not_be_today_is_to_reclaim_or_to_decide(
    books: Books, file: Path, fields: dict[str, Any], kind: str
) -> None:
    books.eligible(1)
    exported(file)
    books.link(1, **fields)
    answer = told("reconcile", str(file), code=1)
    assert kinds(answer) == [kind]
    applied = told("reconcile", str(file), "--apply", "--by", CLERK, code=1)
    assert (applied["returned"], books.states()) == (0, {"R1/1": ("paid", 200_000)})
    # Reclaimed: payroll gives the line back.
    (row,) = rows_of(file)
    rewrite(file, [{**row, "status": "returned"}])
    assert told("reconcile", str(file), "--apply", "--by", CLERK, code=1)["returned"] == 1
    assert books.ledger.paid_entries(["R1"]) == []


def test_two_paid_bonuses_of_what_proves_to_be_one_person_are_told(books: Books, file: Path) -> None:
    books.eligible(1)
    books.eligible(2)
    exported(file)
    books.link(2, person_id="per_1")
    answer = told("reconcile", str(file), code=1)
    assert [(d["kind"], d["application"]) for d in answer["differences"]] == [("to_reclaim", "greenhouse:2")]


def test_a_file_of_another_system_or_one_that_cannot_be_read_is_refused(books: Books, file: Path) -> None:
    books.eligible(1)
    exported(file)
    (row,) = rows_of(file)
    rewrite(file, [{**row, "export_id": "5"}])
    assert "no line of the file is of an export" in invoke("reconcile", str(file)).output
    rewrite(file, [{**row, "amount": "2.000,00"}])
    refused = invoke("reconcile", str(file))
    assert refused.exit_code == 1
    assert "line 2: amount has a separator that can be read in two ways" in refused.output


def test_bonuses_of_two_currencies_are_never_one_sum(books: Books, file: Path) -> None:
    books.eligible(1)
    books.eligible(2, currency="KWD")
    exported(file)
    text = invoke("reconcile", str(file)).output
    assert "ledger 200.000 KWD, 2000.00 USD; file 200.000 KWD, 2000.00 USD" in text
