"""One form for each e-mail address, phone number and country, whatever way it was typed.

Belongs here: pure functions from text to a canonical form, or to the reason why there is none, which never shows the
text. Does not belong here: comparing persons (names, resolve), storing, hashing (privacy).

Rules (DESIGN, rules of the flow)
1. An address is trimmed, brought to NFKC and case-folded (a Turkish İ is an i; a dotless ı stays itself); its domain is
   compared in its ASCII (IDNA) form.
2. Sub-addresses, dots and twin domains are folded only for the providers in `_PROVIDERS`, which document that all those
   spellings reach one mailbox. Anywhere else `a+b@` and `a@` may be two people.
3. A phone number counts when it is valid in its numbering plan, read with the candidate's country when it is national.
   One with an extension is a shared line, and one of a service (toll-free, premium, shared cost, company-wide) is
   answered by a company: neither names a person, and neither has a canonical form. Short codes are no valid numbers.
4. Where a plan knows one mobile line under two spellings (Argentina with and without the 9, Mexico with and without the
   1 or the old dialling prefixes), the canonical form is the shorter.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import phonenumbers
from email_validator import EmailNotValidError, validate_email

_E164_DIGITS = 15
_REMEMBERED = 4096
"""Forms kept in memory: one record is looked at several times in a row."""


@dataclass(frozen=True)
class EmailKey:
    """The mailbox behind an address. Personal data: `repr` does not show it.

    `is_role` marks an address of a function (info@, jobs@), which several people read; `is_disposable` one of a
    throw-away provider.
    """

    key: str
    is_role: bool = False
    is_disposable: bool = False

    def __repr__(self) -> str:
        return f"EmailKey(<{len(self.key)} characters>, is_role={self.is_role}, is_disposable={self.is_disposable})"


def canonical_email(text: str | None) -> EmailKey | None:
    """The mailbox that this address reaches, or None when it is missing or malformed."""
    parts = _email_parts(text)
    if parts is None:
        return None
    local, domain = parts
    provider = _PROVIDERS.get(domain)
    if provider is not None:
        # An empty rest ("+tag@", "...@") is no address of that provider: keep what was typed rather than invent one.
        local = local.split("+", 1)[0].translate(provider.ignored) or local
        domain = provider.domain or domain
    return EmailKey(f"{local}@{domain}", is_role=is_role_mailbox(local), is_disposable=_is_disposable(domain))


def is_role_mailbox(key: str) -> bool:
    """Whether this canonical address (or its part before the @) is that of a function, such as jobs@."""
    return key.split("@", 1)[0].split("+", 1)[0] in _ROLE_NAMES


def role_names() -> list[str]:
    """What stands before the @ (and before a +) in the address of a function, in order."""
    return sorted(_ROLE_NAMES)


def email_flag(email: EmailKey | None) -> str | None:
    """What a person should know of an address: role, disposable, both with a comma between, or None."""
    if email is None:
        return None
    words = [word for word, said in (("role", email.is_role), ("disposable", email.is_disposable)) if said]
    return ",".join(words) or None


def _is_disposable(domain: str) -> bool:
    """Whether it is the domain of a throw-away provider, or lies below one."""
    labels = domain.split(".")
    return any(".".join(labels[start:]) in _DISPOSABLE_DOMAINS for start in range(len(labels) - 1))


def email_problem(text: str | None) -> str | None:
    """Why this is no usable address, in words that do not show it; None when it is one."""
    cleaned = _clean(text)
    if not cleaned:
        return "is missing"
    if _email_parts(text) is not None:
        return None
    if "@" not in cleaned:
        return "has no @"
    if cleaned.count("@") > 1:
        return "has more than one @"
    local, domain = cleaned.split("@")
    if not local:
        return "has nothing before the @"
    if "." not in domain:
        return "has no dot in its domain"
    if any(character.isspace() for character in cleaned):
        return "has a space inside"
    return "is not a well-formed address"


@lru_cache(maxsize=_REMEMBERED)
def canonical_phone(text: str | None, country: str | None) -> str | None:
    """The number in E.164, or None when it is missing, not valid, a line shared by extensions, or one of a service.

    `country` is the candidate's ISO 3166 code, needed for numbers in national form.
    """
    number = _phone(text, country)
    if number is None or number.extension:
        return None
    # Asked once: a number of no known type is not valid, and finding the type is most of the work.
    kind = phonenumbers.number_type(number)
    if kind == phonenumbers.PhoneNumberType.UNKNOWN or kind in _SERVICES:
        return None
    form = _e164(number)
    return form if len(form) <= 1 + _E164_DIGITS else None


def phone_problem(text: str | None, country: str | None) -> str | None:
    """Why this number identifies nobody, in words that do not show it; None when it does."""
    if not _clean(text):
        return "is missing"
    number = _phone(text, country)
    if number is None:
        has_prefix = _clean(text).startswith(("+", "00"))
        known = has_prefix or canonical_country(country) is not None
        return "is not a phone number" if known else "is in national form and the country is unknown"
    if not _is_valid(number):
        return "is not a valid number of its country"
    if number.extension:
        return "has an extension, so the line is shared"
    return "is a service number, which names no person" if _is_of_a_service(number) else None


def _is_valid(number: phonenumbers.PhoneNumber) -> bool:
    # Some national plans admit more digits than E.164 has (15 with the country code): such a number has no E.164 form.
    return phonenumbers.is_valid_number(number) and len(_e164(number)) <= 1 + _E164_DIGITS


def _is_of_a_service(number: phonenumbers.PhoneNumber) -> bool:
    return phonenumbers.number_type(number) in _SERVICES


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def canonical_country(text: str | None) -> str | None:
    """The ISO 3166-1 alpha-2 code in upper case, or None when it is missing or no such code."""
    code = _clean(text).upper()
    code = _COUNTRY_ALIASES.get(code, code)
    return code if code in _COUNTRIES else None


def shape_of(value: object) -> str:
    """Describe a value without showing any of it: "text of 14 characters without @"."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a yes or no"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, list | tuple | set | frozenset):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if not isinstance(value, str):
        return f"a value of type {type(value).__name__}"
    if not value:
        return "empty text"
    if not value.strip():
        return f"blank text of {_characters(value)}"
    traits = ["with @" if "@" in value else "without @"]
    digits = sum(character.isdigit() for character in value)
    if digits:
        traits.append(f"with {digits} digit{'s' if digits > 1 else ''}")
    if any(character.isspace() for character in value):
        traits.append("with spaces")
    return f"text of {_characters(value)} {', '.join(traits)}"


