"""The forms that rules demand are the forms that canonical keys have, and no malformed value passes for one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.identity.canonical import canonical_email, canonical_phone
from referral_pipeline.quality.attribution_rules import PERSON_ID
from referral_pipeline.quality.staging_rules import EMAIL_KEY, PHONE_KEY


@given(
    st.one_of(
        st.emails(), st.text(max_size=40), st.text("aé.+@-_ ßÄxn", max_size=20).map(lambda t: f"{t}@Bücher.example")
    )
)
def test_every_canonical_email_has_the_form_that_the_rule_demands(text: str) -> None:
    email = canonical_email(text)
    assert email is None or re.search(EMAIL_KEY, email.key)


@given(st.text("+0123456789 ()-/.", max_size=20), st.sampled_from(["DE", "US", "FR", None]))
def test_every_canonical_phone_has_the_form_that_the_rule_demands(text: str, country: str | None) -> None:
    phone = canonical_phone(text, country)
    assert phone is None or re.search(PHONE_KEY, phone)


@pytest.mark.parametrize(
    "key",
    [
        *("", "plain", "two@at@signs.example", "no-domain@", "@no-local.example", "No@Case.example", "a b@c.example"),
        *("a@nodot", "a@b.c", "a@b.example\n", "a@b..", " a@b.example"),
    ],
)
def test_a_malformed_address_is_not_a_key(key: str) -> None:
    assert re.search(EMAIL_KEY, key) is None


@pytest.mark.parametrize(
    "key",
    ["", "0301234567", "+0301234567", "+49 30 1234567", "+49301234567890123", "+49", "+4930123456\n", "+٤٩٣٠١٢٣٤٥٦"],
)
def test_a_malformed_number_is_not_a_key(key: str) -> None:
    assert re.search(PHONE_KEY, key) is None


def test_a_person_id_is_made_of_letters_that_name_nobody() -> None:
    assert re.search(PERSON_ID, "per_0123456789abcdef")
    assert re.search(PERSON_ID, "per_jane.doe") is None
