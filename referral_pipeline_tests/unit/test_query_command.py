"""`query`: SQL against what was published, exact in every form, while a run writes; nothing else can be reached."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from referral_pipeline.cli import main
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.warehouse.store import Warehouse
from referral_pipeline_tests.unit.core_world import DAY0, World


@pytest.fixture(scope="module")
def patch() -> Any:
    with pytest.MonkeyPatch.context() as made:
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> Path:
    """A published copy of one hire, and a table of awkward values."""
    home = tmp_path_factory.mktemp("query")
    for name, value in {**SECRETS, "REFERRAL_PIPELINE_HOME": str(home)}.items():
        patch.setenv(name, value)
    patch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)
    world = World(home)
    world.warehouse = Warehouse("data/state/warehouse.duckdb", home=home, published_dir=home / "data" / "published")
    world.advocate("A1")
    world.share("S1", "A1", -10)
    world.job("J1")
    world.referral("R1", "A1", -1, share="S1")
    world.application("P1", 0, status="hired", hired=10)
    world.build()
    with world.warehouse.connect() as connection:
        connection.execute(
            "CREATE TABLE core.awkward AS SELECT * FROM (VALUES"
            " (1, 'a,b', 0.1::DECIMAL(18, 12), 0.1::DOUBLE, true, [1, 2], TIMESTAMPTZ '2026-05-04 12:00:00.5+02'),"
            " (0, '', 0, 'nan', false, [], TIMESTAMPTZ '2026-01-01'),"
            " (NULL, NULL, NULL, NULL, NULL, NULL, NULL),"
            " (170141183460469231731687303715884105727::HUGEINT, 'say \"x\"' || chr(10) || chr(27) || '[2J',"
            " 999999.999999999999, 1e300, true, NULL, NULL)"
            ") t(number, words, exact, measure, flag, list, moment)"
        )
        world.warehouse.publish(["core.attribution", "core.attribution_credit"])
    return home


def invoke(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["query", *arguments], input=given)


def told(*arguments: str, given: str | None = None) -> str:
    result = invoke(*arguments, given=given)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str) -> str:
    result = invoke(*arguments)
    assert result.exit_code != 0, result.output
    assert "Traceback" not in result.output
    return result.stderr


def on_a_terminal(*arguments: str) -> str:
    """What a terminal of 60 columns is sent."""
    ours, theirs = os.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", "referral_pipeline.cli", "query", *arguments],
            stdout=theirs,
            env={**os.environ, "COLUMNS": "60", "NO_COLOR": "1", "TERM": "dumb"},
            check=True,
            timeout=60,
        )
        return os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_json_is_one_object_with_every_value_exact(home: Path):
    answer = json.loads(told("SELECT * FROM core.awkward", "--json"))
    assert answer["columns"] == ["number", "words", "exact", "measure", "flag", "list", "moment"]
    assert answer["rows"] == [
        [1, "a,b", "0.100000000000", 0.1, True, [1, 2], "2026-05-04T10:00:00.500000Z"],
        [0, "", "0.000000000000", "nan", False, [], "2026-01-01T00:00:00Z"],
        [None] * 7,
        [2**127 - 1, 'say "x"\n\x1b[2J', "999999.999999999999", 1e300, True, None, None],
    ]
    assert answer["row_count"] == 4


def test_csv_reads_back_as_it_was_and_tells_null_from_an_empty_text(home: Path):
    lines = told("SELECT words, number, moment FROM core.awkward", "--csv")
    assert lines.splitlines()[:4] == [
        "words,number,moment",
        '"a,b",1,2026-05-04T10:00:00.500000Z',
        '"",0,2026-01-01T00:00:00Z',
        ",,",
    ]
    assert list(csv.reader(io.StringIO(lines)))[4][0] == 'say "x"\n\x1b[2J'


FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\x00=1", "＝1+1", "'=1", "a;=1+1")
HOSTILE = "a\x1b]0;title\x07b\x9b2Jc\x9dd\x7fe\u202ef\u2066g\u2028h\U000e0041i\rj\x00k"
"""ESC, OSC, BEL, C1's CSI and OSC, DEL, two that turn the direction, a line separator, a tag, CR and NUL."""


def literal(text: str) -> str:
    """As SQL writes it, one character at a time."""
    return " || ".join(f"chr({ord(c)})" for c in text)


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_a_spreadsheet_would_run_has_an_apostrophe_before_it(home: Path, tmp_path: Path, text: str):
    sql = f"SELECT {literal(text)} AS words"
    file = tmp_path / "answer.csv"
    told(sql, "--output", str(file))
    for content in (told(sql, "--csv"), file.read_bytes().decode()):
        _, (cell,) = csv.reader(io.StringIO(content, newline=""))
        assert cell.replace("'", "") == text.replace("'", "")
        assert cell.startswith("'") or cell == text.replace(";", ";'")
        assert not any(part.strip().startswith(tuple("=+-@＝")) for part in cell.split(";"))


