"""`resolve`: the identity rules on an export; what is good goes on, the rest is set aside and told."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from referral_pipeline.cli import main

HEADER = "record_id,first_name,last_name,email,phone,country"
ROWS = [
    "1,Robert,Quastenhuber,rq@example.com,(202) 555-0143,US",
    "2,Bob,Quastenhuber,RQ@example.com,,US",
    "3,Annabell,Quirinova,aq@example.com,+1 202 555 0144,US",
    "4,Wolfgang,Zwirnmeister,office@example.net,,US",
    "5,Zdenka,Ottersbach,office@example.net,,US",
]


class Desk:
    """A folder with an export, and what the command makes of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file, self.people, self.pairs = folder / "in.csv", folder / "people.csv", folder / "pairs.csv"

    def write(self, *lines: str, header: str = HEADER, encoding: str = "utf-8") -> None:
        self.file.write_bytes(("\n".join([header, *lines]) + "\n").encode(encoding))

    def run(self, *more: str) -> Result:
        return CliRunner().invoke(
            main, ["resolve", str(self.file), "--out", str(self.people), "--review", str(self.pairs), *more]
        )

    def ran(self, *more: str) -> Result:
        result = self.run(*more)
        assert result.exit_code == 0, result.output
        return result

    def persons(self) -> dict[str, str]:
        return {row["record_id"]: row["person_id"] for row in read(self.people)}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    # No home, no secret, no contract: the command asks for none.
    for name in ("REFERRAL_PIPELINE_HOME", "REFERRAL_PIPELINE_CONFIG", "REFERRAL_PIPELINE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path)


def test_records_of_one_person_get_one_person_id(desk):
    desk.write(*ROWS)
    desk.ran()
    persons = desk.persons()
    assert list(persons) == ["1", "2", "3", "4", "5"]
    assert persons["1"] == persons["2"]
    assert len(set(persons.values())) == 4


def test_a_shared_mailbox_merges_nobody_and_is_in_the_review_with_its_rule(desk):
    desk.write(*ROWS)
    desk.ran()
    row = next(row for row in read(desk.pairs) if (row["left"], row["right"]) == ("4", "5"))
    assert row["evidence"].startswith("email: shared mailbox")


def test_every_record_of_both_persons_is_in_the_review_the_most_probable_first(desk):
    desk.write(*ROWS, "6,Robert,Quastenhuber,rq@example.org,202-555-0199,US", "7,Zdenka,Ottersbach,,,US")
    desk.ran("--threshold", "0.000001")
    rows = read(desk.pairs)
    assert list(rows[0]) == ["left", "right", "probability", "evidence"]
    assert {("1", "6"), ("2", "6")} <= {(row["left"], row["right"]) for row in rows}
    told = [float(row["probability"]) for row in rows if row["probability"]]
    assert told == sorted(told, reverse=True)
    assert len({(row["left"], row["right"]) for row in rows}) == len(rows)


def test_pairs_of_persons_with_many_records_are_one_line_each(desk):
    """Ten people of one mailbox with 30 records each: 45 pairs of persons, and 40,500 pairs of records."""
    people = ["Anna Berg", "Carl Dorn", "Emil Fink", "Greta Hall", "Ida Jung"]
    people += ["Karl Lang", "Mona Nold", "Otto Pohl", "Rosa Seel", "Tim Ulm"]
    desk.write(
        *(f"{n}-{m},{name.replace(' ', ',')},desk@example.net,,US" for n, name in enumerate(people) for m in range(30))
    )
    desk.ran("--threshold", "0.000001")
    persons = desk.persons()
    assert len(set(persons.values())) == len(people)
    rows = read(desk.pairs)
    assert rows
    told = [frozenset((persons[row["left"]], persons[row["right"]])) for row in rows]
    assert len(told) == len(set(told)) <= 45


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_usual_forms_of_csv_are_read(desk, delimiter, encoding):
    lines = [line.replace(",", delimiter) for line in ROWS]
    desk.write(*lines, header=HEADER.replace(",", delimiter), encoding=encoding)
    desk.ran()
    assert len(set(desk.persons().values())) == 4


def test_only_record_id_must_be_there_and_what_is_missing_is_told(desk):
    desk.write("1,rq@example.com", "2,rq@example.com", header="record_id,email")
    result = desk.ran()
    assert "no column phone" in result.stderr
    assert len(desk.persons()) == 2


BAD = {
    "no record_id": (",Robert,Quastenhuber,secret@example.com,,US", "record_id is empty text"),
    "a record_id that came before": ("1,Robert,Quastenhuber,secret@example.com,,US", "record_id came before"),
    "too few fields": ("9,Robert,secret", "it has 3 fields, the header 6"),
    "a stray quotation mark": ('9,"Ro"bert,Quastenhuber,secret@example.com,,US', "quotation marks"),
    "a formula as its record_id": (
        '"=HYPERLINK(""https://secret.example"")",Robert,Quastenhuber,,,US',
        "as a formula does",
    ),
    "a formula behind a space": (" @secret,Robert,Quastenhuber,,,US", "as a formula does"),
    "a formula behind a tab": ("\t=secret,Robert,Quastenhuber,,,US", "as a formula does"),
    "a number with a plus": ("+9,Robert,Quastenhuber,secret@example.com,,US", "as a formula does"),
    "a negative number": ("-9,Robert,Quastenhuber,secret@example.com,,US", "n5 in place of -5"),
    "a NUL": ("9,Ro\0bert,Quastenhuber,secret@example.com,,US", "NUL"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_set_aside_with_its_line_and_no_value_while_the_others_go_on(desk, name):
    line, reason = BAD[name]
    desk.write(ROWS[0], line, *ROWS[1:])
    result = desk.ran("--rejected", str(desk.folder / "rejected.csv"))
    assert "line 3 set aside" in result.stderr
    assert reason in result.stderr
    assert "secret" not in result.output
    assert set(desk.persons()) == {"1", "2", "3", "4", "5"}
    rejected = read(desk.folder / "rejected.csv")
    assert [row["line"] for row in rejected] == ["3"]
    assert reason in rejected[0]["reason"]


def test_bytes_that_are_no_utf8_cost_their_row_only(desk):
    desk.write(*ROWS)
    desk.file.write_bytes(desk.file.read_bytes() + b"9,J\xfcrgen,Muster,jm@example.com,,DE\n")
    result = desk.ran()
    assert "line 7 set aside: a field is not UTF-8" in result.stderr
    assert len(desk.persons()) == 5


def test_a_field_of_two_lines_does_not_shift_the_line_numbers(desk):
    desk.write('1,"Robert\nMaria",Quastenhuber,rq@example.com,,US', ",x,y,,,", *ROWS[1:])
    assert "line 4 set aside" in desk.ran().stderr


def test_a_quotation_mark_that_is_never_closed_is_told(desk):
    desk.write(*ROWS, '9,"Robert,Quastenhuber,secret@example.com,,US')
    result = desk.ran()
    assert "line 7 set aside: its quotation marks do not pair up" in result.stderr
    assert len(desk.persons()) == 5


def test_extra_columns_are_compared_and_named_in_the_evidence(desk):
    header = f"{HEADER},dob,Home town"
    desk.write(
        "1,Rosalinde,Quastenhuber,rosa.q@example.com,,DE,1977-03-04,Ulm",
        "2,Rosalinda,Quastenhuber,r.quast@example.org,,DE,1977-03-04,Ulm",
        "3,Zdenka,Ottersbach,zo@example.org,,DE,1990-01-01,Bonn",
        header=header,
    )
    desk.ran("--compare", "dob", "--compare", "Home town")
    (row,) = read(desk.pairs)
    assert (row["left"], row["right"]) == ("1", "2")
    assert "dob: equal (+" in row["evidence"]
    assert "Home town: equal (+" in row["evidence"]
    assert "Ulm" not in row["evidence"]


def test_json_prints_one_object_and_nothing_else(desk):
    desk.write(*ROWS, ",x,y,,,")
    told: dict[str, Any] = json.loads(desk.ran("--json").stdout)
    assert told["records"] == 5
    assert told["rejected"] == 1
    assert told["persons"] == 4
    assert told["merged_records"] == 1
    assert told["review_lines"] == len(read(desk.pairs))
    assert told["model"]["trained"] is False


def test_the_same_rows_in_another_order_give_the_same_files(desk):
    desk.write(*ROWS)
    desk.ran("--threshold", "0.0001")
    before = desk.people.read_bytes(), desk.pairs.read_bytes()
    desk.write(*reversed(ROWS))
    desk.ran("--threshold", "0.0001")
    assert (desk.people.read_bytes(), desk.pairs.read_bytes()) == before


WRONG = {
    "no record_id": ("id,email", [], "no column is called record_id"),
    "a column twice": ("record_id,email,email", [], "column email comes twice"),
    "a column to compare that is not there": (HEADER, ["--compare", "dob"], "has no such column"),
    "a column that is compared anyway": (HEADER, ["--compare", "email"], "is used already"),
    "an empty file": ("", [], "the file is empty"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_or_choice_that_cannot_be_used_is_one_clear_line(desk, name):
    header, more, words = WRONG[name]
    desk.write(header=header)
    result = desk.run(*more)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert words in result.stderr
    assert "Traceback" not in result.output
    assert not desk.people.exists()


def test_an_output_never_overwrites_the_input(desk):
    desk.write(*ROWS)
    before = desk.file.read_bytes()
    desk.people = desk.file
    assert "named twice" in desk.run().stderr
    assert desk.file.read_bytes() == before


def test_a_header_without_rows_gives_empty_files(desk):
    desk.write()
    desk.ran()
    assert desk.people.read_text() == "record_id,person_id\n"
    assert desk.pairs.read_text() == "left,right,probability,evidence\n"


def test_nothing_personal_stays_in_the_temporary_folder(desk, monkeypatch):
    scratch = desk.folder / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    desk.write(*ROWS)
    desk.ran()
    assert list(scratch.iterdir()) == []
    assert sorted(path.name for path in desk.folder.iterdir()) == ["in.csv", "pairs.csv", "people.csv", "scratch"]
