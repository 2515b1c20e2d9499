"""Canonical e-mail, phone and country: what is the same mailbox or line, and what never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.identity.canonical import (
    canonical_country,
    canonical_email,
    canonical_phone,
    email_problem,
    phone_problem,
    shape_of,
)


def key(text: str | None) -> str | None:
    found = canonical_email(text)
    return found.key if found else None


def test_an_address_is_trimmed_and_case_folded():
    assert key("  Ana.Silva@Example.COM\n") == "ana.silva@example.com"


def test_full_width_and_invisible_characters_do_not_make_another_mailbox():
    assert key("ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ") == "jane@example.com"
    assert key("\ufeffjane@example.com\u200b") == "jane@example.com"


def test_a_unicode_domain_and_its_idna_form_are_one():
    assert key("info@müller.de") == key("info@xn--mller-kva.de") == "info@xn--mller-kva.de"


def test_composed_and_decomposed_accents_are_one():
    assert key("zo\u00eb@example.com") == key("zoe\u0308@example.com")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("j.a.n.e+jobs@gmail.com", "jane@googlemail.com"),
        ("jane+x@outlook.com", "jane@outlook.com"),
        ("jane_doe@protonmail.com", "jane.doe@proton.me"),
        ("jane@me.com", "jane+apply@icloud.com"),
        ("jane+a@fastmail.com", "jane@fastmail.com"),
    ],
)
def test_providers_that_fold_sub_addresses_give_one_mailbox(left: str, right: str):
    assert key(left) == key(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("jane+x@example.com", "jane@example.com"),
        ("j.ane@example.com", "jane@example.com"),
        ("j.ane@outlook.com", "jane@outlook.com"),
        ("jane@outlook.com", "jane@hotmail.com"),
        ("jane+x@yahoo.com", "jane@yahoo.com"),
    ],
)
def test_anywhere_else_a_sub_address_may_be_another_person(left: str, right: str):
    assert key(left) != key(right)


@pytest.mark.parametrize(
    "text",
    [None, "", "   ", "jane", "jane@", "@example.com", "a@b", "jane@@example.com", "jane@exa mple.com",
     "jane..doe@example.com", "jane@example..com", "Jane <jane@example.com>", "jane@[127.0.0.1]", "jane@host.local"],
)  # fmt: skip
def test_a_malformed_address_has_no_key_and_a_reason(text: str | None):
    assert canonical_email(text) is None
    assert email_problem(text)


def test_role_and_disposable_addresses_are_flagged():
    assert canonical_email("Jobs+web@example.com").is_role  # pyright: ignore
    assert not canonical_email("jobsmith@example.com").is_role  # pyright: ignore
    assert canonical_email("x@mailinator.com").is_disposable  # pyright: ignore


def test_the_representation_of_a_key_shows_no_address():
    assert "jane" not in repr(canonical_email("jane@example.com"))


@given(st.emails())
def test_the_canonical_form_of_a_canonical_form_is_itself(address: str):
    first = canonical_email(address)
    if first is not None:
        again = canonical_email(first.key)
        assert again is not None
        assert again.key == first.key


@given(st.one_of(st.none(), st.text(), st.emails()))
def test_every_text_has_either_a_key_or_a_problem(text: str | None):
    assert (canonical_email(text) is None) == (email_problem(text) is not None)


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("(415) 555-2671", "US", "+14155552671"),
        ("415.555.2671", " us ", "+14155552671"),
        ("+1 415 555 2671", None, "+14155552671"),
        ("+1 415 555 2671", "DE", "+14155552671"),
        ("030 123456", "DE", "+4930123456"),
        ("0049 30 123456", "FR", "+4930123456"),
        ("0049 30 123456", None, "+4930123456"),
        ("+49 (0)30 123456", None, "+4930123456"),
        ("01 23 45 67 89", "FR", "+33123456789"),
        ("０３０ １２３４５６", "DE", "+4930123456"),
    ],
)
def test_a_number_is_read_with_the_candidates_country(text: str, country: str | None, expected: str):
    assert canonical_phone(text, country) == expected
    assert phone_problem(text, country) is None


@pytest.mark.parametrize(
    ("text", "country"),
    [(None, "US"), ("", "US"), ("call me", "US"), ("12345", "US"), ("(415) 555-2671", None), ("000000000", "DE"),
     ("+999 123456789", None)],
)  # fmt: skip
def test_a_number_that_is_not_valid_is_never_matched(text: str | None, country: str | None):
    assert canonical_phone(text, country) is None
    assert phone_problem(text, country)


def test_a_line_shared_by_extensions_names_nobody():
    assert canonical_phone("(415) 555-2671 ext. 5", "US") is None
    assert "extension" in (phone_problem("(415) 555-2671 ext. 5", "US") or "")


@given(st.text(), st.one_of(st.none(), st.text(max_size=3)))
def test_every_number_has_either_a_form_or_a_problem(text: str, country: str | None):
    assert (canonical_phone(text, country) is None) == (phone_problem(text, country) is not None)


def test_a_country_code_is_trimmed_and_upper_cased():
    assert canonical_country(" de ") == "DE"
    assert canonical_country("uk") == "GB"
    assert canonical_country("Atlantis") is None
    assert canonical_country("XX") is None
    assert canonical_country(None) is None


def test_a_shape_describes_without_showing():
    assert shape_of("jane.doe.at.xy") == "text of 14 characters without @"
    assert shape_of("jane 12@") == "text of 8 characters with @, with 2 digits, with spaces"
    assert shape_of("") == "empty text"
    assert shape_of(" ") == "blank text of 1 character"
    assert shape_of(None) == "nothing"
    assert shape_of([1, 2]) == "a list of 2"
    assert shape_of(4155552671) == "a number"


def test_a_number_with_more_digits_than_e164_has_is_no_key() -> None:
    """The German plan admits it, E.164 ends at 15 digits; a property test of the quality rules found it."""
    assert canonical_phone("20100000000000", "DE") is None
    assert phone_problem("20100000000000", "DE") == "is not a valid number of its country"