# ---------------------------------------------------------------- helpers


@dataclass(frozen=True)
class _Provider:
    """A provider of sub-addresses (name+tag@). `ignored` never counts in a name; `domain` replaces twin domains."""

    ignored: dict[int, None]
    domain: str | None = None


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _providers() -> dict[str, _Provider]:
    dots: dict[int, None] = {ord("."): None}
    proton: dict[int, None] = {ord(character): None for character in "._-"}
    found: dict[str, _Provider] = {}
    for domain in ("gmail.com", "googlemail.com"):
        found[domain] = _Provider(dots, "gmail.com")
    for domain in ("proton.me", "protonmail.com", "pm.me"):
        found[domain] = _Provider(proton, "proton.me")
    for domain in ("icloud.com", "me.com", "mac.com"):
        found[domain] = _Provider({}, "icloud.com")
    # The same name at outlook.com and hotmail.com may be two people: the domain stays.
    for domain in ("outlook.com", "hotmail.com", "live.com", "msn.com", "outlook.de", "outlook.fr", "hotmail.de"):
        found[domain] = _Provider({})
    for domain in ("hotmail.fr", "hotmail.co.uk", "fastmail.com", "fastmail.fm", "posteo.de", "mailbox.org"):
        found[domain] = _Provider({})
    return found


_PROVIDERS: Final = _providers()

_ROLE_NAMES: Final = _words(
    "abuse accounts admin administrator bewerbung billing career careers contact hello help helpdesk hr humanresources "
    "info jobs kontakt mail marketing no-reply noreply office personal postmaster press recruiting recruitment "
    "rh root sales security service support talent team webmaster"
)

_DISPOSABLE_DOMAINS: Final = _words(
    "10minutemail.com 20minutemail.com discard.email dispostable.com fakeinbox.com getnada.com guerrillamail.com "
    "guerrillamail.info maildrop.cc mailinator.com mailnesia.com mintemail.com moakt.com mohmal.com sharklasers.com "
    "spamgourmet.com temp-mail.org tempmail.com tempr.email throwawaymail.com trash-mail.com trashmail.com "
    "wegwerfmail.de yopmail.com"
)

