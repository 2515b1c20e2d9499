"""The synthetic records of the benchmark: seeded, and with what makes matching hard."""

from __future__ import annotations

from referral_pipeline_tests.benchmarks.identity_data import synthetic_records


def test_the_same_seed_gives_the_same_records_and_another_seed_others():
    one, again, other = (synthetic_records(500, seed=seed) for seed in (1, 1, 2))
    assert one.equals(again)
    assert not one.equals(other)


def test_every_record_comes_once_and_some_persons_have_several():
    records = synthetic_records(2_000, seed=1)
    assert len(records) == 2_000
    assert records["record_id"].is_unique
    assert records["person"].nunique() < 2_000


def test_strangers_share_names_phones_and_mailboxes():
    records = synthetic_records(20_000, seed=1)
    for columns in (["first_name", "last_name"], ["phone"], ["email"]):
        people = records.dropna(subset=columns).groupby(columns)["person"].nunique()
        assert (people > 1).any()
