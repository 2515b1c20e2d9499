"""A pull repeats after a crash and never skips; whatever is edited when, raw ends equal to the source."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.records import Entity, Finding, Row, Window
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.warehouse.ingest import Doubt, IngestReport, ingest, still_missing
from referral_pipeline.warehouse.store import Warehouse

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
LOOKBACK = timedelta(minutes=15)
FULL_EVERY = timedelta(hours=24)


class BrokenError(Exception):
    """The source fails in the middle of a pull."""


@dataclass
class FakeSource:
    """A system with one entity, newest first, a page of two; its own clock stamps every edit.

    `lag` hides an edit from the lists for a while after its stamp; `breaks_after` pages the connection breaks;
    `between_pages` is what people do while the pages are read.
    """

    system: str = "ats"
    entities: Mapping[str, Entity] = field(default_factory=lambda: {"jobs": Entity("jobs")})
    now: datetime = START
    lag: timedelta = timedelta(0)
    breaks_after: int | None = None
    between_pages: Callable[[], None] | None = None
    rows: dict[str, tuple[datetime, Row]] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)
    nameless: int = 0
    skipped_rows: dict[str, int] = field(default_factory=dict)

    def put(self, key: str, **values: Any) -> None:
        self.rows[key] = (self.now, {"id": key, **values, "updated_at": self.now.isoformat()})

    def delete(self, key: str) -> None:
        self.rows.pop(key, None)

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        assert entity == "jobs"
        self.windows.append(window)
        self.skipped_rows["jobs"] = self.skipped_rows.get("jobs", 0) + self.nameless
        wanted = sorted(
            (key for key, (at, _) in self.rows.items() if self._shown(at) and _inside(at, window)),
            key=lambda key: (self.rows[key][0], key),
            reverse=True,
        )
        for number, start in enumerate(range(0, len(wanted), 2)):
            if number == self.breaks_after:
                raise BrokenError
            # What changed or went away after the list was made is missing from its pages.
            yield [self.rows[key][1] for key in wanted[start : start + 2] if self._still(key, window)]
            if self.between_pages is not None:
                self.between_pages()

    def _shown(self, at: datetime) -> bool:
        return at + self.lag <= self.now

    def _still(self, key: str, window: Window) -> bool:
        return key in self.rows and _inside(self.rows[key][0], window)

    def probe(self) -> list[Finding]:
        return []

    def close(self) -> None:
        pass


def _inside(at: datetime, window: Window) -> bool:
    return (window.since is None or at >= window.since) and at <= window.until


@dataclass
class Bench:
    """A source, both stores, and one call to pull."""

    folder: Path
    source: FakeSource
    ledger: Ledger
    warehouse: Warehouse

    def pull(
        self, *, full_every: timedelta = FULL_EVERY, since: datetime | None = None, believe_absent: bool = False
    ) -> IngestReport:
        return ingest(
            self.source,
            "jobs",
            warehouse=self.warehouse,
            ledger=self.ledger,
            now=self.source.now,
            lookback=LOOKBACK,
            full_every=full_every,
            since=since,
            clock=lambda: self.source.now,
            believe_absent=believe_absent,
        )

    def missing(self) -> dict[str, int]:
        return still_missing(self.source, warehouse=self.warehouse, ledger=self.ledger)

    def raw(self) -> list[Row]:
        return list(self.warehouse.raw_rows("ats", "jobs"))

    def true(self) -> list[Row]:
        return [row for _, (_, row) in sorted(self.source.rows.items())]

    def wait(self, **delta: float) -> None:
        self.source.now += timedelta(**delta)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Ledger.open("sqlite:///ledger.sqlite", home=tmp_path) as ledger:
        yield Bench(tmp_path, FakeSource(), ledger, Warehouse("w.duckdb", home=tmp_path, published_dir=tmp_path))


def test_the_first_pull_asks_for_everything_and_reports_what_it_brought(bench: Bench) -> None:
    for key in "abcde":
        bench.source.put(key)
    report = bench.pull()
    assert bench.raw() == bench.true()
    assert (report.entity, report.rows, report.pages, report.new_or_changed) == ("jobs", 5, 3, 5)
    assert (report.full, report.absent, report.since, report.until) == (True, 0, None, START)


def test_the_next_pull_asks_from_the_cursor_less_the_look_back(bench: Bench) -> None:
    bench.source.put("a")
    bench.pull()
    bench.wait(hours=2)
    bench.source.put("b")
    report = bench.pull()
    assert report.since == START - LOOKBACK
    assert (report.full, report.rows, report.new_or_changed) == (False, 2, 1)
    assert bench.raw() == bench.true()
    bench.wait(hours=2)
    assert bench.pull().since == START + timedelta(hours=2) - LOOKBACK


def test_a_pull_from_a_day_on_asks_from_there_and_leaves_no_gap_behind_the_cursor(bench: Bench) -> None:
    bench.source.put("a")
    bench.pull()
    bench.wait(hours=3)
    earlier = START - timedelta(days=2)
    assert bench.pull(since=earlier).since == earlier
    bench.wait(hours=3)
    later = bench.source.now - timedelta(minutes=1)
    assert bench.pull(since=later).since == START + timedelta(hours=3) - LOOKBACK
    bench.wait(days=2)
    assert bench.pull(since=later).full


def test_a_window_tells_up_to_when_everything_was_kept_but_where_only_its_beginning_counts(bench: Bench) -> None:
    bench.source.put("a")
    bench.pull()
    bench.wait(hours=1)
    bench.source.breaks_after = 0
    bench.source.put("b")
    with pytest.raises(BrokenError):
        bench.pull()
    bench.source.breaks_after = None
    bench.wait(hours=1)
    bench.pull()
    bench.wait(hours=1)
    bench.pull(since=START - timedelta(days=1))
    bench.pull(full_every=timedelta(0))
    kept = [window.position for window in bench.source.windows]
    assert kept == [None, START, START, None, None]


def test_an_edit_that_shows_late_is_seen_within_the_look_back(bench: Bench) -> None:
    bench.source.put("a", title="old")
    bench.pull()
    bench.wait(hours=1)
    bench.source.lag = timedelta(minutes=10)
    bench.source.put("a", title="new")
    bench.wait(minutes=5)
    bench.pull()
    assert bench.raw()[0]["title"] == "old"
    bench.wait(minutes=8)
    bench.pull()
    assert bench.raw()[0]["title"] == "new"


def test_a_new_warehouse_file_is_filled_from_the_beginning(bench: Bench) -> None:
    bench.source.put("a")
    bench.pull()
    bench.wait(hours=1)
    bench.warehouse.path.unlink()
    assert bench.pull().full
    assert bench.raw() == bench.true()


def test_everything_is_asked_again_when_a_full_pull_is_due_or_wanted(bench: Bench) -> None:
    bench.source.put("a")
    bench.pull()
    bench.wait(hours=23)
    assert not bench.pull().full
    bench.wait(hours=1)
    assert bench.pull().full
    bench.wait(hours=1)
    assert not bench.pull().full
    assert bench.pull(full_every=timedelta(0)).full


def test_a_deleted_row_is_gone_after_the_next_full_pull_only(bench: Bench) -> None:
    bench.source.put("a")
    bench.source.put("b")
    bench.pull()
    bench.wait(hours=1)
    bench.source.delete("a")
    assert bench.pull().absent == 0
    assert len(bench.raw()) == 2
    report = bench.pull(full_every=timedelta(0))
    assert report.absent == 1
    assert bench.raw() == bench.true()


def test_a_list_that_is_nearly_empty_of_a_sudden_takes_nothing_away_until_somebody_says_so(bench: Bench) -> None:
    for number in range(30):
        bench.source.put(f"job-{number:02}")
    bench.pull()
    bench.wait(hours=1)
    for number in range(1, 30):
        bench.source.delete(f"job-{number:02}")
    report = bench.pull(full_every=timedelta(0))
    assert (report.absent, report.missing, report.doubt) == (0, 29, Doubt.MOST)
    assert len(bench.raw()) == 30
    bench.wait(hours=1)
    bench.pull()
    assert bench.missing() == {"jobs": 29}, "it stays known until a full pull is believed"
    report = bench.pull(full_every=timedelta(0), believe_absent=True)
    assert (report.absent, report.missing, report.doubt) == (29, 0, None)
    assert bench.raw() == bench.true()
    assert bench.missing() == {}


def test_a_list_that_is_empty_of_a_sudden_takes_nothing_away(bench: Bench) -> None:
    for number in range(10):
        bench.source.put(f"job-{number:02}")
    bench.pull()
    bench.wait(hours=1)
    bench.source.rows.clear()
    report = bench.pull(full_every=timedelta(0))
    assert (report.absent, report.missing, report.doubt) == (0, 10, Doubt.MOST)


def test_what_was_in_doubt_stays_in_doubt_however_many_rows_have_come_since(bench: Bench) -> None:
    for number in range(100):
        bench.source.put(f"job-{number:03}")
    bench.pull()
    bench.wait(hours=1)
    lost = {key: bench.source.rows.pop(key) for key in list(bench.source.rows)[:60]}
    assert bench.pull(full_every=timedelta(0)).missing == 60
    bench.wait(hours=1)
    for number in range(100, 200):
        bench.source.put(f"job-{number:03}")
    report = bench.pull(full_every=timedelta(0))
    assert (report.absent, report.missing, report.doubt) == (0, 60, Doubt.MOST)
    bench.wait(hours=1)
    bench.source.rows |= lost
    report = bench.pull(full_every=timedelta(0))
    assert (report.absent, report.missing, report.doubt) == (0, 0, None)


def test_a_few_rows_may_go_at_once_whatever_their_share(bench: Bench) -> None:
    for number in range(12):
        bench.source.put(f"job-{number:02}")
    bench.pull()
    bench.wait(hours=1)
    for number in range(10):
        bench.source.delete(f"job-{number:02}")
    report = bench.pull(full_every=timedelta(0))
    assert (report.absent, report.doubt) == (10, None)


def test_while_the_id_has_another_name_nothing_is_gone_and_after_it_the_nameless_rows_are(bench: Bench) -> None:
    for number in range(30):
        bench.source.put(f"job-{number:02}")
    bench.pull()
    bench.wait(hours=1)
    true = dict(bench.source.rows)
    bench.source.rows = {
        key: (at, {("uid" if name == "id" else name): value for name, value in row.items()})
        for key, (at, row) in true.items()
    }
    report = bench.pull(full_every=timedelta(0))
    assert (report.absent, report.missing, report.doubt) == (0, 30, Doubt.UNREADABLE)
    bench.wait(hours=1)
    bench.source.rows = true
    report = bench.pull(full_every=timedelta(0))
    assert (report.absent, report.missing, report.doubt) == (30, 0, None)
    assert bench.raw() == bench.true()


def test_a_row_that_its_connector_had_to_leave_out_may_be_any_of_the_missing_ones(bench: Bench) -> None:
    bench.source.put("a")
    bench.source.put("b")
    bench.pull()
    bench.wait(hours=1)
    bench.source.delete("a")
    bench.source.nameless = 1
    report = bench.pull(full_every=timedelta(0))
    assert (report.absent, report.missing, report.doubt) == (0, 1, Doubt.UNREADABLE)
    bench.source.nameless = 0
    bench.wait(hours=1)
    assert bench.pull(full_every=timedelta(0)).absent == 1


def test_a_row_edited_while_the_pages_of_a_full_pull_are_read_is_not_taken_for_deleted(bench: Bench) -> None:
    for key in "abcd":
        bench.source.put(key)
    bench.pull()
    bench.wait(hours=1)

    def edit() -> None:
        bench.source.between_pages = None
        bench.wait(seconds=5)
        bench.source.put("a", title="edited")
        bench.source.delete("b")

    bench.source.between_pages = edit
    report = bench.pull(full_every=timedelta(0))
    assert report.absent == 1
    assert bench.raw() == bench.true()


def test_a_pull_that_breaks_keeps_its_pages_and_not_its_cursor(bench: Bench) -> None:
    bench.source.put("a")
    bench.pull()
    bench.wait(hours=3)
    for key in "bcde":
        bench.source.put(key)
    bench.source.breaks_after = 1
    with pytest.raises(BrokenError):
        bench.pull()
    cursor = bench.ledger.cursor("ats", "jobs")
    assert cursor is not None
    assert cursor.position == START
    bench.source.breaks_after = None
    bench.wait(hours=3)
    assert bench.pull().since == START - LOOKBACK
    assert bench.raw() == bench.true()


def test_a_first_pull_that_breaks_marks_nothing_and_begins_anew(bench: Bench) -> None:
    for key in "abcde":
        bench.source.put(key)
    bench.source.breaks_after = 2
    with pytest.raises(BrokenError):
        bench.pull()
    assert bench.ledger.cursor("ats", "jobs") is None
    bench.source.breaks_after = None
    assert bench.pull().full
    assert bench.raw() == bench.true()


def test_a_clock_that_was_set_back_still_gives_a_window_that_ends_after_it_begins(bench: Bench) -> None:
    bench.source.put("a")
    bench.pull()
    bench.wait(hours=-1)
    report = bench.pull()
    assert report.since is not None
    assert report.since < report.until


def test_many_pages_are_written_in_few_transactions(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from referral_pipeline.warehouse import ingest as module

    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 6)
    written: list[int] = []
    upsert = bench.warehouse.upsert_raw

    def counting(system: str, entity: str, rows: list[Row], **options: Any) -> int:
        written.append(len(rows))
        return upsert(system, entity, rows, **options)

    monkeypatch.setattr(bench.warehouse, "upsert_raw", counting)
    for number in range(15):
        bench.source.put(f"{number:02}")
    assert bench.pull().pages == 8
    assert written == [6, 6, 3]


_KEYS = st.sampled_from("abcdef")
_STEP = st.one_of(
    st.tuples(st.just("put"), _KEYS),
    st.tuples(st.just("delete"), _KEYS),
    st.tuples(st.just("wait"), st.sampled_from([1, 60, 600, 7200, 90_000])),
    st.tuples(st.just("pull"), st.sampled_from([None, 0, 1])),
    st.tuples(st.just("edit_during_next"), _KEYS),
    st.tuples(st.just("new_file"), st.none()),
)


@settings(max_examples=20, deadline=None)
@given(steps=st.lists(_STEP, max_size=20))
def test_after_any_interleaving_of_edits_and_pulls_raw_is_equal_to_the_source(steps: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Ledger.open("sqlite:///ledger.sqlite", home=folder) as ledger, ExitStack() as held_open:
            source = FakeSource(lag=timedelta(minutes=10))
            bench = Bench(folder, source, ledger, Warehouse("w.duckdb", home=folder, published_dir=folder))
            # Held open, because opening the file anew for every step would be most of this test's time.
            held_open.enter_context(bench.warehouse.connect())
            for number, (step, value) in enumerate(steps):
                _play(bench, step, value, number)
            source.between_pages = None
            source.breaks_after = None
            bench.wait(minutes=11)
            bench.pull()
            held = {row["id"]: row for row in bench.raw()}
            # Every edit is in raw; what was deleted may linger until the full pull.
            assert held.items() >= {row["id"]: row for row in bench.true()}.items()
            bench.pull(full_every=timedelta(0))
            assert bench.raw() == bench.true()


def _play(bench: Bench, step: str, value: Any, number: int) -> None:
    source = bench.source
    if step == "put":
        source.put(value, step=number)
    elif step == "delete":
        source.delete(value)
    elif step == "wait":
        bench.wait(seconds=value)
    elif step == "edit_during_next":

        def edit() -> None:
            source.between_pages = None
            bench.wait(seconds=1)
            source.put(value, step=number)

        source.between_pages = edit
    elif step == "new_file":
        with bench.warehouse.connect() as connection:
            connection.execute("DROP TABLE IF EXISTS raw.ats_jobs")
            connection.execute("UPDATE ops.meta SET value = uuid()::VARCHAR")
        bench.warehouse._identified = (None, "")  # a new file is known by its place on the disk; here it is the old one
    else:
        source.breaks_after = value
        try:
            bench.pull()
        except BrokenError:
            pass
        finally:
            source.breaks_after = None
