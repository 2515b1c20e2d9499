"""Canonical e-mail, phone and country: what is the same mailbox or line, and what never is."""

from __future__ import annotations

import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.identity import canonical
from referral_pipeline.identity.canonical import (
    canonical_country,
    canonical_email,
    canonical_phone,
    email_flag,
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


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("jane@example.com", None),
        ("not an address", None),
        ("info@example.com", "role"),
        ("j.o.b.s+x@googlemail.com", "role"),
        ("x@mailinator.com", "disposable"),
        ("x@box.mailinator.com", "disposable"),
        ("x@notmailinator.com", None),
        ("hr@yopmail.com", "role,disposable"),
    ],
)
def test_a_flag_says_what_a_person_should_know_of_an_address(text: str, flag: str | None):
    assert email_flag(canonical_email(text)) == flag


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("İrem@example.com", "irem@example.com"),  # the capital that a Turkish keyboard gives
        ("STRASSE@example.com", "straße@example.com"),  # the capitals of ß
        ("ΣΑΣ@example.com", "σας@example.com"),  # a final sigma
        ("Jane@STRAßE.de", "jane@xn--strae-oqa.de"),
        ("jane@ＥＸＡＭＰＬＥ.com", "jane@example.com"),
    ],
)
def test_capitals_and_scripts_do_not_make_another_mailbox(left: str, right: str):
    assert key(left) == key(right) is not None


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("ışık@example.com", "işik@example.com"),  # a dotless ı is a letter of its own
        ("jane@straße.de", "jane@strasse.de"),  # two domains, since 2010
        ("jаne@example.com", "jane@example.com"),  # a Cyrillic а
        ("zoë@example.com", "zoe@example.com"),
    ],
)
def test_letters_that_only_look_alike_are_others(left: str, right: str):
    assert key(left) != key(right)


@given(st.emails(), st.sampled_from(["", " ", "\t", "\u00a0", "\ufeff"]), st.booleans())
def test_how_an_address_was_typed_does_not_matter(address: str, space: str, is_upper: bool):
    found = key(address)
    assert key(f"{space}{address}{space}") == found
    local, _, domain = address.rpartition("@")
    assert key(f"{local.upper() if is_upper else local}@{domain.upper()}") == found


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


REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
FORMATS = (
    phonenumbers.PhoneNumberFormat.E164,
    phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    phonenumbers.PhoneNumberFormat.NATIONAL,
    phonenumbers.PhoneNumberFormat.RFC3966,
)


@given(
    st.sampled_from(REGIONS),
    st.sampled_from([phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE]),
    st.sampled_from(FORMATS),
    st.sampled_from([" ", "", "-", ".", "/", "\u00a0"]),
)
def test_how_a_number_was_typed_does_not_matter_in_any_country(region: str, kind: int, form: int, between: str):
    number = phonenumbers.example_number_for_type(region, kind)
    if number is None:
        return
    typed = phonenumbers.format_number(number, form).replace(" ", between)
    found = canonical_phone(typed, region)
    assert found is not None
    assert found == canonical_phone(phonenumbers.format_number(number, FORMATS[0]), None)
    assert canonical_phone(found, None) == canonical_phone(found, region) == found


@pytest.mark.parametrize(
    ("country", "spellings", "expected"),
    [
        (
            "AR",
            ["+54 9 11 2345 6789", "011 15 2345-6789", "+54 11 2345 6789", "11 2345-6789", "9 11 2345 6789"],
            "+541123456789",
        ),
        ("AR", ["+54 9 343 412 3456", "0343 15-412-3456"], "+543434123456"),
        (
            "MX",
            ["+52 1 55 1234 5678", "+52 55 1234 5678", "044 55 1234 5678", "045 55 1234 5678", "55 1234 5678"],
            "+525512345678",
        ),
        ("IT", ["06 698 12345", "+39 06 698 12345"], "+390669812345"),  # Italy keeps the zero
        ("RU", ["8 (912) 345-67-89", "+7 912 345-67-89"], "+79123456789"),
        ("DE", ["+49 (0)30 123456", "030/123456", "٠٣٠١٢٣٤٥٦", "tel:+49-30-123456"], "+4930123456"),
    ],
)
def test_one_line_has_one_form_under_every_spelling_of_its_country(country: str, spellings: list[str], expected: str):
    assert {canonical_phone(text, country) for text in spellings} == {expected}
    assert canonical_phone(expected, None) == expected


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("+1 800 356 9377", None),
        ("0800 123 4567", "GB"),
        ("0180 5 123456", "DE"),
        ("+800 1234 5678", None),
    ],
)
def test_a_number_of_a_service_names_nobody(text: str, country: str | None):
    assert canonical_phone(text, country) is None
    assert phone_problem(text, country) == "is a service number, which names no person"


@pytest.mark.parametrize(("text", "country"), [("110", "DE"), ("911", "US"), ("+49 110", None), ("ext. 12", "DE")])
def test_a_short_code_is_no_number_of_a_person(text: str, country: str):
    assert canonical_phone(text, country) is None
    assert phone_problem(text, country) == "is not a valid number of its country"


@pytest.mark.parametrize("text", ["(415) 555-2671 ext. 12", "415-555-2671 x12", "+14155552671;ext=12"])
def test_an_extension_is_told_under_every_spelling(text: str):
    assert canonical_phone(text, "US") is None
    assert phone_problem(text, "US") == "has an extension, so the line is shared"


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


_LOCAL = st.text("abcXYZ019_+-.", min_size=1, max_size=70)
_DOMAIN = st.one_of(
    st.sampled_from(
        ["example.com", "Mail.Example.ORG", "localhost", "a..b", "-a.com", "x.test", "b.invalid", "1.2.3.4"]
    ),
    st.text("ab1-.", min_size=1, max_size=70),
)


@given(_LOCAL, _DOMAIN)
@settings(max_examples=300, deadline=None)
def test_a_plain_address_is_judged_as_the_library_judges_it(local: str, domain: str) -> None:
    address = f"{local}@{domain}"
    try:
        valid = validate_email(address, check_deliverability=False, test_environment=True)
        expected = (valid.local_part.casefold(), valid.ascii_domain.lower())
    except EmailNotValidError:
        expected = None
    if expected is not None and "." not in expected[1]:
        expected = None
    assert canonical._email_parts(address) == expected
