"""What a rehearsal shows of a payload: no personal data, however the other system spells it."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from referral_pipeline.connectors.rehearsal import masked

COUNTRIES = ("DE", "US", "GB", "FR", "IN", "BR", "PL", "IT", "NO", "JP")
SPELLINGS = (
    PhoneNumberFormat.E164,
    PhoneNumberFormat.INTERNATIONAL,
    PhoneNumberFormat.NATIONAL,
    PhoneNumberFormat.RFC3966,
)


@given(country=st.sampled_from(COUNTRIES), known=st.sampled_from(SPELLINGS), held=st.sampled_from(SPELLINGS))
def test_a_number_is_masked_whichever_way_either_side_writes_it(country: str, known: int, held: int) -> None:
    number = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    assert number is not None
    text = phonenumbers.format_number(number, held)
    shown = masked({"custom": [{"value": text}]}, [phonenumbers.format_number(number, known)])
    kind = "text" if held == PhoneNumberFormat.RFC3966 else "number"
    assert shown == {"custom": [{"value": f"({kind}, {len(text)} characters)"}]}


@pytest.mark.parametrize("value", ["cand_4711", "2026-11-02T09:00:00Z", "Employee Advocacy", 4711, None, True])
def test_what_is_not_personal_is_shown_as_it_is(value: object) -> None:
    assert masked({"value": value}, ["Ada", "Lovelace", "ada@example.com", "+14155550123", "US"]) == {"value": value}
