"""The file of decisions: read in every form that a spreadsheet or the Dagster UI's table gives it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.identity.review_file import (
    COLUMNS,
    ReviewFileError,
    ReviewLine,
    read_review_file,
    write_review_file,
)

PLAIN = """left_person_id,right_person_id,score,evidence,state,decision,reason
per_1,per_2,0.9,"email: shared mailbox, names are alike",open,merge,same phone
per_3,per_4,,phone,open,,
per_5,per_6,,phone,open,Distinct ,"father, and son"
"""
EXPECTED = (ReviewLine(2, "per_1", "per_2", "merge", "same phone"),)
EXPECTED += (ReviewLine(4, "per_5", "per_6", "distinct", "father, and son"),)


def semicolons(text: str) -> str:
    return text.replace('"father, and son"', "father# and son").replace(",", ";").replace("#", ",")


MARKDOWN = """| Left person ID | Right-Person-Id | score | evidence | **Decision** | Reason |
|---|:---|---:|---|---|---|
| `per_1` | per_2 | 0.9 | mail \\| phone | merge | same phone |
| per_3 | per_4 | | phone | | |
| per_5 | per_6 | | phone | DISTINCT | father, and son |
"""


def test_a_comma_separated_file_is_read():
    found = read_review_file(PLAIN.encode())
    assert (found.lines, found.undecided, found.problems) == (EXPECTED, 1, ())


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("left_person_id,right_person_id", " LEFT Person-ID ,Right").encode(),
        PLAIN.replace("state,", "state,remarks,").replace("open,", "open,me,").encode(),
        semicolons(PLAIN).replace(";shared", ",shared").encode(),
    ],
    ids=["bom", "utf-16", "windows", "header", "other-columns", "semicolons"],
)
def test_what_a_spreadsheet_makes_of_it_says_the_same(content: bytes):
    found = read_review_file(content)
    assert (found.lines, found.undecided, found.problems) == (EXPECTED, 1, ())


def test_tabs_and_a_line_before_the_header_are_read():
    tabs = 'sep=\t\n"left_person_id"\tright_person_id\tdecision\treason\n\nper_1\tper_2\tmerge\tsame\n'
    assert read_review_file(tabs.encode()).lines == (ReviewLine(4, "per_1", "per_2", "merge", "same"),)


def test_a_reason_over_two_lines_is_a_bad_line_and_does_not_shift_the_numbers_of_the_lines_below():
    text = 'left_person_id,right_person_id,decision,reason\na,b,merge,"one\ntwo"\nc,d,maybe,x\ne,f,merge,x\n'
    found = read_review_file(text.encode())
    assert found.lines == (ReviewLine(5, "e", "f", "merge", "x"),)
    assert [(problem.number, problem.field) for problem in found.problems] == [(2, "line"), (4, "decision")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old mac"])
@pytest.mark.parametrize("below", ["two cvs", '"two cvs"', '"two, cvs'], ids=["plain", "quoted", "open too"])
def test_a_quote_that_is_not_closed_swallows_no_decision_below_it(end: str, below: str):
    lines = [
        "left_person_id,right_person_id,decision,reason",
        'a,b,merge,"same person',
        f"c,d,distinct,{below}",
        "e,f,merge,same cv",
    ]
    found = read_review_file(end.join([*lines, ""]).encode())
    told = [2, 3] if below == '"two, cvs' else [2]
    assert [problem.number for problem in found.problems] == told
    assert [line.number for line in found.lines] == [n for n in (3, 4) if n not in told]
    assert "same person" not in " ".join(map(str, found.problems))


def test_a_line_beyond_any_measure_is_a_bad_line_and_the_others_stand():
    text = f"left_person_id,right_person_id,decision,reason\na,b,merge,{'x' * 200_000}\nc,d,merge,x\n"
    found = read_review_file(text.encode())
    assert [problem.number for problem in found.problems] == [2]
    assert [line.number for line in found.lines] == [3]


def test_the_table_of_the_ui_pasted_as_it_is_is_read():
    found = read_review_file(MARKDOWN.encode())
    assert [(x.left, x.right, x.decision, x.reason) for x in found.lines] == [
        (x.left, x.right, x.decision, x.reason) for x in EXPECTED
    ]
    assert (found.undecided, found.problems) == (1, ())


def test_a_bad_line_is_told_by_number_and_field_without_its_words_and_the_good_ones_stand():
    text = (
        "left_person_id,right_person_id,decision,reason\n"
        "per_1,per_2,perhaps ada@example.org,x\n,per_4,merge,x\nper_5,per_5,distinct,x\nper_7,per_8,merge,x\nper_9\n"
    )
    found = read_review_file(text.encode())
    assert [(p.number, p.field) for p in found.problems] == [
        (2, "decision"),
        (3, "left_person_id"),
        (4, "right_person_id"),
    ]
    assert "ada" not in " ".join(map(str, found.problems))
    assert all(problem.mend for problem in found.problems)
    assert [line.number for line in found.lines] == [5]
    assert found.undecided == 1


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"left_person_id,decision\n", b"\xff\xfe\x00"])
def test_a_file_without_the_columns_is_refused_with_their_names(content: bytes):
    with pytest.raises(ReviewFileError, match="right_person_id"):
        read_review_file(content)


_text = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"], blacklist_characters="`"), max_size=30)


@given(st.lists(st.tuples(st.sampled_from(["merge", "distinct"]), _text), max_size=5))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]):
    path = tmp_path_factory.mktemp("review") / "review.csv"
    written = [
        {"left_person_id": f"l{n}", "right_person_id": f"r{n}", "score": 0.5, "decision": d, "reason": reason}
        for n, (d, reason) in enumerate(rows)
    ]
    write_review_file(path, written)
    found = read_review_file(path.read_bytes())
    assert [(x.left, x.right, x.decision, x.reason) for x in found.lines] == [
        (f"l{n}", f"r{n}", d, reason.strip()) for n, (d, reason) in enumerate(rows)
    ]
    assert found.problems == ()


def test_a_file_has_the_columns_of_the_table_and_two_to_decide_in_whatever_the_table_lacks(tmp_path: Path):
    path = write_review_file(tmp_path / "x" / "review.csv", [{"left_person_id": "a", "right_person_id": "b"}])
    assert path.read_text().splitlines() == [",".join(COLUMNS), "a,b,,,,,,"]
    assert [one.name for one in path.parent.iterdir()] == ["review.csv"]
