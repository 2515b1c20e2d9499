"""What counts can prove: the functions are those of scipy, and a rate is an error only when that is proven."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from referral_pipeline.ledger.measures import DayVolume
from referral_pipeline.monitoring.evidence import (
    OpenAlert,
    binomial_tail,
    judge_rate,
    low_count_tail,
    open_alert,
    wilson_lower,
)
from referral_pipeline.monitoring.judge_calls import rate_words
from referral_pipeline.monitoring.pattern import pattern_of

THRESHOLD = 0.02


def judged(*steps: tuple[int, int], in_a_row: int | None = None, minimum: int = 50):
    """One window over these (units, failures)."""
    units, failures = [n for n, _ in steps], [k for _, k in steps]
    return judge_rate(units, failures, [len(steps)], threshold=THRESHOLD, minimum=minimum, in_a_row=in_a_row)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 5000), st.data())
def test_the_wilson_bound_and_the_binomial_tail_are_those_of_scipy(units: int, data: st.DataObject):
    failures = data.draw(st.integers(0, units))
    rate = data.draw(st.floats(0.001, 0.6))
    one_sided = stats.binomtest(failures, units).proportion_ci(confidence_level=0.9, method="wilson")
    assert wilson_lower(failures, units) == pytest.approx(one_sided.low, abs=1e-12)
    assert binomial_tail(failures, units, rate) == pytest.approx(stats.binom.sf(failures - 1, units, rate), rel=1e-6)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2000), st.floats(0.1, 2000), st.floats(1.0, 20))
def test_the_low_tail_of_a_count_is_that_of_scipy(count: int, mean: float, dispersion: float):
    found = low_count_tail(count, mean, dispersion)
    if dispersion < 1.001:
        assert low_count_tail(count, mean, 1.0) == pytest.approx(stats.poisson.cdf(count, mean), rel=1e-6, abs=1e-300)
    else:
        expected = stats.nbinom.cdf(count, mean / (dispersion - 1), 1 / dispersion)
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-300)


def test_above_the_threshold_with_few_calls_is_worth_showing_and_proves_nothing():
    verdict = judged((20, 1))
    assert (verdict.is_above, verdict.is_proven) == (True, False)


def test_a_bare_crossing_at_fifty_calls_is_neither_shown_nor_proven():
    """Two of fifty: a healthy API at half the threshold does that in one window of eleven."""
    verdict = judged((50, 2))
    assert (verdict.is_above, verdict.is_proven) == (False, False)
    assert judged((50, 5)).is_above


def test_the_bound_alone_is_no_proof_for_those_who_look_every_minute():
    """Three of fifty: the bound of 95 % lies above the threshold, and chance does that in one window of seventy."""
    assert wilson_lower(3, 50) > THRESHOLD
    assert not judged((50, 3)).is_proven
    words = rate_words(judged((50, 5)), "calls", "failed", ["hour"])
    assert "with 95 % confidence at least 5." in words
    assert words.endswith("; not proven yet: too few calls for so many looks.")


@pytest.mark.parametrize(("units", "failures"), [(1420, 46), (12, 6), (5, 5), (300, 20)])
def test_a_rate_is_proven_as_soon_as_its_calls_can_prove_it(units: int, failures: int):
    assert judged((units, failures)).is_proven


def test_failures_in_a_row_are_proven_and_one_success_ends_the_row():
    assert judged((40, 0), (3, 3), (2, 2), in_a_row=5).is_proven
    assert judged((40, 0), (3, 3), (2, 2), in_a_row=5).in_a_row == 5
    assert not judged((40, 0), (3, 3), (2, 1), in_a_row=5).is_proven


def test_an_outage_is_over_after_a_few_successes_and_its_failures_are_not_counted_again():
    outage = [(10, 0)] * 20 + [(10, 10)] * 8
    assert judged(*outage).is_proven
    assert judged(*outage, (1, 0)).is_proven
    after = judged(*outage, (4, 0))
    assert (after.is_proven, after.is_holding, after.is_after) == (False, False, True)
    assert (after.units, after.failures) == (4, 0)


def test_stray_failures_long_after_an_outage_do_not_bring_it_back():
    outage = [(2, 0)] * 60 + [(2, 1)] * 15
    assert not judged(*outage, *[(2, 0)] * 30, (2, 1), (2, 1), (3, 0)).is_proven


def test_what_was_over_stays_over_when_a_few_failures_follow():
    """At the edge of the proof each further failure would else begin the alert anew."""
    over = [*[(100, 3)] * 40, *[(100, 0)] * 5]
    assert not judged(*over).is_proven
    assert not judged(*over, (10, 2)).is_proven
    assert judged(*over, *[(100, 3)] * 30).is_proven  # it fails again


def test_a_low_rate_is_over_only_after_very_many_successes():
    failing = [(100, 3)] * 20
    assert judged(*failing).is_proven
    assert judged(*failing, (300, 3)).is_proven
    assert not judged(*failing, (1400, 14)).is_proven


def test_a_second_fault_after_the_first_is_found_although_the_first_was_worse():
    verdict = judged(*[(10, 10)] * 8, (200, 2), *[(10, 4)] * 5)
    assert (verdict.is_proven, verdict.is_after) == (True, True)
    assert verdict.failures <= 22


def told(*steps: tuple[int, int], since: int, window: int | None = None):
    """A rate of which an alert is open, fired `since` steps ago; the window of now holds the newest `window` steps."""
    units, failures = [n for n, _ in steps], [k for _, k in steps]
    newest = len(steps) if window is None else window
    return judge_rate(
        units, failures, [newest], threshold=THRESHOLD, minimum=50, told=OpenAlert(since, (min(len(steps), since + 8),))
    )


def test_a_window_that_empties_does_not_end_what_it_proved():
    outage = [(20, 0)] * 90 + [(2, 2)] * 4
    assert not judge_rate(*zip(*outage, strict=True), [0], threshold=THRESHOLD, minimum=50).is_holding
    assert told(*outage, since=0, window=0).is_holding
    assert told(*outage, (1, 1), since=1, window=1).is_holding


def test_a_few_successes_end_an_alert_although_too_few_units_are_in_any_window():
    outage = [(20, 0)] * 90 + [(2, 2)] * 4
    assert told(*outage, (1, 0), since=1, window=1).is_holding
    after = told(*outage, (3, 0), (3, 0), since=2, window=1)
    assert (after.is_holding, after.is_proven, after.is_after) == (False, False, True)


def test_an_alert_of_which_nothing_is_kept_ends_with_a_success_and_not_without():
    assert told(since=0).is_holding
    assert told((1, 1), since=1).is_holding
    assert told((1, 1), (1, 0), since=2).is_holding
    assert not told((1, 0), since=1).is_holding


def test_an_alert_is_not_over_by_what_was_over_before_it():
    first, between = [(10, 10)] * 3, [(10, 0)]
    assert told(*first, *between, (4, 4), (2, 2), (1, 1), (3, 1), since=2).is_holding
    assert not told(*first, *between, (4, 4), (2, 2), (1, 1), (9, 0), (9, 0), since=2).is_holding


def test_five_failures_in_a_row_in_a_busy_week_are_over_after_a_few_successes():
    """Among thousands of calls chance makes stretches that are longer, and milder, than what the alert was of."""
    rng = np.random.default_rng(7)
    busy = [(10, int(k)) for k in rng.binomial(10, 0.01, size=660)]
    steps = [*busy, (3, 3), (2, 2)]
    assert told(*steps, (2, 0), since=1).is_holding
    assert not told(*steps, (12, 0), since=1).is_holding


def test_an_open_alert_is_found_among_steps_that_were_left_out():
    starts = [datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (1, 2, 5, 9)]
    fired = datetime(2026, 3, 2, 5, 20, tzinfo=UTC)
    assert open_alert(None, starts, [timedelta(hours=4)]) is None
    assert open_alert(fired, starts, [timedelta(hours=1), timedelta(hours=4)]) == OpenAlert(1, (2, 3))


def test_no_calls_say_nothing():
    verdict = judged()
    assert (verdict.units, verdict.rate, verdict.is_proven) == (0, None, False)


def test_a_healthy_rate_is_never_proven_in_a_hundred_thousand_windows():
    rng = np.random.default_rng(5)
    failures = rng.binomial(4, 0.01, size=100_000)
    total = 0
    for window in (12, 96, 672):
        sums = np.convolve(failures, np.ones(window, dtype=int), "valid")
        worst = int(sums.max())
        total += judged((4 * window, worst)).is_proven
    assert total == 0


def days(counts: dict[int, int], weeks: int, start: date = date(2026, 1, 5)) -> list[DayVolume]:
    """Weeks of days by weekday, all of it at noon."""
    found = []
    for week in range(weeks):
        for weekday in range(7):
            day = start + timedelta(days=7 * week + weekday)
            count = counts.get(weekday, 0)
            found += [DayVolume(day, "ats", "arrived", count), DayVolume(day, "ats", "arrived:12", count)]
    return found


def test_a_pattern_needs_four_weeks_and_knows_weekday_and_hour():
    counts = {0: 100, 1: 50}
    assert pattern_of(days(counts, 3), "ats", frozenset()) is None
    pattern = pattern_of(days(counts, 4), "ats", frozenset())
    assert pattern is not None
    monday = datetime(2026, 2, 2, tzinfo=UTC)
    assert pattern.expected(monday, monday + timedelta(days=1)) == pytest.approx(100)
    assert pattern.expected(monday, monday + timedelta(hours=12, minutes=30)) == pytest.approx(50)
    assert pattern.expected(monday + timedelta(days=1), monday + timedelta(days=2)) == pytest.approx(50)
    assert pattern.at_least(monday, monday + timedelta(hours=12, minutes=30)) == 0  # an hour later it would be nothing


def test_one_holiday_changes_no_pattern_and_a_quiet_day_expects_nothing():
    history = [
        v if v.day != date(2026, 1, 19) else DayVolume(v.day, v.system, v.measure, 0) for v in days({0: 100, 1: 100}, 8)
    ]
    holiday = datetime(2026, 3, 2, tzinfo=UTC)
    pattern = pattern_of(history, "ats", frozenset({holiday.date()}))
    assert pattern is not None
    assert pattern.expected(holiday + timedelta(days=7), holiday + timedelta(days=8)) == pytest.approx(100)
    assert pattern.expected(holiday, holiday + timedelta(days=1)) == 0
    assert pattern.dispersion == 2


def test_days_under_an_alert_are_not_usual_before_they_are_all_there_is():
    start, counts = date(2026, 1, 5), dict.fromkeys(range(7), 100)
    history = days(counts, 8, start)

    def silent_for(weeks: int):
        first = start + timedelta(days=7 * (8 - weeks))
        gone = [v if v.day < first else DayVolume(v.day, v.system, v.measure, 0) for v in history]
        return pattern_of(gone, "ats", frozenset(), frozenset(v.day for v in gone if v.day >= first))

    for weeks, usual in ((1, 100), (4, 100), (5, 100), (8, 0)):
        pattern = silent_for(weeks)
        assert pattern is not None
        monday = datetime(2026, 3, 2, tzinfo=UTC)
        assert (weeks, pattern.expected(monday, monday + timedelta(days=1))) == (weeks, pytest.approx(usual))
    assert silent_for(1).dispersion == 2  # type: ignore[union-attr]
