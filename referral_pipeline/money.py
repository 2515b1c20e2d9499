"""Amounts in the smallest unit of a currency, to and from the decimals that payroll reads.

Belongs here: how many decimals a currency has, and both directions of the text. Does not belong here: splitting an
amount (attribution.models), which currency a bonus has (the contract).

`amount_cents` counts the smallest unit of its currency, as ISO 4217 has it: 200000 are 2000.00 USD, 200000 JPY, 200.000
KWD. No sum is ever made over two currencies.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

_WHOLE: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THOUSANDTHS: Final = "BHD IQD JOD KWD LYD OMR TND"
_DECIMALS: Final = {
    **dict.fromkeys(_WHOLE.split(" "), 0),
    **dict.fromkeys(_THOUSANDTHS.split(" "), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
_PLAIN: Final = re.compile(r"([0-9]+)(?:\.([0-9]*))?")
_MOST_DIGITS: Final = 15


def decimals_of(currency: str) -> int:
    """How many decimals amounts of this ISO 4217 currency have: two, but for a few."""
    return _DECIMALS.get(currency, 2)


def as_decimal(cents: int, currency: str) -> str:
    """An amount with exactly its currency's decimals, a dot before them and nothing between thousands."""
    decimals = decimals_of(currency)
    sign, digits = "-" if cents < 0 else "", str(abs(cents)).rjust(decimals + 1, "0")
    return f"{sign}{digits[: len(digits) - decimals]}.{digits[len(digits) - decimals :]}" if decimals else sign + digits


def from_decimal(text: str, currency: str) -> int:
    """The amount that this text means, in the smallest unit.

    Only digits and one dot are read: a comma is thousands in one country and decimals in the next, and so is a dot with
    more digits behind it than the currency has.

    Raises:
        ValueError: it could mean two amounts, or none; the message says why and does not show it.
    """
    decimals, cleaned = decimals_of(currency), text.strip()
    example = as_decimal(200_000, currency)
    if "," in cleaned or "'" in cleaned or " " in cleaned:
        raise ValueError(f"has a separator that can be read in two ways; write digits and a dot, such as {example}")
    found = _PLAIN.fullmatch(cleaned)
    if found is None or len(cleaned) > _MOST_DIGITS:
        raise ValueError(f"is no amount; write digits and a dot, such as {example}")
    fraction = found[2] or ""
    if len(fraction) > decimals:
        raise ValueError(
            f"has {len(fraction)} digits behind the dot where {currency} has {decimals}: that may be thousands; "
            f"write it such as {example}"
        )
    return int(found[1]) * 10**decimals + int(fraction.ljust(decimals, "0") or "0")


def totals(amounts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The sum of each currency, by its code in order."""
    found: Counter[str] = Counter()
    for currency, cents in amounts:
        found[currency] += cents
    return dict(sorted(found.items()))