_SERVICES: Final = frozenset(
    {
        phonenumbers.PhoneNumberType.TOLL_FREE,
        phonenumbers.PhoneNumberType.PREMIUM_RATE,
        phonenumbers.PhoneNumberType.SHARED_COST,
        phonenumbers.PhoneNumberType.UAN,
        phonenumbers.PhoneNumberType.VOICEMAIL,
    }
)
_ARGENTINA: Final = 54
_MEXICO: Final = 52
_OLD_MEXICAN: Final = re.compile(r"(?:044|045|01|1)(\d{10})")
"""Prefixes of before 2019, still found in old records: to a mobile line, to another area, between countries."""

_COUNTRIES: Final = frozenset(phonenumbers.SUPPORTED_REGIONS) | _words("AQ BV GS HM PN TF UM")
_COUNTRY_ALIASES: Final = {"UK": "GB", "EL": "GR"}  # both exceptionally reserved for exactly these countries
_PLAIN_ADDRESS: Final = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9_+-]*(?:\.[A-Za-z0-9_+-]+)*)@([A-Za-z0-9.-]+)", re.ASCII)
_LONGEST_ADDRESS: Final = 64
"""Of a plain one: no part of it is too long then. Longer ones are asked of the library."""
_INVISIBLE: Final = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))


def _clean(text: str | None) -> str:
    """Trimmed, in NFKC, without the invisible characters that copying from a web page brings along."""
    if text is not None and text.isascii():
        return text.strip()
    return unicodedata.normalize("NFKC", text or "").translate(_INVISIBLE).strip()


@lru_cache(maxsize=_REMEMBERED)
def _email_parts(text: str | None) -> tuple[str, str] | None:
    cleaned = _clean(text)
    if not cleaned:
        return None
    if (plain := _PLAIN_ADDRESS.fullmatch(cleaned)) is not None and len(cleaned) <= _LONGEST_ADDRESS:
        # Nearly every address is plain: its local part is as valid as any, and its domain has been looked at before.
        domain = _domain(plain[2])
        return None if domain is None else (plain[1].lower(), domain)
    try:
        # test_environment admits the reserved top-level domain .test, which sandboxes use.
        valid = validate_email(cleaned, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    domain = (valid.ascii_domain or valid.domain).lower()
    if "." not in domain:
        return None
    # Folded, a Turkish İ leaves an i with a second dot.
    local = valid.local_part.casefold().replace("i\u0307", "i")
    return unicodedata.normalize("NFKC", local), domain


@lru_cache(maxsize=_REMEMBERED)
def _domain(text: str) -> str | None:
    """The ASCII form of a domain, None when it is malformed or reserved."""
    try:
        valid = validate_email(f"a@{text}", check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    domain = (valid.ascii_domain or valid.domain).lower()
    return domain if "." in domain else None


def _phone(text: str | None, country: str | None) -> phonenumbers.PhoneNumber | None:
    cleaned = _clean(text)
    if not any(character.isdigit() for character in cleaned):
        return None
    region = canonical_country(country)
    if region is None and cleaned.startswith("00"):
        cleaned = f"+{cleaned[2:]}"
    try:
        number = phonenumbers.parse(cleaned, region)
    except phonenumbers.NumberParseException:
        return None
    return _one_spelling(number)


def _one_spelling(number: phonenumbers.PhoneNumber) -> phonenumbers.PhoneNumber:
    """The number as its line is known under every spelling."""
    national = phonenumbers.national_significant_number(number)
    if number.country_code == _ARGENTINA and len(national) == 11 and national.startswith("9"):
        shorter = national[1:]
    elif number.country_code == _MEXICO and (old := _OLD_MEXICAN.fullmatch(national)):
        shorter = old[1]
    else:
        return number
    found = phonenumbers.PhoneNumber(
        country_code=number.country_code, national_number=int(shorter), extension=number.extension
    )
    return found if phonenumbers.is_valid_number(found) else number


def _characters(value: str) -> str:
    return f"{len(value)} character{'s' if len(value) != 1 else ''}"