@pytest.mark.parametrize("text", FORMULAS)
def test_an_exact_csv_holds_every_text_as_it_is(home: Path, tmp_path: Path, text: str):
    sql = f"SELECT {literal(text)} AS words"
    file = tmp_path / "answer.csv"
    told(sql, "--exact", "--output", str(file))
    for content in (told(sql, "--csv", "--exact"), file.read_bytes().decode()):
        assert list(csv.reader(io.StringIO(content, newline=""))) == [["words"], [text]]


def test_a_negative_number_and_a_time_are_the_same_in_every_csv(home: Path):
    sql = (
        "SELECT -1 AS a, -2.50::DECIMAL(9, 2) AS b, -1e-9 AS c, TIMESTAMPTZ '2026-01-01' AS d, DATE '2026-01-02' AS e, "
        "true AS f"
    )
    expected = ["a,b,c,d,e,f", "-1,-2.50,-1e-09,2026-01-01T00:00:00Z,2026-01-02,true"]
    assert told(sql, "--csv").splitlines() == told(sql, "--csv", "--exact").splitlines() == expected


def test_the_name_of_a_column_is_no_formula_either(home: Path):
    assert told('SELECT 5 AS "=1+1"', "--csv").splitlines() == ["'=1+1", "5"]


def test_exact_is_for_csv_alone(home: Path):
    assert "--exact goes with --csv or --output" in refused("SELECT 1", "--exact")
    assert "--exact goes with --csv or --output" in refused("SELECT 1", "--exact", "--json")


def test_text_is_aligned_and_no_value_can_command_the_terminal(home: Path):
    lines = told("SELECT words, number FROM core.awkward WHERE number > 0 ORDER BY number").splitlines()
    assert lines[0].split() == ["words", "number"]
    assert lines[2].split() == ["a,b", "1"]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert "\x1b" not in "".join(lines)
    assert "\\n\\x1b[2J" in lines[3]


def assert_harmless(printed: str):
    assert [c for c in printed if not c.isprintable() and c != "\n"] == []


def test_nothing_that_a_terminal_obeys_reaches_it_from_a_table_from_json_or_from_an_error(home: Path):
    sql = f"SELECT {literal(HOSTILE)} AS words"
    table, answer = told(sql), told(sql, "--json")
    assert_harmless(table)
    assert "\\x1b]0;title\\x07b\\x9b2Jc\\x9dd\\x7fe\\u202ef" in table
    assert_harmless(answer)
    assert json.loads(answer)["rows"] == [[HOSTILE]]  # escaped, and exact
    said = refused(f"SELECT CAST({literal(HOSTILE.replace(chr(0), ''))} AS INTEGER)")
    assert_harmless(said)
    assert "\\x1b" in said
    named = told(f'SELECT 5 AS "{HOSTILE.replace(chr(0), "")}"')
    assert_harmless(named)


@pytest.mark.parametrize("form", [(), ("--csv", "--exact")])
def test_on_a_terminal_every_form_is_harmless(home: Path, form: tuple[str, ...]):
    shown = on_a_terminal(f"SELECT {literal(HOSTILE)} AS words", *form).replace("\r\n", "\n")
    assert "title" in shown
    assert_harmless(shown)


def test_on_a_terminal_what_is_wider_than_it_is_shown_row_by_row(home: Path):
    wide = on_a_terminal("SELECT *, application_key AS again FROM core.attribution")
    assert "row 1" in wide
    assert "greenhouse:P1" in wide
    narrow = on_a_terminal("SELECT application_key, status FROM core.attribution")
    assert "row 1" not in narrow
    assert "application_key" in narrow


def test_null_is_shown_as_an_answer_and_not_as_nothing(home: Path):
    assert told("SELECT NULL AS a, 0 AS b").splitlines()[2].split() == ["null", "0"]


def test_a_table_shows_a_hundred_rows_and_says_how_many_more_there_are(home: Path):
    lines = told("SELECT range AS n FROM range(25050)").splitlines()
    assert (len(lines), lines[-2].strip()) == (103, "99")
    assert lines[-1].startswith("and 24,950 rows more")
    assert len(told("SELECT range AS n FROM range(250)", "--limit", "0").splitlines()) == 252
    assert "more" not in told("SELECT range AS n FROM range(100)")


def test_an_endless_answer_is_not_counted_to_its_end(home: Path):
    endless = "SELECT range AS n FROM range(1000000000000)"
    lines = told(endless).splitlines()
    assert (len(lines), lines[-1][:30]) == (103, "and more than 100,000 rows mor")
    limited = invoke(endless, "--json", "--limit", "2")
    assert json.loads(limited.stdout) == {"columns": ["n"], "rows": [[0], [1]], "row_count": None}
    assert "and more than 100,000 rows more" in limited.stderr
    just = invoke("SELECT range AS n FROM range(100002)", "--json", "--limit", "2")
    assert (json.loads(just.stdout)["row_count"], just.stderr[:20]) == (100_002, "and 100,000 rows mor")


