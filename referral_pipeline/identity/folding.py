"""Words of names in the one spelling in which they are compared.

Belongs here: folding of case, accents and spellings. Does not belong here: what a word means in a name (names).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_REMEMBERED = 16_384
"""Names kept in memory: first names repeat."""

_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "a", "œ": "o", "ı": "i", "ħ": "h", "ŋ": "n"}
)
# ü, ue and u come out alike whichever each system holds, so that being alike after folding stays transitive. Not at the
# end of a word, where no umlaut is spelt so and many a name differs by it: Joe and Jo, Sue and Su.
_SPELLINGS = re.compile(r"(?:a[ea]|oe|ue)(?=.)")
_APOSTROPHES = frozenset("'’ʼ`´‘")
_PLACEHOLDERS = frozenset({"n/a", "unknown", "null", "none", "not provided", "xxx"})


@lru_cache(maxsize=_REMEMBERED)
def folded_words(text: str | None, *, spellings: bool = True) -> tuple[str, ...]:
    """The words of a name: lower case, no accents. Empty when nothing is given.

    With `spellings` Müller, Mueller and Muller come out alike, and so do some names that are not: Michael and Michal.
    """
    folded = unicodedata.normalize("NFKC", text or "").casefold().strip()
    if folded in _PLACEHOLDERS:
        return ()
    if not folded.isascii():
        folded = _without_accents(folded)
    # Most names are one plain word.
    words = [folded] if folded.isalpha() else "".join(_kept_character(c) for c in folded).split()
    return tuple(_SPELLINGS.sub(_first_letter, word) for word in words) if spellings else tuple(words)


def _without_accents(text: str) -> str:
    # Only Latin, Greek and Cyrillic accents (U+0300..036F): marks of other scripts are letters in their own right.
    decomposed = unicodedata.normalize("NFD", text)
    bare = "".join(character for character in decomposed if not "\u0300" <= character <= "\u036f")
    return unicodedata.normalize("NFC", bare).translate(_LETTERS)


def _kept_character(character: str) -> str:
    if character in _APOSTROPHES:
        return ""
    return character if character.isalnum() or unicodedata.category(character).startswith("M") else " "


def _first_letter(found: re.Match[str]) -> str:
    return found[0][0]