def test_files_and_json_hold_every_row_unless_a_limit_is_given(home: Path, tmp_path: Path):
    sql = "SELECT range AS n FROM range(20500)"
    assert len(told(sql, "--csv").splitlines()) == 20_501
    file = tmp_path / "numbers.csv"
    assert told(sql, "--output", str(file)) == f"wrote {file}: 20,500 rows\n"
    assert file.read_text().splitlines()[-1] == "20499"
    limited = invoke(sql, "--json", "--limit", "2")
    assert json.loads(limited.stdout) == {"columns": ["n"], "rows": [[0], [1]], "row_count": 20_500}
    assert "and 20,498 rows more" in limited.stderr


def test_a_file_that_cannot_be_finished_leaves_the_old_one(home: Path, tmp_path: Path):
    file = tmp_path / "numbers.csv"
    file.write_text("old")
    broken = "SELECT CASE WHEN range = 20499 THEN error('at the end') ELSE range END FROM range(20500)"
    assert "at the end" in refused(broken, "--output", str(file))
    assert (file.read_text(), [path.name for path in tmp_path.iterdir()]) == ("old", ["numbers.csv"])
    assert "only CSV is written" in refused("SELECT 1", "--output", str(tmp_path / "numbers.xlsx"))


def test_sql_comes_from_standard_input_too(home: Path):
    assert json.loads(told("-", "--json", given="SELECT 1 AS one;\n"))["rows"] == [[1]]
    assert "write the SQL" in refused("")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT * FROM core.nothing", "Published are: core.application_person, core.attribution,"),
        ("SELECT * FROM staging.referral", "raw and staging hold personal data"),
        ("SELECT nothing FROM core.attribution", "query --tables"),
        ("SELEC 1", "write one SELECT statement"),
        ("SELECT 1; SELECT 2", "there are 2"),
        ("/* nothing */", "there is none"),
        ("DELETE FROM core.attribution", "write SELECT, not DELETE"),
        ("CREATE TEMP TABLE t AS SELECT 1", "write SELECT, not CREATE"),
        ("COPY core.attribution TO '/tmp/stolen.csv'", "write SELECT, not COPY"),
        ("EXPLAIN ANALYZE COPY core.attribution TO '/tmp/stolen.csv'", "EXPLAIN ANALYZE runs what it explains"),
        ("/* look */ explain (analyze) SELECT 1", "EXPLAIN ANALYZE runs what it explains"),
        ("ATTACH '/tmp/other.duckdb'", "write SELECT, not ATTACH"),
        ("SET memory_limit = '99GB'", "write SELECT, not SET"),
        ("SELECT * FROM read_text('/etc/hostname')", "no file, no network"),
        ("SELECT * FROM read_csv('https://example.com/a.csv')", "no file, no network"),
        ("SELECT * FROM glob('/*')", "no file, no network"),
        ("SELECT CAST('x' AS INTEGER)", "Could not convert"),
    ],
)
def test_what_cannot_be_answered_is_one_line_with_the_mend(home: Path, sql: str, words: str):
    said = refused(sql)
    assert said.count("\n") == 1
    assert words in said


def test_a_statement_that_slips_through_still_cannot_write_or_change_a_setting(home: Path):
    warehouse = Warehouse("data/state/warehouse.duckdb", home=home, published_dir=home / "data" / "published")
    with warehouse.published(locked=True) as connection:
        for sql in (
            "DROP TABLE core.attribution",
            "SET enable_external_access = true",
            "FROM read_text('/etc/hostname')",
        ):
            with pytest.raises(Exception, match=r"read-only|locked|disabled"):
                connection.execute(sql)


def test_it_answers_while_another_process_writes_to_the_warehouse(home: Path):
    code = (
        "import duckdb, sys\n"
        "held = duckdb.connect(sys.argv[1])\n"
        "held.execute('BEGIN'); held.execute('CREATE TABLE core.t AS SELECT 1 AS a')\n"
        "print('held', flush=True); sys.stdin.read()\n"
    )
    path = home / "data" / "state" / "warehouse.duckdb"
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "held\n"
        assert json.loads(told("SELECT count(*) FROM core.attribution", "--json"))["rows"] == [[1]]
    finally:
        writer.communicate(timeout=30)


def test_tables_are_listed_with_rows_types_and_meaning(home: Path):
    listed = told("--tables")
    assert "core.attribution  1 rows  One row per ATS application" in listed
    assert "staging." not in listed
    one = json.loads(told("attribution_credit", "--tables", "--json"))["tables"]
    assert [(table["table"], table["rows"]) for table in one] == [("core.attribution_credit", 1)]
    weight = next(column for column in one[0]["columns"] if column["name"] == "weight")
    assert weight["type"] == "DECIMAL(18,12)"
    assert "sum to exactly 1" in weight["about"]
    assert "no published table is called nothing" in refused("nothing", "--tables")


def test_before_the_first_refresh_it_says_what_to_run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REFERRAL_PIPELINE_HOME", str(tmp_path))
    assert refused("SELECT 1") == "error: nothing is published yet: run `referral-pipeline refresh`\n"


def test_a_hire_is_told_with_its_time_in_utc(home: Path):
    [[at]] = json.loads(told("SELECT applied_at FROM core.attribution", "--json"))["rows"]
    assert at == DAY0.isoformat().replace("+00:00", "Z")
